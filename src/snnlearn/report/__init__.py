"""Presentation of results: reports, on a page and in a terminal, and pictures of codes."""

from __future__ import annotations

from snnlearn.report.codes import CodeSummary, codes_figure, codes_report
from snnlearn.report.files import present, write, write_page
from snnlearn.report.measure import History, summarise
from snnlearn.report.run import run_report
from snnlearn.report.statement import RiskStatement, state_risk
from snnlearn.report.summary import Example, LayerSummary, RunSummary
from snnlearn.report.terminal import print_report, terminal_raster
from snnlearn.report.value import Report

__all__ = [
    "CodeSummary",
    "Example",
    "History",
    "LayerSummary",
    "Report",
    "RiskStatement",
    "RunSummary",
    "codes_figure",
    "codes_report",
    "present",
    "print_report",
    "run_report",
    "state_risk",
    "summarise",
    "terminal_raster",
    "write",
    "write_page",
]
