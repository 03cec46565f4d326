"""The parts of `tools/build_site.py`: mathematics, links, pages and the API's pages."""
