"""The package's own pages, made from its docstrings by pdoc."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from pygments.formatters import HtmlFormatter

ASSETS = Path(__file__).parent / "assets"
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


@dataclass(frozen=True)
class Module:
    """One page of the package.

    Attributes:
        name: such as "litehrnet.pooling".
        body: the page's `main` element, as HTML.
        members: (anchor, first words) of its public functions and classes.
        inside: names of the modules directly below it.
        sentence: the first line of its docstring.
    """

    name: str
    body: str
    members: list[tuple[str, str]]
    inside: list[str]
    sentence: str


def pages(package: str) -> list[Module]:
    """The pages of a package and its public modules.

    Args:
        package: name of an importable package with docstrings in Google's form.
    """
    import pdoc.doc
    import pdoc.render
    import torch

    names = sorted(public_modules(package))
    for module in map(importlib.import_module, names):
        for name in getattr(module, "__all__", ()):  # pdoc does not see what is imported on first use
            setattr(module, name, getattr(module, name))
    pdoc.render.configure(docformat="google", show_source=True)
    # One by one, because pdoc would leave out the modules that a package's __all__ does not name.
    modules = {name: pdoc.doc.Module.from_name(name) for name in names}
    found = []
    for name, documented in modules.items():
        with warnings.catch_warnings():
            # Types that are imported for type checkers only are not there; pdoc then shows their names.
            warnings.filterwarnings("ignore", message="Error parsing type annotation")
            html = pdoc.render.html_module(documented, modules)
        html = html.replace(f"<p>{torch.nn.Module.__init__.__doc__}</p>", "")  # every layer inherits it
        body = html[html.index('<main class="pdoc">') : html.index("</main>")].partition(">")[2]
        members = [
            (member.qualname, member.docstring.strip().partition("\n")[0])
            for member in documented.members.values()
            if f'id="{member.qualname}"' in body
        ]
        inside = [other for other in names if other.rpartition(".")[0] == name]
        found.append(Module(name, body, members, inside, documented.docstring.strip().partition("\n")[0]))
    return found


def style() -> str:
    """CSS for pdoc's markup: its own, without its pictures, and the colours of the other pages."""
    import pdoc

    own = (Path(pdoc.__file__).parent / "templates" / "content.css").read_text()
    return re.sub(r"^.*\{%.*$\n", "", own, flags=re.MULTILINE) + (ASSETS / "api.css").read_text()


def code_colours() -> str:
    """CSS for highlighted code, light and dark: the system's setting, unless the reader chooses."""
    light, dark = (HtmlFormatter(style=name, nobackground=True) for name in (LIGHT_STYLE, DARK_STYLE))
    blocks = (".highlight", ".pdoc-code")
    by_system = [f':root:not([data-theme="light"]) {block}' for block in blocks]
    by_reader = [f':root[data-theme="dark"] {block}' for block in blocks]
    # Light everywhere, print included; dark on a screen if the reader, or else the system, asks for it.
    return "\n".join(
        (
            light.get_style_defs(list(blocks)),
            f"@media screen and (prefers-color-scheme: dark) {{\n{_forgetting(light, by_system)}",
            f"{dark.get_style_defs(by_system)}\n}}",
            f"@media screen {{\n{_forgetting(light, by_reader)}",
            f"{dark.get_style_defs(by_reader)}\n}}\n",
        )
    )


def _forgetting(formatter: HtmlFormatter, blocks: list[str]) -> str:
    """CSS that resets the colours of one style where the other sets none."""
    names = [rule.split(" {")[0] for rule in formatter.get_style_defs([""]).splitlines() if rule.startswith(" .")]
    return "\n".join(f"{block}{name} {{ color: inherit; font-weight: inherit }}" for name in names for block in blocks)
