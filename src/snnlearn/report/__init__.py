"""What a person sees of a run: a web page, a table in the terminal, and pictures of codes."""

from __future__ import annotations

from snnlearn.report.codes import CodeSummary, codes_figure, write_codes_html
from snnlearn.report.html import write_html
from snnlearn.report.measure import History, summarise
from snnlearn.report.statement import RiskStatement, state_risk
from snnlearn.report.summary import Example, LayerSummary, RunSummary
from snnlearn.report.terminal import print_summary, terminal_raster

__all__ = [
    "CodeSummary",
    "Example",
    "History",
    "LayerSummary",
    "RiskStatement",
    "RunSummary",
    "codes_figure",
    "print_summary",
    "state_risk",
    "summarise",
    "terminal_raster",
    "write_codes_html",
    "write_html",
]
