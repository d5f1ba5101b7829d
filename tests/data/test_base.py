"""Splits and checks of samples: what a part may be, and what is refused with one sentence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.data import Dataset, Sample, split


def numbered(sizes: list[int]) -> Sample:
    """A sample whose x are 0, 1, …, so that each can be followed, with classes of these sizes in turn."""
    y = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return Sample(np.arange(y.size, dtype=np.float32)[:, None], y)


def dataset(**changes) -> Dataset:
    s = Sample(np.array([[0.0, 1.0], [1.0, 0.5]], np.float32), np.array([0, 1], np.int32))
    fields = {"name": "set", "train": s, "validation": s, "test": s, "num_classes": 2, "kind": "values"}
    return Dataset(**(fields | changes))


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(10, 60), min_size=2, max_size=5),
    validation=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 100),
)
def test_split_is_a_stratified_partition(sizes, validation, test, seed):
    s = numbered(sizes)
    parts = split(s, validation=validation, test=test, seed=seed)
    assert sorted(np.concatenate([part.x[:, 0] for part in parts]).tolist()) == s.x[:, 0].tolist()
    for part in parts:
        np.testing.assert_array_equal(s.y[part.x[:, 0].astype(int)], part.y)
    for part, fraction in zip(parts[1:], (validation, test), strict=True):
        counts = np.bincount(part.y, minlength=len(sizes))
        assert np.all(np.abs(counts - fraction * np.array(sizes)) <= 1)


def test_split_depends_on_its_seed_and_mixes_the_classes():
    s = numbered([500, 500])
    first, again, other = (split(s, seed=seed)[0].x for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    # A part sorted by class would have one class only in its first half.
    y = split(s)[0].y
    assert 0.4 < y[: y.size // 2].mean() < 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": 0.0}, "validation is 0.0"),
        ({"test": 1.5}, "test is 1.5"),
        ({"test": float("nan")}, "test is nan"),
        ({"validation": 0.5, "test": 0.5}, "leave a rest"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_split_refuses_fractions_that_leave_nothing(changes, message):
    with pytest.raises(SnnlearnError, match=message):
        split(numbered([10, 10]), **changes)


def test_split_names_the_class_that_is_too_small():
    assert [part.y.tolist().count(1) for part in split(numbered([9, 3]))] == [1, 1, 1]
    with pytest.raises(SnnlearnError, match="class 1 has 2 samples"):
        split(numbered([9, 2]))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "empty"),
        (np.zeros((3, 0)), np.zeros(3, int), "empty"),
        (np.zeros((3, 2)), np.zeros(4, int), "3 samples and 4 labels"),
        (np.zeros(3), np.zeros(3, int), "at least two axes"),
        (np.full((3, 2), np.nan), np.zeros(3, int), "NaN"),
        (np.full((3, 2), -np.inf), np.zeros(3, int), "NaN, infinite"),
        (np.full((3, 2), 1e39), np.zeros(3, int), "too large for float32"),
        (np.zeros((3, 2), complex), np.zeros(3, int), "real numbers"),
        (np.zeros((3, 2), object), np.zeros(3, int), "real numbers"),
        (np.zeros((3, 2)), np.zeros(3), "expected integers"),
        (np.zeros((3, 2)), np.zeros((3, 1), int), "expected integers"),
        (np.zeros((3, 2)), np.zeros(3, bool), "expected integers"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), "labels from -1"),
        (np.zeros((3, 2)), np.array([0, 1, 2**32]), "to 4294967296"),
    ],
)
def test_unusable_samples_are_refused_by_split_and_by_dataset(x, y, message):
    with pytest.raises(SnnlearnError, match=message):
        split(Sample(x, y))
    with pytest.raises(SnnlearnError, match=f"the validation part of set .*{message}"):
        dataset(validation=Sample(x, y))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64, np.bool_])
def test_any_real_type_is_checked_without_warnings(dtype):
    x = np.ones((30, 2), dtype)
    assert split(Sample(x, np.arange(30) % 2))[0].x.dtype == dtype


def test_shape_is_that_of_one_x():
    assert dataset().shape == (2,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 3}, "has 2 classes; expected 3"),
        ({"num_classes": 1}, "label 1; expected 0 to 0"),
        ({"train": Sample(np.ones((2, 2)), np.array([0, 2])), "num_classes": 3}, "no sample of class 1"),
        ({"train": Sample(np.ones((2, 2)), np.array([0, 0]))}, "only class 0"),
        ({"test": Sample(np.ones((2, 3)), np.array([0, 1]))}, r"test part of set has x of shape \(3,\)"),
        ({"test": Sample(np.ones((2, 2)), np.array([0, 2]))}, "test part of set has the label 2"),
        ({"low": 1.0}, "all equal"),
        ({"dt": 0.0}, "time step dt"),
        ({"class_names": ("a",)}, "1 class names for 2 classes"),
        ({"kind": "spikes"}, "not spikes"),
    ],
)
def test_datasets_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(SnnlearnError, match=message):
        dataset(**changes)


def test_spikes_are_zeros_and_ones():
    good = Sample(np.array([[[0, 1]], [[1, 0]]], np.uint8), np.array([0, 1], np.int32))
    parts = dict.fromkeys(("train", "validation", "test"), good)
    assert dataset(kind="spikes", **parts).shape == (1, 2)
    with pytest.raises(SnnlearnError, match="test part of set is not spikes"):
        dataset(kind="spikes", **(parts | {"test": Sample(good.x * 2, good.y)}))


def test_the_package_needs_no_jax():
    code = (
        "import sys, types; top = types.ModuleType('snnlearn'); top.__path__ = [sys.argv[1]]; "
        "sys.modules['snnlearn'] = top; import snnlearn.data; assert 'jax' not in sys.modules"
    )
    import snnlearn.data

    source = str(snnlearn.data.__file__).rsplit("/data/", 1)[0]
    subprocess.run([sys.executable, "-c", code, source], check=True)


@settings(max_examples=20, deadline=None)
@given(copies=st.integers(2, 5), seed=st.integers(0, 100))
def test_equal_samples_stay_in_one_part(copies, seed):
    y = np.repeat(np.random.default_rng(seed).integers(0, 2, 40).astype(np.int32), copies)
    y[:4], y[-4:] = 0, 1  # among the copies of the first and last few are other labels too
    s = Sample(np.repeat(np.arange(40, dtype=np.float64), copies)[:, None], y)
    shuffled = np.random.default_rng(seed).permutation(len(y))
    parts = split(Sample(s.x[shuffled], s.y[shuffled]), validation=0.2, test=0.3, seed=seed)
    assert sorted(np.concatenate([part.x[:, 0] for part in parts]).tolist()) == s.x[:, 0].tolist()
    held = [set(part.x[:, 0].tolist()) for part in parts]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])
    for part, share in zip(parts[1:], (0.2, 0.3), strict=True):
        assert abs(len(part.y) - share * len(y)) <= 2 * copies


def test_classes_of_few_different_samples_are_cut_one_by_one():
    xor = Sample(np.tile([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], (10, 1)), np.tile([0, 0, 1, 1], 10))
    parts = split(xor)
    assert [np.bincount(part.y).tolist() for part in parts] == [[14, 14], [2, 2], [4, 4]]
    whole = Dataset("xor", *parts, num_classes=2, kind="values").unseen()
    assert whole.all_seen and whole.left_out == 0 and len(whole.test.y) == 8


def test_what_was_seen_is_taken_out_of_the_test_part():
    train, test = (Sample(np.array(x, np.float32)[:, None], np.array([0, 1, 1])) for x in ([1, 2, 3], [0, -0.0, 2]))
    data = Dataset("numbers", train, train, test, num_classes=2, kind="values").unseen()
    assert data.test.x[:, 0].tolist() == [0, 0] and data.left_out == 1 and not data.all_seen
