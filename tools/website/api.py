"""The package's own pages, made from its docstrings by pdoc."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from pathlib import Path

from pygments.formatters import HtmlFormatter

TEMPLATES = Path(__file__).parent / "templates" / "api"
LIGHT_STYLE, DARK_STYLE = "xcode", "github-dark"


def public_modules(package: str) -> set[str]:
    """The names of a package and of its public modules, at any depth.

    Raises:
        ImportError: one of them does not import.
    """
    module = importlib.import_module(package)
    names = {package}
    for info in pkgutil.iter_modules(module.__path__, f"{package}."):
        if info.name.rpartition(".")[2].startswith("_"):
            continue
        names |= public_modules(info.name) if info.ispkg else {importlib.import_module(info.name).__name__}
    return names


def write_pages(package: str, title: str, folder: Path) -> None:
    """Write `folder/PACKAGE.html` and one page per module below it, with a search box.

    Args:
        package: name of an importable package with docstrings in Google's form.
        title: the course's title, for the way back.
        folder: written to; made when it does not exist.
    """
    import pdoc.doc
    import pdoc.render
    import torch

    names = sorted(public_modules(package))
    for module in map(importlib.import_module, names):
        for name in getattr(module, "__all__", ()):  # pdoc sees only what is there, not what comes on first use
            setattr(module, name, getattr(module, name))
    pdoc.render.configure(docformat="google", template_directory=TEMPLATES, logo=title, show_source=True)
    # One by one, because pdoc would leave out the modules that a package's __all__ does not name.
    modules = {name: pdoc.doc.Module.from_name(name) for name in names}
    for name, documented in modules.items():
        page = folder / f"{name.replace('.', '/')}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # Types that are imported for type checkers only are not there; pdoc then shows their names.
            warnings.filterwarnings("ignore", message="Error parsing type annotation")
            html = pdoc.render.html_module(documented, modules)
        page.write_text(html.replace(f"<p>{torch.nn.Module.__init__.__doc__}</p>", ""))  # every layer inherits it
    (folder / "search.js").write_text(pdoc.render.search_index(modules))


def code_colours() -> str:
    """CSS for highlighted code, light and dark, by the system's wish or by the reader's."""
    parts = []
    for theme, other, style in (("light", "dark", LIGHT_STYLE), ("dark", "light", DARK_STYLE)):
        formatter = HtmlFormatter(style=style, nobackground=True)
        blocks = [".highlight", ".pdoc-code"]
        by_system = formatter.get_style_defs([f':root:not([data-theme="{other}"]) {block}' for block in blocks])
        by_reader = formatter.get_style_defs([f':root[data-theme="{theme}"] {block}' for block in blocks])
        parts += [f"@media (prefers-color-scheme: {theme}) {{\n{by_system}\n}}", by_reader]
    return "\n".join(parts) + "\n"
