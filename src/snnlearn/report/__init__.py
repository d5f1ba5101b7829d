"""Presentation of results: reports, on a page and in a terminal, and pictures of codes."""

from __future__ import annotations

from snnlearn.report.codes import CodeSummary, codes_figure, codes_report
from snnlearn.report.files import present, write, write_page
from snnlearn.report.labels import LabelSummary, label_report, summarise_labels
from snnlearn.report.measure import History, summarise
from snnlearn.report.run import run_report
from snnlearn.report.statement import RiskStatement, state_risk
from snnlearn.report.summary import Example, LayerSummary, RunSummary, TrainingSummary
from snnlearn.report.terminal import print_report, terminal_raster
from snnlearn.report.value import Report
from snnlearn.report.values import ValueSummary, summarise_values, value_report

__all__ = [
    "CodeSummary",
    "Example",
    "History",
    "LabelSummary",
    "LayerSummary",
    "Report",
    "RiskStatement",
    "RunSummary",
    "TrainingSummary",
    "ValueSummary",
    "codes_figure",
    "codes_report",
    "label_report",
    "present",
    "print_report",
    "run_report",
    "state_risk",
    "summarise",
    "summarise_labels",
    "summarise_values",
    "terminal_raster",
    "value_report",
    "write",
    "write_page",
]
