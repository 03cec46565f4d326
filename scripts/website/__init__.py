"""The parts of `scripts/build_site.py`: mathematics, links, pages and the API's pages."""
