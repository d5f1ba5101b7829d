"""Synthetic tasks against their published points and formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import randman, spike_xor, synthetic, yin_yang


def test_yin_yang_training_points_are_the_published_ones():
    d = yin_yang()
    assert d.train.x.dtype == np.float32 and d.shape == (4,) and d.class_names == ("yin", "yang", "dot")
    # From the authors' train_samples.npy and train_labels.npy: first points, last point, class counts, sums.
    first = [[0.68030754, 0.45049925], [0.09767211, 0.68423303], [0.75536141, 0.42515587], [0.76907972, 0.58833893]]
    np.testing.assert_allclose(d.train.x[[0, 1, 2, -1], :2], first, atol=1e-7)
    assert d.train.y[[0, 1, 2, -1]].tolist() == [2, 1, 2, 2]
    assert np.bincount(d.train.y).tolist() == [1681, 1702, 1617]
    sums = [2528.32245657, 2505.76686175, 2471.67754343, 2494.23313825]
    np.testing.assert_allclose(d.train.x.sum(axis=0, dtype=float), sums, atol=1e-4)


@pytest.mark.parametrize(
    ("seed", "counts", "last", "total"),
    [
        (41, [316, 336, 348], [0.7107041, 0.80473335], 496.40889649),
        (40, [350, 316, 334], [0.32834061, 0.38998304], 498.25698935),
    ],
)
def test_yin_yang_published_validation_and_test_points_have_seeds_41_and_40(seed, counts, last, total):
    train = yin_yang(1000, 300, 300, seed=seed).train
    assert np.bincount(train.y).tolist() == counts
    np.testing.assert_allclose(train.x[-1, :2], last, atol=1e-7)
    assert train.x[:, 0].sum(dtype=float) == pytest.approx(total, abs=1e-4)


def test_yin_yang_parts_have_their_own_seeds_and_sizes():
    d, next_one = yin_yang(300, 200, 100, seed=8), yin_yang(200, 100, 100, seed=7)
    assert [p.y.size for p in (d.train, d.validation, d.test)] == [300, 200, 100]
    np.testing.assert_array_equal(d.validation.x, next_one.train.x)
    np.testing.assert_array_equal(d.test.x, next_one.validation.x)


def test_yin_yang_geometry_with_other_radii():
    r_small, r_big = 0.2, 0.8
    d = yin_yang(3000, 300, 300, r_small=r_small, r_big=r_big)
    a, b = d.train.x[:, 0].astype(float), d.train.x[:, 1].astype(float)
    np.testing.assert_allclose(d.train.x[:, 2:], 1 - d.train.x[:, :2], atol=1e-6)
    assert np.all(np.hypot(a - r_big, b - r_big) <= r_big + 1e-6)
    dots = np.minimum(np.hypot(a - 0.4, b - 0.8), np.hypot(a - 1.2, b - 0.8)) < r_small
    np.testing.assert_array_equal(d.train.y == 2, dots)
    # Turned by 180° about the centre, the symbol has yin and yang exchanged.
    turned = [synthetic.yin_yang_class(2 * r_big - p, 2 * r_big - q, r_small, r_big) for p, q in zip(a, b, strict=True)]
    np.testing.assert_array_equal(np.array(turned), np.array([1, 0, 2])[d.train.y])
    # A point straight above the left dot's disc is yang, one straight below the right disc yin.
    assert synthetic.yin_yang_class(0.4, 1.3, r_small, r_big) == 1
    assert synthetic.yin_yang_class(1.2, 0.3, r_small, r_big) == 0
    assert synthetic.yin_yang_class(0.05, 0.05, r_small, r_big) is None
    assert d.low == pytest.approx(-0.6) and d.high == pytest.approx(1.6)
    assert d.train.x.min() >= d.low and d.train.x.max() <= d.high


@pytest.mark.parametrize(("dim", "alpha"), [(1, 1.0), (2, 1.5), (3, 2.0)])
def test_randman_manifold_is_the_papers_formula(dim, alpha):
    rng = np.random.default_rng(3)
    num_waves = 50
    u, theta = rng.random((7, dim)), rng.random((dim, 3, num_waves))
    for u_j, f_j in zip(u, synthetic._manifold(u, theta, alpha), strict=True):
        expected = math.prod(
            math.fsum(
                theta[d, 0, i]
                / (i + 1) ** alpha
                * math.sin(2 * math.pi * (i * u_j[d] * theta[d, 1, i] + theta[d, 2, i]))
                for i in range(1, num_waves)
            )
            for d in range(dim)
        )
        assert f_j == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("alpha", "num_waves"), [(0.01, 1000), (1.0, 1000), (1.5, 100), (2.0, 32), (3.0, 10)])
def test_randman_cuts_its_spectrum_where_the_paper_does(monkeypatch, alpha, num_waves):
    seen = set()

    def manifold(u, theta, alpha):
        seen.add((theta.shape, alpha))
        return u[:, 0]

    monkeypatch.setattr(synthetic, "_manifold", manifold)
    randman(num_classes=2, num_units=1, dim=3, alpha=alpha, samples_per_class=10)
    assert seen == {((3, 3, num_waves), alpha)}


def test_randman_units_spike_once_and_use_the_whole_time():
    d = randman(num_classes=3, num_units=7, num_steps=40, dim=2, alpha=2.0, samples_per_class=50, dt=2e-3, seed=4)
    assert d.kind == "spikes" and d.dt == 2e-3 and d.shape == (40, 7) and d.num_classes == 3
    assert [p.y.size for p in (d.train, d.validation, d.test)] == [105, 15, 30]
    x, y = (np.concatenate([p[i] for p in (d.train, d.validation, d.test)]) for i in (0, 1))
    assert np.all(x.sum(axis=1) == 1) and np.bincount(y).tolist() == [50, 50, 50]
    times = x.argmax(axis=1)
    # Standardised in each class and unit: the earliest spike is in the first step, the latest in the last.
    for c in range(3):
        assert np.all(times[y == c].min(axis=0) == 0) and np.all(times[y == c].max(axis=0) == 39)


def nearest_template_error(d) -> float:
    """Error of the nearest neighbour in spike times: small if classes are separate smooth manifolds."""
    train, test = (p.x.argmax(axis=1).astype(float) for p in (d.train, d.test))
    nearest = ((test[:, None] - train[None]) ** 2).sum(axis=-1).argmin(axis=1)
    return float(np.mean(d.train.y[nearest] != d.test.y))


def test_randman_classes_are_apart_and_alpha_makes_them_smooth():
    smooth, rough = (randman(num_classes=4, samples_per_class=60, alpha=alpha, seed=1) for alpha in (2.0, 0.1))
    assert nearest_template_error(smooth) < 0.05
    assert nearest_template_error(rough) > nearest_template_error(smooth) + 0.2
    again, other = (randman(num_classes=4, samples_per_class=60, alpha=2.0, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(smooth.train.x, again.train.x)
    assert not np.array_equal(smooth.train.x, other.train.x)


def together(d):
    return (np.concatenate([p[i] for p in (d.train, d.validation, d.test)]) for i in (0, 1))


def test_spike_xor_without_noise_is_xor_and_not_linear():
    d = spike_xor(num_samples=400, num_units=15, num_steps=60, rate=50.0, jitter=0.0, dt=2e-3, seed=3)
    assert d.kind == "spikes" and d.dt == 2e-3 and d.shape == (60, 30)
    x, y = together(d)
    groups = [np.unique(g.reshape(400, -1), axis=0, return_inverse=True)[1] for g in (x[..., :15], x[..., 15:])]
    assert [np.bincount(g).tolist() for g in groups] == [[200, 200], [200, 200]]
    xor = groups[0] ^ groups[1]
    assert np.array_equal(xor, y) or np.array_equal(1 - xor, y)
    assert np.bincount(y).tolist() == [200, 200]
    # rate · dt = 0.1 in each of 4 · 60 · 15 steps: within 4 standard deviations.
    assert abs(x.mean() - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 3600)
    # The least-squares readout, linear in all spikes, cannot tell the classes; with the product of patterns it can.
    flat = np.c_[x.reshape(400, -1).astype(float), np.ones(400)]
    readout = flat @ np.linalg.lstsq(flat, 2.0 * y - 1, rcond=None)[0]
    assert np.abs(readout).max() < 1e-6


def test_spike_xor_jitter_and_noise_do_what_they_say():
    options = {"num_samples": 400, "num_units": 10, "num_steps": 200, "rate": 5.0, "seed": 2}
    clean, _ = together(spike_xor(jitter=0.0, **options))
    noisy, _ = together(spike_xor(jitter=0.0, noise=10.0, **options))
    shifted, _ = together(spike_xor(jitter=3e-3, **options))
    # The same seed gives the same patterns and cut, so that samples can be compared one by one.
    assert np.all(noisy >= clean)
    added = (noisy > clean).sum() / (clean == 0).sum()
    assert added == pytest.approx(10.0 * 1e-3, rel=0.05)
    # One pattern spike at step s is spread over samples with standard deviation 3 steps (and 1/12 from rounding).
    unit = int(
        np.flatnonzero([(clean[..., n].sum(axis=1).max() == 1) & (clean[..., n].sum() > 150) for n in range(20)])[0]
    )
    member = clean[..., unit].sum(axis=1) == 1
    at = clean[member, :, unit].argmax(axis=1)
    steps = shifted[member, :, unit].argmax(axis=1)[shifted[member, :, unit].any(axis=1)]
    inside = (at.min() > 12) & (at.max() < 188)
    assert inside and at.size == steps.size
    assert (steps - at).std() == pytest.approx(math.sqrt(9 + 1 / 12), rel=0.15) and abs((steps - at).mean()) < 0.6


def test_spikes_shifted_out_of_the_sample_are_dropped():
    few, _ = together(spike_xor(num_samples=40, jitter=1e9, rate=50.0))
    assert few.sum() <= 2


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (yin_yang, {"num_train": 0}),
        (yin_yang, {"num_validation": 0}),
        (yin_yang, {"num_test": -1}),
        (yin_yang, {"r_small": 0.3}),
        (yin_yang, {"r_small": 0.0}),
        (yin_yang, {"seed": -1}),
        (randman, {"num_classes": 1}),
        (randman, {"num_units": 0}),
        (randman, {"num_steps": 0}),
        (randman, {"dim": 0}),
        (randman, {"alpha": 0.0}),
        (randman, {"samples_per_class": 0}),
        (randman, {"seed": -1}),
        (randman, {"dt": 0.0, "samples_per_class": 5, "num_classes": 2}),
        (spike_xor, {"num_samples": 3}),
        (spike_xor, {"num_units": 0}),
        (spike_xor, {"num_steps": 0}),
        (spike_xor, {"rate": 0.0}),
        (spike_xor, {"rate": 1001.0}),
        (spike_xor, {"rate": 1000.0}),
        (spike_xor, {"jitter": -1e-3}),
        (spike_xor, {"noise": -1.0}),
        (spike_xor, {"dt": 0.0}),
        (spike_xor, {"seed": -1}),
    ],
)
def test_options_out_of_range_are_refused(task, changes):
    with pytest.raises(SnnlearnError, match=next(iter(changes))):
        task(**changes)
