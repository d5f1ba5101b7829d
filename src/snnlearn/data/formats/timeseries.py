"""The .ts files of sktime and aeon: time series of one or several channels, a class or a number for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.classes import is_number
from snnlearn.data.ends import about_lengths, rectangular
from snnlearn.data.files import read_text
from snnlearn.data.found import Asked, Form, Found

_FLAGS = {"true": True, "false": False}


def read_ts(path: Path, asked: Asked) -> Found:
    """Read time series, `[m, T, channels]`.

    The file is: header lines that start with `@`, such as `@classLabel true a b` with the names of the classes, and
    after `@data` a series in each line: channels separated by colons, values by commas, the class last, or with
    `@targetLabel true` the number that is to be predicted. Series may end at different times. A channel that ends
    before the others of its series is held at its last value.

    Source: Löning et al. 2019, sktime, doi:10.48550/arXiv.1909.07872; Middlehurst et al. 2024, aeon,
    doi:10.48550/arXiv.2406.14231, for the format.
    """
    lines = [line.strip() for line in read_text(path, "a .ts file").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "%"))]
    start = next((i for i, line in enumerate(lines) if line.lower() == "@data"), None)
    if start is None:
        raise SnnlearnError(f"{path} has no line @data, so it is not a .ts file; give one written by sktime or aeon")
    class_names, labelled, of_numbers = _header(lines[:start], path)
    if not lines[start + 1 :]:
        raise SnnlearnError(f"{path} has no series after @data; expected one in each line")
    series, labels = [], []
    for number, line in enumerate(lines[start + 1 :], start=1):
        *channels, last = line.split(":")
        if not labelled:
            channels = [*channels, last]
        elif not channels or (class_names and last.strip() not in class_names):
            raise SnnlearnError(
                f"{path}: series {number} ends with {last.strip()[:40]!r}, which is not a class in @classLabel; "
                "expected values, a colon and the class"
            )
        labels.append(last.strip())
        series.append(_channels(channels, f"{path}: series {number}"))
    if of_numbers:
        if wrong := [label for label in labels if not is_number(label)]:
            raise SnnlearnError(f"{path}: a series ends with {wrong[0][:40]!r}; expected a number, as of @targetLabel")
        found = np.array(labels, np.float64)
    else:
        found = np.array(labels) if labelled else None
    return _padded(series, found, class_names, asked, path)


def _header(lines: list[str], path: Path) -> tuple[tuple[str, ...], bool, bool]:
    """The classes' names, whether each series ends with its class or number, and whether it is a number."""
    about = {}
    for line in lines:
        if not line.startswith("@"):
            raise SnnlearnError(f"{path} has the line {line[:40]!r} before @data; expected lines that start with @")
        key, *values = line[1:].split() or [""]
        about[key.lower()] = values
    advices = {"timestamps": "give series of equal time steps"}
    for key, advice in (advices | dict.fromkeys(("classlabel", "targetlabel"), "write true or false")).items():
        flag = about.get(key, ["false"])[:1]
        if not flag or flag[0].lower() not in _FLAGS:
            raise SnnlearnError(f"{path} says @{key} {' '.join(flag)}; {advice}")
        if key == "timestamps" and _FLAGS[flag[0].lower()]:
            raise SnnlearnError(f"{path} has time stamps (@timeStamps true), which are not supported; {advice}")
    of_class = about.get("classlabel", ["false"])
    labelled, of_numbers = _FLAGS[of_class[0].lower()], _FLAGS[about.get("targetlabel", ["false"])[0].lower()]
    return tuple(of_class[1:]) if labelled else (), labelled or of_numbers, of_numbers and not labelled


def _channels(texts: list[str], where: str) -> np.ndarray:
    """One series, `[T, channels]`."""
    channels = []
    for text in texts:
        cells = text.split(",")
        if missing := sum(cell.strip().lower().lstrip("+-") in ("?", "nan", "") for cell in cells):
            raise SnnlearnError(
                f"{where} has {missing} missing values of {len(cells)} in a channel; fill them in, or drop the series"
            )
        if text.lstrip().startswith("("):
            raise SnnlearnError(f"{where} has time stamps, (time,value), which are not supported; give only values")
        try:
            channels.append(np.array(cells, np.float64))
        except ValueError as error:
            bad = next(cell for cell in cells if not is_number(cell))
            raise SnnlearnError(f"{where} has {bad.strip()[:40]!r}; expected numbers separated by commas") from error
    lengths = {len(channel) for channel in channels}
    if len(lengths) > 1:
        # Within a series, too, channels may end at different times.
        longest = max(lengths)
        channels = [np.pad(channel, (0, longest - len(channel)), mode="edge") for channel in channels]
    return np.stack(channels, axis=1)


def _padded(
    series: list[np.ndarray], labels: np.ndarray | None, class_names: tuple[str, ...], asked: Asked, path: Path
) -> Found:
    numbers = {one.shape[1] for one in series}
    if len(numbers) > 1:
        first = next(i for i, one in enumerate(series) if one.shape[1] != series[0].shape[1])
        raise SnnlearnError(
            f"{path}: series {first + 1} has {series[first].shape[1]} channels and the first {series[0].shape[1]}; "
            "expected as many in each"
        )
    lengths = np.array([len(one) for one in series])
    longest = int(lengths.max())
    if asked.form is not None and asked.form.shape:
        if lengths.max() > asked.form.shape[0]:
            raise SnnlearnError(
                f"{path} has a series of {lengths.max()} values; the network takes {asked.form.shape[0]}: cut it"
            )
        longest = asked.form.shape[0]
    check_memory(8 * len(series) * longest * series[0].shape[1], f"{path}, {len(series)} × {longest} values,", "cut it")
    x = rectangular(series, longest)
    of_numbers = labels is not None and labels.dtype.kind == "f"
    form = Form(task="regression" if of_numbers else "classification")
    return Found(x, labels, class_names=class_names, own_range=1, form=form, notes=about_lengths(lengths, longest))
