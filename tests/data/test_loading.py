"""One way in: classes and their names, parts and groups, objects in Python, and that a file never runs code."""

from __future__ import annotations

import os
import pickle
import zipfile

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample, load, read_like
from snnlearn.data.classes import names_of, numbered
from snnlearn.data.groups import split_groups

from .refusals import refused, spoil

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), np.arange(40) % 2


def pairs(task):
    parts = (task.train, task.validation, task.test)
    return sorted((x.tolist(), int(y)) for part in parts for x, y in zip(part.x, part.y, strict=True))


EXPECTED = sorted((x.tolist(), int(y)) for x, y in zip(X.astype(np.float32), Y, strict=True))


class Tensor:
    """What snnlearn asks of PyTorch's tensors, which refuse to be arrays while they have a gradient."""

    def __init__(self, array, attached=True):
        self.array, self.attached = np.asarray(array), attached

    def detach(self):
        return Tensor(self.array, attached=False)

    def cpu(self):
        return self

    def item(self):
        return self.array.item()

    def __array__(self, dtype=None, copy=None):
        assert not self.attached, "a tensor that requires grad"
        return self.array if dtype is None else self.array.astype(dtype)


class Dataset:
    """A map-style data set of PyTorch."""

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return Tensor(X[index]), Tensor(Y[index])


@pytest.mark.parametrize(
    "source",
    [
        (X, Y),
        (X.tolist(), Y.tolist()),
        (Tensor(X), Tensor(Y)),
        [Tensor(X), Tensor(Y)],
        Dataset(),
        list(zip(X, Y, strict=True)),
        (list(X), list(Y)),
        (X, Y.astype(float)),
        (X, Y.astype(bool)),
        (X, np.array(["no", "yes"], object)[Y]),
    ],
    ids=lambda source: f"{type(source).__name__}",
)
def test_what_is_in_python_already(source):
    task = load(source)
    assert pairs(task) == EXPECTED and task.kind == "values"
    np.testing.assert_allclose([task.low, task.high], [task.train.x.min(), task.train.x.max()])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, "load got int; give a path"),
        (None, "load got NoneType"),
        ({"x": X, "y": Y}, "give \\(x, y\\)"),
        ((X, Y[:-1]), "40 samples and 39 labels"),
        ((X, Y / 2 + 0.25), "expected integers or words"),
        ((X, [None] * 40), "expected integers or words"),
        ((X * np.nan, Y), "NaN"),
        ((X.astype(str), Y), "expected real numbers"),
        (([*X[:39], X[0, :2]], Y), "different shapes"),
        ([], "is empty"),
        ([1, 2, 3], "contains something other than pairs"),
        ((X, Y * 0), "only class 0"),
        ((X[:0], Y[:0]), "is empty|no sample|zero-size"),
        (X, "load got ndarray"),
        ((X, Y[:, None]), "expected integers or words"),
    ],
)
def test_objects_that_cannot_be_used(source, message):
    refused(source, message)


def test_words_and_gaps_in_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.array(["no", "yes"])[Y])
    assert load(tmp_path / "a.npz").class_names == ("no", "yes")
    np.savez(tmp_path / "a.npz", x=X, y=np.where(Y, 7, -3))
    task = load(tmp_path / "a.npz")
    assert task.class_names == ("-3", "7") and pairs(task) == EXPECTED
    assert read_like(tmp_path / "a.npz", task.form).y.tolist() == Y.tolist()
    np.savez(tmp_path / "a.npz", x=X, y=Y, class_names=["no", "yes"])
    assert load(tmp_path / "a.npz").class_names == ("no", "yes")
    assert spoil(tmp_path / "a.npz") > 15


def test_names_of_classes_and_their_numbers():
    assert names_of(np.array(["10", "9", "x"]), (), "it")[0] == ("9", "10", "x")
    assert names_of(np.array([2, 0, 2]), ("a", "b", "c"), "it") == (
        ("a", "c"),
        ("No sample is of class b, which the file declares.",),
    )
    assert numbered(np.array([2, 0]), ("a", "c"), ("a", "b", "c"), "it").tolist() == [1, 0]
    # Numbers are names where names are numbers, and else the classes' own.
    assert numbered(np.array([5, 3]), ("3", "5"), (), "it").tolist() == [1, 0]
    assert numbered(np.array([1, 0]), ("cat", "dog"), (), "it").tolist() == [1, 0]
    for labels, names in ((np.array([0]), ("3", "5")), (np.array([2]), ("cat", "dog")), (np.array(["x"]), ("a", "b"))):
        with pytest.raises(SnnlearnError, match="not in training"):
            numbered(labels, names, (), "it")
    with pytest.raises(SnnlearnError, match="names 2 classes"):
        names_of(np.array([0, 2]), ("a", "b"), "it")


def test_a_test_part_of_other_classes_is_refused(tmp_path):
    for part, last in (("train", "yes"), ("test", "perhaps")):
        rows = "".join(f"{x},{'no' if i % 2 else last}\n" for i, x in enumerate(X[:, 0]))
        (tmp_path / f"a_{part}.csv").write_text("x,label\n" + rows)
    refused(tmp_path / "a_train.csv", "the test part of a_train has the class perhaps.*training: no, yes")


def test_groups_that_share_a_sample_are_one():
    x = np.arange(12, dtype=np.float32)[:, None]
    x[11] = x[0]  # so that groups 0 and 5 are one
    sample = Sample(x, np.arange(12, dtype=np.int32) % 2)
    for seed in range(5):
        parts = split_groups(sample, np.arange(12) // 2, {"validation": 0.2, "test": 0.3}, seed)
        held = [set(part.x[:, 0].tolist()) for part in parts]
        assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
        whole = next(one for one in held if 0 in one)
        assert {0, 1, 10} <= whole
    same = [split_groups(sample, np.arange(12) // 2, {"validation": 0.2}, 3)[1].x.tolist() for _ in range(2)]
    assert same[0] == same[1]


def test_groups_that_leave_a_class_out_of_training_are_refused():
    sample = Sample(np.arange(9, dtype=np.float32)[:, None], np.repeat(np.int32([0, 0, 1]), 3))
    with pytest.raises(SnnlearnError, match=r"leave class \d without a training sample"):
        for seed in range(30):
            split_groups(sample, np.repeat([0, 1, 2], 3), {"validation": 0.3, "test": 0.3}, seed)


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv", "a.ts", "a.png", "a.h5", "a.arff", "a.bin", "a.aedat"])
def test_a_file_never_runs_code(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(_Bomb())
    if name == "a.npz":
        with zipfile.ZipFile(name, "w") as archive:
            for member in ("x.npy", "y.npy"):
                np.save(tmp_path / "one.npy", np.array([_Bomb()]), allow_pickle=True)
                archive.write(tmp_path / "one.npy", member)
    elif name == "a.npy":
        np.save(name, np.array([_Bomb()]), allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SnnlearnError):
        load(tmp_path / name)
    assert not (tmp_path / "exploded").exists()
