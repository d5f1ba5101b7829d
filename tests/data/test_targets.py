"""Real values and labels: what a file's numbers are taken for, how they are cut, and read again."""

from __future__ import annotations

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import Dataset, Form, Sample, load, read_like
from snnlearn.data.targets import is_continuous, targets_of

from .refusals import refused

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 3))
VALUES = X @ [1.0, -2.0, 0.5]
LABELS = (X > 0.3).astype(int)


def table(path, *columns, header="a,b,c,target"):
    lines = [",".join(map(repr, row)) for row in np.column_stack([X, *columns]).tolist()]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_column_of_many_numbers_is_predicted_and_a_sentence_says_so(tmp_path):
    task = load(table(tmp_path / "a.csv", VALUES))
    assert (task.task, task.num_classes, task.num_outputs, task.output_names) == ("regression", None, 1, ("target",))
    assert any("to be predicted (--task regression)" in note for note in task.notes)
    parts = [task.train, task.validation, task.test]
    found = sorted((x.tolist(), y.tolist()) for part in parts for x, y in zip(part.x, part.y, strict=True))
    expected = sorted((x.tolist(), [float(np.float32(y))]) for x, y in zip(X.astype(np.float32), VALUES, strict=True))
    assert found == expected and [len(part.y) for part in parts] == [42, 6, 12]


@pytest.mark.parametrize(
    ("values", "continuous"),
    [
        (np.arange(60.0), True),  # each once: none could be in all parts
        (np.arange(60) // 3, False),  # twenty classes
        (np.arange(60) % 30, True),
        (np.repeat([0.5, 1.5], 30), False),  # few, whatever they are
        (np.array(["a", "b"] * 30), False),
        (np.full(60, np.nan), False),
    ],
)
def test_what_is_taken_for_values(values, continuous):
    assert is_continuous(values) == continuous


def test_the_task_can_be_said(tmp_path):
    few = np.arange(60) % 4
    file = table(tmp_path / "a.csv", few, header="a,b,c,d")
    assert load(file).task == "classification"
    task = load(file, task="regression")
    assert task.task == "regression" and task.train.y.dtype == np.float32
    assert not any("to be predicted" in note for note in task.notes)
    np.savez(tmp_path / "a.npz", x=X, y=VALUES)
    assert load(tmp_path / "a.npz").task == "regression"
    refused((X, VALUES), "expected integers or words", task="classification")
    refused((X, few), "3 as a label|2 as a label", task="multi-label")


def test_several_columns_are_labels_or_values(tmp_path):
    header = "a,b,c,one,two,three"
    file = table(tmp_path / "a.csv", LABELS, header=header)
    task = load(file, label="one,two,three")
    assert (task.task, task.target_names, task.shape) == ("multi-label", ("one", "two", "three"), (3,))
    assert task.train.y.dtype == np.int32 and set(np.unique(task.train.y)) == {0, 1}
    again = read_like(file, task.form)
    np.testing.assert_array_equal(again.y, LABELS)
    values = load(table(tmp_path / "b.csv", VALUES, 2 * VALUES, header="a,b,c,u,v"), label="u,v")
    assert values.task == "regression" and values.num_outputs == 2
    np.testing.assert_allclose(values.test.y[:, 1], 2 * values.test.y[:, 0], rtol=1e-6)
    refused(file, "names a column twice", label="one,one")
    refused(file, "no column four", label="one,four")


def test_a_file_for_a_trained_network_gives_its_targets_or_none(tmp_path):
    form = load(table(tmp_path / "a.csv", VALUES)).form
    assert Form.from_json(form.to_json()) == form
    read = read_like(tmp_path / "a.csv", form).labelled(tmp_path)
    np.testing.assert_allclose(read.y[:, 0], VALUES, rtol=1e-6)
    bare = tmp_path / "bare.csv"
    bare.write_text("a,b,c\n1,2,3\n")
    assert read_like(bare, form).y is None


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["a"]), "expected numbers"),
        (np.zeros((2, 2, 2)), "expected numbers"),
        (np.array([np.inf]), "infinite"),
        (np.array([1e39]), "too large"),
        (1e9 + np.arange(9) / 10, "tell apart"),
    ],
)
def test_values_that_cannot_be_learned(y, message):
    with pytest.raises(SnnlearnError, match=message):
        targets_of(y, "regression", "it")


def test_a_target_that_is_constant_is_refused():
    refused((X, np.column_stack([VALUES, np.ones(60)])), "same value in each sample as target 1")


def test_groups_stay_together_where_values_are_predicted(tmp_path):
    groups = np.arange(60) // 5
    task = load(table(tmp_path / "a.csv", groups, VALUES, header="a,b,c,who,target"), group="who")
    number = {tuple(x): g for x, g in zip(X.astype(np.float32).tolist(), groups.tolist(), strict=True)}
    found = [{number[tuple(x)] for x in part.x.tolist()} for part in (task.train, task.validation, task.test)]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_a_data_set_refuses_targets_that_do_not_match():
    s = Sample(X.astype(np.float32), VALUES.astype(np.float32)[:, None])
    two = Sample(s.x, np.repeat(s.y, 2, axis=1))
    with pytest.raises(SnnlearnError, match="the test part of it has y of type float32"):
        Dataset("it", s, s, two, None, "values")
    with pytest.raises(SnnlearnError, match="one for each of the values"):
        Dataset("it", s, s, s, None, "values", target_names=("a", "b"))
    with pytest.raises(SnnlearnError, match="no classes to balance"):
        Dataset("it", s, s, s, None, "values").balanced()


def test_balanced_classes_count_alike():
    y = np.array([0, 0, 0, 1], np.int32)
    s = Sample(np.arange(4, dtype=np.float32)[:, None], y)
    learning = Dataset("it", s, s, s, 2, "values").balanced().learning
    totals = np.bincount(y, learning.train.weights)
    assert totals == pytest.approx([2, 2]) and learning.validation.weights is not None
    with pytest.raises(SnnlearnError, match="3 class weights"):
        Dataset("it", s, s, s, 2, "values", class_weights=(1.0, 1.0, 1.0))
