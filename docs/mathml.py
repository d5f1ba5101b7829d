"""A mkdocs hook: the equations of a page as MathML, which browsers show without any script."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves in a page, inline and as a block.
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(html_of_page: str, **_: Any) -> str:
    """Replace every equation of a page."""
    return _EQUATION.sub(_to_mathml, html_of_page)


def _to_mathml(equation: re.Match[str]) -> str:
    kind, latex = equation.groups()
    return convert(html.unescape(latex), display="block" if kind == "div" else "inline")
