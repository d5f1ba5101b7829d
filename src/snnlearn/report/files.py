"""Where reports go: a page, files of numbers, and the terminal."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from snnlearn._files import write_atomically, write_json
from snnlearn.report.html import page
from snnlearn.report.terminal import print_report
from snnlearn.report.value import Report


def write_page(report: Report, path: str | os.PathLike[str]) -> Path:
    """Write a report as one HTML file that opens offline.

    Args:
        report: The report.
        path: The file; an older one is replaced completely.

    Returns:
        The path.
    """
    # File names may contain bytes that are not text.
    write_atomically(path, page(report).encode("utf-8", "replace"))
    return Path(path)


def write(report: Report, folder: str | os.PathLike[str], name: str = "report.html") -> Path:
    """Write a report's numbers as JSON, and its page.

    Args:
        report: The report.
        folder: The folder; older files in it are replaced completely.
        name: Of the page.

    Returns:
        The page's path.
    """
    for file, content in report.numbers.items():
        write_json(Path(folder) / f"{file}.json", plain(content))
    return write_page(report, Path(folder) / name)


def present(report: Report, folder: Path, console: Console, name: str = "report.html") -> None:
    """Print a report, write it, and print its path.

    Args:
        report: The report.
        folder: Where it goes.
        console: Where to print.
        name: Of the page.
    """
    print_report(report, console)
    console.print(f"Report: {write(report, folder, name)}", soft_wrap=True)


def plain(value: Any) -> Any:
    """JSON-compatible values: dataclasses become objects, arrays lists, and non-finite numbers null.

    >>> plain({"risk": np.float64(0.5), "seeds": np.arange(2), "interval": (0.1, math.nan)})
    {'risk': 0.5, 'seeds': [0, 1], 'interval': [0.1, None]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
