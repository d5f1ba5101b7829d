"""A search chooses the least, in the same order however often it was interrupted."""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.algorithms import (
    Between,
    GradientDescent,
    Hyperband,
    Median,
    OneOf,
    Optimizer,
    Outcome,
    Search,
    Trial,
    Tuned,
    Whole,
    WholeTrials,
    best,
    check_algorithm,
    front,
)

EPOCHS = 6
SPACE = {"x": Between(-4.0, 4.0), "rate": Between(1e-3, 1.0, log=True), "n": Whole(1, 9), "kind": OneOf(("a", "b"))}
FIRST = {"x": 0, "rate": 0.1, "n": 5, "kind": "b"}


def bowl(settings, report):
    """Least at x = 1, rate 0.1, n = 1 and kind b; falls over the epochs; 7 is refused."""
    if settings["n"] == 7:
        raise SnnlearnError("n is 7; give another")
    value = (
        (settings["x"] - 1) ** 2 + math.log10(10 * settings["rate"]) ** 2 + settings["n"] + (settings["kind"] == "a")
    )
    for epoch in range(EPOCHS):
        report(value * (2 - epoch / EPOCHS))
    return Outcome((value,), {"note": settings["n"]}, tie=value)


TRIALS = 15  # of which TPE, and not chance, chooses the last five


def search(trials=TRIALS, **others):
    return Search(SPACE, trials, epochs=EPOCHS, first=FIRST, **others)


@pytest.mark.parametrize("pruning", [Median(), Hyperband()], ids=lambda one: type(one).__name__)
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(pruning, tmp_path):
    unbroken = list(search(pruning=pruning).run(bowl))
    calls, file = itertools.count(), tmp_path / "trials of ? and %.sqlite"

    def killed(settings, report):
        if next(calls) % 6 == 5:
            report(0.0)  # which is not kept
            raise KeyboardInterrupt
        return bowl(settings, report)

    seen, found = [], []
    for _ in range(TRIALS):
        found = []
        try:
            for one in search(pruning=pruning).run(killed, file):
                found.append(one)
            break
        except KeyboardInterrupt:
            assert found[: len(seen)] == seen  # no finished trial is lost
            seen = found
    assert found == unbroken and len(found) == TRIALS
    outcomes = [one.outcome for one in found]
    assert (
        outcomes[0] == "finished" and {k: float(v) if k != "kind" else v for k, v in FIRST.items()} == found[0].settings
    )
    assert ("given up" in outcomes) == (not isinstance(pruning, WholeTrials))
    other = list(search(pruning=pruning, seed=1).run(bowl))
    assert [one.settings for one in other[1:]] != [one.settings for one in unbroken[1:]]  # the seed is what decides


def test_the_least_of_the_bowl_is_found():
    """Better than as many random trials, on average over seeds."""
    rng, found, by_chance = np.random.default_rng(0), [], []
    for seed in range(3):
        found.append(best(list(search(30, pruning=WholeTrials(), seed=seed).run(bowl))).values[0])
        values = [
            (rng.uniform(-4, 4) - 1) ** 2 + (1 + rng.uniform(-3, 0)) ** 2 + rng.integers(1, 10) + rng.integers(2)
            for _ in range(30)
        ]
        by_chance.append(min(values))
    assert np.mean(found) < np.mean(by_chance) and min(found) < 2


def test_what_is_refused_is_kept_and_never_chosen():
    trials = list(Search({"n": Whole(6, 8), "x": Between(0.0, 1.0)}, 12).run(refusing))
    refused = [one for one in trials if one.refused]
    assert refused and all(one.settings["n"] == 7 and one.refused == "n is 7; give another" for one in refused)
    assert all(one.outcome == "refused" and not one.values for one in refused)
    assert best(trials).settings["n"] == 6 and best(refused) is None


def refusing(settings, report):
    if settings["n"] == 7:
        raise SnnlearnError("n is 7; give another")
    return Outcome((float(settings["n"]),))


def test_importance_is_that_of_the_setting_that_matters():
    one = Search({"x": Between(-1.0, 1.0), "y": Between(-1.0, 1.0)}, 30)
    trials = list(one.run(lambda settings, report: Outcome((settings["y"] ** 2,))))
    found = one.importance(trials)
    assert next(iter(found)) == "y" and found["y"] > 0.6 and sum(found.values()) == pytest.approx(1)
    assert one.importance(trials[:3]) == {}


def test_the_front_of_several_objectives():
    """By brute force; the least of all first values is on it, and random points are not all on it."""
    two = Search({"x": Between(-1.0, 1.0), "y": Between(-1.0, 1.0)}, 25, objectives=2)
    trials = list(two.run(lambda s, _: Outcome((s["x"] ** 2 + s["y"] ** 2, (s["x"] - 1) ** 2 + s["y"] ** 2))))
    values = np.array([one.values for one in trials])
    free = [n for n, v in enumerate(values) if not any((w <= v).all() and (w < v).any() for w in values)]
    assert sorted(one.number for one in front(trials)) == free and 1 < len(free) < len(trials)
    assert best(trials) == front(trials)[0]


def test_equal_values_are_decided_by_the_tie_and_then_by_the_first():
    trials = [Trial(n, {}, (0.5,), (), {}, tie=tie) for n, tie in enumerate((2.0, 1.0, 1.0))]
    assert best(trials).number == 1


@pytest.mark.parametrize(
    "content", [b"", b"nothing of this kind" * 400, b"SQLite format 3\0" + bytes(4000)], ids=["empty", "text", "cut"]
)
def test_a_file_that_is_damaged(content, tmp_path):
    file = tmp_path / "trials.sqlite"
    file.write_bytes(content)
    if not content:  # as one that a killed process has just made
        assert len(list(search(2).run(bowl, file))) == 2
        return
    with pytest.raises(SnnlearnError, match=r"trials.sqlite is damaged; restore it, or remove it"):
        list(search(2).run(bowl, file))


def test_a_file_of_another_search(tmp_path):
    file = tmp_path / "trials.sqlite"
    list(search(2).run(bowl, file))
    with pytest.raises(SnnlearnError, match="is of a search over other settings"):
        list(Search(SPACE | {"x": Between(-4.0, 5.0)}, 2).run(bowl, file))
    with pytest.raises(SnnlearnError, match="is damaged"):
        list(search(2, objectives=2).run(bowl, file))
    with pytest.raises(SnnlearnError, match="is not a file"):
        list(search(2).run(bowl, tmp_path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Between(2.0, 1.0), "Between: low is 2.0 and high 1.0; give two numbers, low < high"),
        (lambda: Between(0.0, 1.0, log=True), "low is 0.0, which has no logarithm"),
        (lambda: Between(0.0, math.inf), "low is 0.0 and high inf"),
        (lambda: Whole(1, 1), "Whole: low is 1 and high 1"),
        (lambda: OneOf(("a",)), "OneOf: options is"),
        (lambda: Median(startup=0), "Median: startup is 0"),
        (lambda: Median(wait=1.0), "Median: startup is 5 and wait 1.0"),
        (lambda: Hyperband(factor=1), "Hyperband: factor is 1; give at least 2"),
        (lambda: Search({}), "Search: space is empty"),
        (lambda: Search(SPACE, 0), "Search: trials is 0; give at least 1"),
        (lambda: Search(SPACE, seed=-1), "Search: seed is -1"),
        (lambda: Tuned(GradientDescent, {}), "Search: space is empty"),
        (lambda: Tuned(GradientDescent, SPACE, seeds=0), "Tuned: seeds is 0"),
    ],
)
def test_what_no_search_is_made_of(make, said):
    with pytest.raises(SnnlearnError) as refusal:
        make()
    assert said in str(refusal.value)


DATA = sl.data.yin_yang(num_train=64, num_validation=32, num_test=8)
NETWORK = sl.network.feedforward((4, 8, 3), key=jax.random.key(0))
CODE = sl.coding.Current(num_steps=5)


def make(learning_rate, epochs=1):
    if learning_rate > 1:
        raise SnnlearnError("too large")
    return GradientDescent(optimizer=Optimizer(optax.adam, learning_rate), epochs=epochs, batch_size=16)


def test_a_tuned_algorithm_obeys_the_laws():
    check_algorithm(Tuned(make, {"learning_rate": OneOf((1e-9, 0.3))}, 3), CODE, NETWORK, DATA.learning, key=KEY)


KEY = jax.random.key(7)


def test_a_tuned_algorithm_returns_what_the_best_trial_has_learned():
    tuned = Tuned(make, {"learning_rate": OneOf((1e-9, 0.3)), "epochs": OneOf((1, 3))}, trials=8, seeds=2)
    found = tuned(CODE, NETWORK, DATA.learning, key=KEY)
    keys, errors = jax.random.split(KEY, 2), {}
    for rate, epochs in itertools.product((1e-9, 0.3), (1, 3)):
        algorithm = make(rate, epochs)
        training = algorithm.start(CODE, NETWORK, DATA.learning, keys=keys)
        for epoch in algorithm.go_on(CODE, training, DATA.learning):
            training = epoch.training
        for one, count in zip(algorithm.hypotheses(CODE, training), training.best_errors, strict=True):
            errors[int(count), rate, epochs] = sl.predict(one, DATA.validation.x)
    least = min(errors)
    assert least[1] == 0.3  # the other learns nothing
    wrong = int((sl.predict(found, DATA.validation.x) != DATA.validation.y).sum())
    assert wrong <= min(count for count, rate, _ in errors if rate == 1e-9)
    assert any((sl.predict(found, DATA.validation.x) == one).all() for one in errors.values())


def test_a_tuned_algorithm_that_cannot_be_trained():
    with pytest.raises(SnnlearnError, match="no trial could be trained; the last says: too large"):
        Tuned(make_refused, {"learning_rate": Between(2.0, 3.0)}, 2)(CODE, NETWORK, DATA.learning, key=KEY)


def make_refused(learning_rate):
    if learning_rate > 2:
        raise SnnlearnError("too large")
    return make(0.1)
