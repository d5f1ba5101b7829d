"""Tasks over long sequences: their definitions, written another way."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError, coding, data
from snnlearn.data.long_range import moving_average


def test_copy_asks_for_what_it_showed():
    d = data.copy(num_bits=3, length=4, delay=2, num_train=50, num_validation=2, num_test=2)
    assert d.shape == (10, 4) and d.task == "multi-label" and d.target_steps == 4
    for x, y in zip(d.train.x, d.train.y, strict=True):
        np.testing.assert_array_equal(x[:4, :3].ravel(), y)
        assert not x[4:, :3].any()
        np.testing.assert_array_equal(np.flatnonzero(x[:, 3]), [5])  # the step before the answer
    assert 0.4 < d.train.y.mean() < 0.6
    decoder = coding.EachLabel(coding.LastSteps(4))
    assert decoder.num_units(d.num_outputs) == 3
    perfect = np.zeros((10, 3), np.float32)
    perfect[6:] = 2.0 * d.train.x[0, :4, :3] - 1
    np.testing.assert_array_equal(np.asarray(decoder(jnp.asarray(perfect))) > 0, d.train.y[0] == 1)
    longer = jnp.concatenate([jnp.asarray(perfect), jnp.full((3, 3), jnp.nan)])
    np.testing.assert_array_equal(np.asarray(decoder.until(longer, jnp.array(10))) > 0, d.train.y[0] == 1)
    assert jnp.isnan(decoder.until(longer, jnp.array(3))).all()


def test_adding_adds_one_number_of_each_half():
    d = data.adding(length=9, num_train=400, num_validation=2, num_test=2)
    numbers, marks = d.train.x[..., 0], d.train.x[..., 1]
    assert (marks[:, :4].sum(axis=1) == 1).all() and (marks[:, 4:].sum(axis=1) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(axis=1), d.train.y[:, 0], rtol=1e-6)
    assert abs(np.square(d.train.y - 1).mean() - 1 / 6) < 0.04  # what the mean makes of it


def test_mnist1d_is_the_published_one():
    """Numbers of the authors' file, mnist1d_data.pkl, of which all 5,000 samples agree."""
    d = data.mnist1d()
    assert d.shape == (40, 1) and [len(part.y) for part in (d.train, d.validation, d.test)] == [4000, 1000, 1000]
    first, last = d.train.x[0, ::8, 0], d.test.x[-1, ::8, 0]
    np.testing.assert_allclose(first, [-0.332006, 0.683078, 0.254108, 0.098056, -1.093486], atol=1e-6)
    np.testing.assert_allclose(last, [-0.519329, -0.139493, -0.689318, -0.327938, -0.540012], atol=1e-6)
    np.testing.assert_array_equal(d.train.y[:8], [2, 6, 4, 5, 6, 6, 6, 0])
    np.testing.assert_array_equal(d.test.y[-8:], [3, 6, 1, 2, 5, 9, 6, 4])
    np.testing.assert_array_equal(np.bincount(np.concatenate([d.train.y, d.test.y])), [500] * 10)
    # The validation sample is of the same distribution and is none of the others.
    assert (np.bincount(d.validation.y) == 100).all()
    assert abs(d.validation.x.mean()) < 0.05 and abs(d.validation.x.std() - 1) < 0.05
    assert not {x.tobytes() for x in d.validation.x} & {x.tobytes() for x in np.concatenate([d.train.x, d.test.x])}
    few = data.mnist1d(num_train=23, num_validation=5, num_test=4, seed=7)
    assert [len(part.x) for part in (few.train, few.validation, few.test)] == [23, 5, 4]


def test_delayed_xor_shows_two_bits():
    d = data.delayed_xor(delay=3, cue=2, num_train=40, num_validation=8, num_test=8)
    first, second = d.train.x[:, :2], d.train.x[:, 5:7]
    for shown in (first, second):
        assert (shown.sum(axis=2) == 1).all() and (shown[:, 0] == shown[:, 1]).all()
    assert not d.train.x[:, 2:5].any() and not d.train.x[:, 7:].any()
    np.testing.assert_array_equal((first[:, 0, 1] != second[:, 0, 1]).astype(int), d.train.y)
    assert len(np.unique(d.train.x, axis=0)) == 4
    noisy = data.delayed_xor(noise=0.5, num_train=40, num_validation=8, num_test=8)
    assert len(np.unique(noisy.train.x, axis=0)) == 40


def test_narma_is_its_recursion():
    u = np.random.default_rng(1).uniform(0, 0.5, 40)
    s = {t: 0.0 for t in range(-12, 1)}
    for t in range(40):
        past = sum(s[t - i] for i in range(10))
        before = u[t - 9] if t >= 9 else 0.0
        s[t + 1] = 0.3 * s[t] + 0.05 * s[t] * past + 1.5 * before * u[t] + 0.1
    np.testing.assert_allclose(moving_average(u, 10), [s[t + 1] for t in range(40)], rtol=1e-12)
    d = data.narma(history=12, num_train=30, num_validation=5, num_test=5)
    np.testing.assert_array_equal(d.train.x[0, 1:], d.train.x[1, :-1])
    shown = {part: set(getattr(d, part).x.ravel().tolist()) for part in ("train", "validation", "test")}
    assert not shown["train"] & shown["validation"] and not shown["validation"] & shown["test"]


def test_sequences_of_images_hold_their_pixels():
    images = data.digits()
    pixels, rows = data.sequential(images), data.sequential(images, by="rows")
    assert pixels.shape == (64, 1) and rows.shape == (8, 8) and pixels.structure == rows.structure == "series"
    np.testing.assert_array_equal(pixels.train.x.reshape(-1, 8, 8), images.train.x)
    np.testing.assert_array_equal(rows.test.x, images.test.x)
    permuted, again, other = (data.sequential(images, permutation=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(permuted.train.x, again.train.x)
    assert (permuted.train.x != other.train.x).any() and (permuted.train.x != pixels.train.x).any()
    np.testing.assert_array_equal(np.sort(permuted.test.x, axis=1), np.sort(pixels.test.x, axis=1))
    first = np.array(
        [
            np.flatnonzero((pixels.train.x[:, :, 0] == column[:, None]).all(axis=0)).size
            for column in permuted.train.x[:, :, 0].T
        ]
    )
    assert (first > 0).all()  # one order for all images


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.copy(delay=0), "copy: delay is 0; give a whole number from 1"),
        (lambda: data.copy(num_train=0), "copy: num_train is 0"),
        (lambda: data.adding(length=1), "adding: length is 1; give a whole number from 2"),
        (lambda: data.delayed_xor(noise=-1.0), "delayed_xor: noise is -1.0"),
        (lambda: data.delayed_xor(noise=float("nan")), "delayed_xor: noise is nan"),
        (lambda: data.mnist1d(num_test=0), "mnist1d: num_test is 0; give a whole number from 1"),
        (lambda: data.mnist1d(seed=-1), "mnist1d: seed is -1; give a whole number from 0"),
        (lambda: data.narma(order=11), "narma: order is 11; give a whole number from 2 to 10"),
        (lambda: data.narma(order=1), "narma: order is 1; give a whole number from 2"),
        (lambda: data.spike_xor(num_steps=0), "spike_xor: num_steps is 0; give a whole number from 1"),
        (lambda: data.narma(history=5), "narma: history is 5; give a whole number from 10"),
        (
            lambda: data.sequential(data.yin_yang(num_train=9, num_validation=9, num_test=9)),
            r"x of shape \(4,\); give im",
        ),
        (lambda: data.sequential(data.digits(), by="columns"), "by is 'columns'"),
        (lambda: coding.LastSteps(0), "LastSteps: steps is 0"),
        (lambda: coding.LastSteps(3).num_units(7), "7 scores are not equally many in each of 3 steps"),
        (
            lambda: coding.LastSteps(3)(jnp.zeros((2, 1))),
            "the output has 2 steps; give at most as many, not 3",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()


def test_evidence_is_in_the_cues_alone():
    d = data.evidence_accumulation(
        num_cues=3, cue=80, gap=10, delay=30, recall=20, group=20, num_train=200, num_validation=2, num_test=2
    )
    assert d.shape == (320, 80) and d.kind == "spikes" and d.dt == 1e-3
    x = d.train.x.astype(float).reshape(200, 320, 4, 20)
    # Some 64 from a cue's side, none from the other.
    counts = x[:, :270].reshape(200, 3, 90, 4, 20).sum(axis=(2, 4))[..., :2]
    assert (counts.min(axis=-1) == 0).all() and (counts.max(axis=-1) > 0).all()
    sides = counts.argmax(axis=-1)
    np.testing.assert_array_equal(sides.sum(axis=1) > 1, d.train.y == 1)
    assert abs(d.train.y.mean() - 0.5) < 0.15
    both = (sides[:, :1] == sides[:, 1:]).mean()  # of the same trial: 0.7² + 0.3² = 0.58
    assert abs(both - 0.58) < 0.12
    assert not x[:, 270:, :2].any() and not x[:, :300, 2].any()
    rates = [counts.max(axis=-1).mean() / 80 / 20, x[:, 300:, 2].mean(), x[:, :, 3].mean()]
    np.testing.assert_allclose(rates, [0.04, 0.04, 0.01], rtol=0.05)  # 3 standard errors


def test_store_recall_asks_for_the_stored_value():
    d = data.store_recall(delay=4, symbol=40, group=30, num_train=200, num_validation=2, num_test=2)
    assert d.shape == (200, 120) and d.kind == "spikes"
    x = d.train.x.astype(float).reshape(200, 5, 40, 4, 30).sum(axis=(2, 4))  # some 60 spikes of each active group
    assert ((x[:, :4, :2] > 0).sum(axis=-1) == 1).all()  # one value in each symbol but the last
    assert not x[:, 4, :3].any() and not x[:, :4, 3].any() and (x[:, 4, 3] > 0).all()
    trial, place = np.nonzero(x[:, :, 2])
    np.testing.assert_array_equal(trial, np.arange(200))
    assert set(place) == {0, 1, 2, 3}
    np.testing.assert_array_equal(x[trial, place, 1] > 0, d.train.y == 1)
    np.testing.assert_allclose(x[x > 0].mean(), 0.05 * 40 * 30, rtol=0.02)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (data.evidence_accumulation, {"num_cues": 4}),
        (data.evidence_accumulation, {"recall": 0}),
        (data.evidence_accumulation, {"delay": -1}),
        (data.store_recall, {"delay": 0}),
        (data.store_recall, {"num_test": 0}),
        (data.store_recall, {"symbol": 10**9}),
    ],
)
def test_memory_tasks_refuse(make, wrong):
    with pytest.raises(SnnlearnError, match="|".join([*wrong, "memory"])):
        make(**wrong)
