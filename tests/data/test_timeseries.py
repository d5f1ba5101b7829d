"""Time series in .ts files, written here as the format's own description has it."""

from __future__ import annotations

import numpy as np
import pytest

from snnlearn.data import lengths_of, load, read_like
from snnlearn.data.ends import own_steps

from .refusals import refused, spoil

RNG = np.random.default_rng(0)
HEAD = """#A comment
@problemName Made
@timeStamps {stamps}
@missing false
@univariate {univariate}
@dimensions {channels}
@equalLength true
@seriesLength 5
@classLabel {labels}
@data
"""


def write(path, series, labels, *, stamps="false", classes="true walk run"):
    """A series is [channels][T]; each line is channels, then its class."""
    channels = len(series[0])
    head = HEAD.format(stamps=stamps, univariate=str(channels == 1).lower(), channels=channels, labels=classes)
    lines = [
        ":".join([*(",".join(map(repr, map(float, one))) for one in channels), *([label] if label else [])])
        for channels, label in zip(series, labels, strict=True)
    ]
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def series_of(task):
    names = task.class_names
    parts = (task.train, task.validation, task.test)
    each = [(x[:n], y) for part in parts for x, y, n in zip(part.x, part.y, own_steps(part.x), strict=True)]
    return sorted((x.tolist(), names[y]) for x, y in each)


@pytest.mark.parametrize("channels", [1, 3])
def test_values_are_read_to_the_last_bit(tmp_path, channels):
    x = RNG.normal(size=(24, channels, 5)) * 10.0 ** RNG.integers(-20, 20, (24, channels, 1))
    labels = ["run" if i % 2 else "walk" for i in range(24)]
    task = load(write(tmp_path / "a.ts", x, labels))
    expected = sorted((one.T.astype(np.float32).tolist(), label) for one, label in zip(x, labels, strict=True))
    assert series_of(task) == expected and task.shape == (5, channels) and task.class_names == ("walk", "run")
    # Each channel has a range of its own: here they differ by many orders of magnitude.
    np.testing.assert_array_equal(task.low, task.train.x.min(axis=(0, 1)))
    np.testing.assert_array_equal(task.high, task.train.x.max(axis=(0, 1)))
    assert task.notes == ()


def test_numbers_to_predict(tmp_path):
    x, y = RNG.normal(size=(24, 2, 5)), RNG.integers(0, 3, 24).astype(float)
    path = write(tmp_path / "a.ts", x, list(map(repr, y.tolist())), classes="false")
    path.write_text(path.read_text().replace("@classLabel false", "@targetLabel true"))
    task = load(path)
    assert (task.task, task.shape, task.structure) == ("regression", (5, 2), "series")
    parts = (task.train, task.validation, task.test)
    found = sorted((x.tolist(), float(y[0])) for part in parts for x, y in zip(part.x, part.y, strict=True))
    expected = zip(x.transpose(0, 2, 1).astype(np.float32), y, strict=True)
    assert found == sorted((one.tolist(), float(value)) for one, value in expected)
    again = read_like(path, task.form).y
    assert again is not None
    np.testing.assert_array_equal(again[:, 0], y)


def test_the_test_file_beside_the_training_file(tmp_path):
    x, labels = RNG.normal(size=(20, 2, 5)), ["run", "walk"] * 10
    write(tmp_path / "Made_TRAIN.ts", x, labels)
    write(tmp_path / "Made_TEST.ts", x[:4, :, :3] + 1, labels[:4])
    task = load(tmp_path / "Made_TRAIN.ts")
    over = np.full((4, x.shape[1], 2), np.nan)
    expected = np.concatenate([x[:4, :, :3] + 1, over], axis=2).transpose(0, 2, 1).astype(np.float32)
    np.testing.assert_array_equal(task.test.x, expected)
    assert len(task.train.y) + len(task.validation.y) == 20
    assert "The test part is Made_TEST.ts." in task.notes


def test_shorter_series_end_early_and_it_is_said(tmp_path):
    lengths = [3 + i % 3 for i in range(20)]
    x = [RNG.normal(size=(2, length)) for length in lengths]
    labels = ["run", "walk"] * 10
    task = load(write(tmp_path / "a.ts", x, labels))
    expected = sorted((one.T.astype(np.float32).tolist(), label) for one, label in zip(x, labels, strict=True))
    assert series_of(task) == expected
    assert "14 of 20 series are shorter than 5 values, the shortest 3" in " ".join(task.notes)
    read = read_like(write(tmp_path / "b.ts", [one[:, :2] for one in x], labels), task.form)
    assert read.x.shape == (20, 5, 2) and (lengths_of(read.x) == 2).all()
    assert read.y.tolist() == [1, 0] * 10
    unlabelled = write(tmp_path / "c.ts", x, [""] * 20, classes="false")
    assert read_like(unlabelled, task.form).y is None
    with pytest.raises(ValueError, match="a series of 7 values; the network takes 5"):
        read_like(write(tmp_path / "d.ts", [np.ones((2, 7))], ["run"]), task.form)


GOOD = HEAD.format(stamps="false", univariate="false", channels=2, labels="true walk run")
REFUSED = {
    "nothing": ("", "is empty"),
    "no data line": (GOOD.replace("@data", ""), "no line @data"),
    "no series": (GOOD, "no series after @data"),
    "missing": (GOOD + "1,?,3:1,2,3:walk\n", "series 1 has 1 missing values of 3"),
    "NaN": (GOOD + "1,2,3:1,NaN,3:walk\n", "series 1 has 1 missing values of 3"),
    "NaN, as if the series ended": (GOOD + "1,2,-NAN:1,2,NAN:walk\n", "series 1 has 1 missing values of 3"),
    "word": (GOOD + "1,2,3:1,2,3:walk\n1,two,3:1,2,3:run\n", "series 2 has 'two'; expected numbers"),
    "infinite": (GOOD + "1,2:1,inf:walk\n1,2:3,4:run\n", "NaN, infinite"),
    "another class": (GOOD + "1,2,3:1,2,3:jump\n", "'jump', which is not a class in @classLabel"),
    "no class": (GOOD + "1,2,3:1,2,3\n", "not a class in @classLabel"),
    "channels": (GOOD + "1,2:1,2:walk\n1,2:run\n", "series 2 has 1 channels and the first 2"),
    "stamps": (GOOD.replace("@timeStamps false", "@timeStamps true"), "time stamps"),
    "stamps unsaid": (GOOD + "(0,1),(1,2):(0,1),(1,2):walk\n", "time stamps"),
    "words to predict": (
        GOOD.replace("@classLabel true walk run", "@targetLabel true") + "1,2:a\n",
        "expected a number",
    ),
    "no flag": (GOOD.replace("@classLabel true walk run", "@targetLabel maybe"), "write true or false"),
    "unlabelled": (GOOD.replace("true walk run", "false") + "1,2:3,4\n", "has no labels"),
    "words before": ("words\n" + GOOD + "1,2:3,4:walk\n", "lines that start with @"),
    "flag": (GOOD.replace("@timeStamps false", "@timeStamps maybe"), "@timestamps maybe"),
    "binary": (b"\x89PNG" + bytes(30), "not UTF-8 text|zero bytes"),
    "one class": (GOOD + "1,2:3,4:walk\n", "only class walk"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_files_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.ts").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(tmp_path / "a.ts", message)


def test_spoilt_files_are_read_or_refused(tmp_path):
    write(tmp_path / "a.ts", RNG.normal(size=(20, 2, 5)), ["run", "walk"] * 10)
    assert spoil(tmp_path / "a.ts") > 10
    (tmp_path / "b.ts").mkdir()
    refused(tmp_path / "b.ts", "no known format")


def test_the_ucr_archive_has_its_labels_first(tmp_path):
    x = RNG.normal(size=(20, 6))
    for part, shift in (("TRAIN", 0), ("TEST", 1)):
        lines = ["\t".join([str(1 + i % 2), *map(repr, (row + shift).tolist())]) for i, row in enumerate(x)]
        (tmp_path / f"Made_{part}.tsv").write_text("\n".join(lines))
    task = load(tmp_path / "Made_TRAIN.tsv")
    assert task.shape == (6, 1) and task.class_names == ("1", "2")
    np.testing.assert_array_equal(task.test.x[..., 0], (x + 1).astype(np.float32))
    assert task.test.y.tolist() == [0, 1] * 10 and np.shape(task.low) == (1,)
