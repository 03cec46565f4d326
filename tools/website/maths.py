"""Mathematics without a request to another host: LaTeX becomes MathML here, and the site includes the font.

Browsers draw MathML by themselves, but need a font with a MATH table for brackets and roots that grow.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer

FONT_NAME = "math.woff"
FONT_CSS = f"""@font-face {{
  font-family: "Course Math";
  src: url("{FONT_NAME}") format("woff");
  font-display: swap;
}}
math {{ font-family: "Course Math", "STIX Two Math", "Cambria Math", math; }}
"""


class MathRenderer(IPythonRenderer):
    """nbconvert's own Markdown, with every formula turned into MathML."""

    def block_math(self, body: str) -> str:
        r"""$$ ... $$; formulas with a \qquad between them stand beside each other where there is room."""
        formulas = [to_mathml(part, "block") for part in apart(body)]
        return formulas[0] if len(formulas) == 1 else f'<div class="formulas">{"".join(formulas)}</div>'

    def inline_math(self, body: str) -> str:
        """$ ... $"""
        return to_mathml(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        r"""\\begin{name} ... \\end{name}"""
        return to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def apart(latex: str) -> list[str]:
    r"""The formulas between which there is a \qquad that is in no braces and in no environment.

    >>> apart(r"s = n \qquad k = \text{if \qquad not}")
    ['s = n', 'k = \\text{if \\qquad not}']
    """
    parts, depth = [""], 0
    for token in re.split(r"(\\(?:[A-Za-z]+|.)|[{}])", latex):
        if token == r"\qquad" and depth == 0:
            parts.append("")
            continue
        depth += (token in ("{", r"\begin", r"\left")) - (token in ("}", r"\end", r"\right"))
        parts[-1] += token
    return [part.strip() for part in parts if part.strip()] or [latex]


def to_mathml(latex: str, display: str) -> str:
    """MathML for a formula; `display` is "inline" or "block"."""
    namespace = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # HTML needs none, and headings stumble over it
    return convert(latex.strip(), display=display).replace(namespace, "")


def write_font(path: Path, characters: set[str]) -> None:
    """Write the part of STIX Two Math that these characters need, as a web font.

    Args:
        path: file to write.
        characters: every character that occurs in a formula.
    """
    options = subset.Options(flavor="woff", layout_features=["*"], notdef_outline=True)
    options.drop_tables += ["DSIG"]
    package = Path(find_spec("ziamath").origin).parent  # carries the font; its code is not needed
    font = subset.load_font(str(package / "fonts" / "STIXTwoMath-Regular.ttf"), options)
    # Single letters are set in the mathematical italic block, which the browser chooses by itself.
    codes = {ord(character) for character in characters} | set(range(0x20, 0x7F)) | set(range(0x1D434, 0x1D468))
    subsetter = subset.Subsetter(options)
    # The italic h is elsewhere; the minus and the root sign are in no formula's text: the browser draws them.
    subsetter.populate(unicodes=codes | {0x210E, 0x2212, 0x221A})
    subsetter.subset(font)
    subset.save_font(font, str(path), options)
