"""Synthetic tasks whose label is a function of what generated x, so that the Bayes risk is 0.

(In `spike_xor`, jitter and noise can make one pattern look like another: its Bayes risk is then slightly above 0.)
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn._rates import highest_rate
from snnlearn.data.base import Dataset, Sample, split
from snnlearn.data.counts import at_least, counts_of


def yin_yang(
    num_train: int = 5000,
    num_validation: int = 1000,
    num_test: int = 1000,
    r_small: float = 0.1,
    r_big: float = 0.5,
    seed: int = 42,
) -> Dataset:
    """Points in a yin-yang symbol, x = (a, b, 1 − a, 1 − b), in the classes yin, yang and dot.

    Each point's class is drawn first, uniformly, and then points in the square until one has that class. The default
    parts begin with the published points, in order.

    Args:
        num_train: Number of training points.
        num_validation: Number of validation points, drawn with `seed - 1`.
        num_test: Number of test points, drawn with `seed - 2`.
        r_small: Radius of the dots, above 0 and below `r_big / 2`.
        r_big: Radius of the symbol, whose centre is (r_big, r_big).
        seed: Seed of the training points, 2 or more.

    Returns:
        The data set, x `[m, 4]`.

    Raises:
        SnnlearnError: A number or radius is out of range, or the training points are too few for each class to be in.

    Source: Kriener, Göltz and Petrovici 2022, doi:10.1145/3517343.3517380.

    >>> yin_yang(300, 300, 300).train.x[0].round(4)
    array([0.6803, 0.4505, 0.3197, 0.5495], dtype=float32)
    """
    sizes = counts_of("yin_yang", num_train, num_validation, num_test)
    if not 0 < r_small < r_big / 2 < np.inf:
        raise SnnlearnError(f"r_small is {r_small} and r_big {r_big}; give radii with 0 < r_small < r_big / 2")
    at_least(2, "yin_yang", seed=seed)
    train, validation, test = (draw_yin_yang(m, r_small, r_big, seed - i) for i, m in enumerate(sizes))
    low, high = min(0.0, 1 - 2 * r_big), max(1.0, 2 * r_big)
    names = ("yin", "yang", "dot")
    return Dataset("yin-yang", train, validation, test, 3, "values", low=low, high=high, class_names=names)


def randman(
    *,
    num_classes: int = 10,
    num_units: int = 20,
    num_steps: int = 100,
    dim: int = 1,
    alpha: float = 1.0,
    samples_per_class: int = 1000,
    dt: float = 1e-3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    r"""Spike times on smooth random manifolds, one manifold for each class; every unit spikes once.

    Unit n spikes at $f_n(u)$, scaled to the sample's length, for a random point u in [0, 1]^dim:
    $$f_n(u) = \prod_d \sum_{i=1}^{F-1} \frac{θ^0_i}{(i + 1)^α} \sin 2π(i\,θ^1_i u_d + θ^2_i),
    \quad θ \sim U(0, 1), \quad F = \lceil 10^{\min(3/α, 3)} \rceil$$
    Spike counts carry no information: only times distinguish the classes.

    Args:
        num_classes: Number of classes, 2 or more.
        num_units: Number of units N.
        num_steps: Number of time steps T.
        dim: Dimension of the manifolds.
        alpha: How fast the spectrum falls off, above 0: the greater, the smoother.
        samples_per_class: Number of samples of each class, in all three parts together.
        dt: Time step in s.
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1).
        seed: Seed of the manifolds, of the points on them, and of the cut.

    Returns:
        The data set, x `[m, T, N]` of kind "spikes".

    Raises:
        SnnlearnError: A number is out of range, or leaves nothing for one of the parts.

    Source: Zenke and Vogels 2021, doi:10.1162/neco_a_01367. The random numbers are NumPy's, not the authors'.

    >>> d = randman(num_classes=2, samples_per_class=20)
    >>> d.shape, set(d.train.x.sum(axis=1).ravel().tolist())
    ((100, 20), {1})
    """
    sizes = {"num_units": num_units, "num_steps": num_steps, "dim": dim}
    at_least(1, "randman", **sizes, samples_per_class=samples_per_class)
    at_least(2, "randman", num_classes=num_classes)
    at_least(0, "randman", seed=seed)
    if not 0 < alpha < np.inf:
        raise SnnlearnError(f"alpha is {alpha}; give a fall-off of the spectrum above 0")
    rng = np.random.default_rng(seed)
    num_waves = math.ceil(10 ** min(3 / alpha, 3.0))
    m = num_classes * samples_per_class
    check_memory(m * num_steps * num_units, f"a sample of {m:,} trains of {num_steps:,} steps", "give fewer steps")
    x = np.zeros((m, num_steps, num_units), np.uint8)
    for members in np.arange(m).reshape(num_classes, samples_per_class):
        u = rng.random((samples_per_class, dim))
        for unit in range(num_units):
            f = _manifold(u, rng.random((dim, 3, num_waves)), alpha)
            time = (f - f.min()) / max(float(np.ptp(f)), 1e-7)
            x[members, np.minimum((time * num_steps).astype(np.intp), num_steps - 1), unit] = 1
    y = np.repeat(np.arange(num_classes, dtype=np.int32), samples_per_class)
    parts = split(Sample(x, y), validation=validation, test=test, seed=seed)
    return Dataset("randman", *parts, num_classes, "spikes", dt=dt)


def spike_xor(
    *,
    num_samples: int = 1000,
    num_units: int = 20,
    num_steps: int = 100,
    rate: float = 20.0,
    jitter: float = 2e-3,
    noise: float = 0.0,
    dt: float = 1e-3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """XOR of two spike patterns: y = a ⊕ b, where one group of units shows pattern a and another pattern b.

    Each group has two frozen patterns, 0 and 1, drawn once with a spike of probability rate · dt in every step. A
    readout that is linear in the spikes of frozen patterns gets at most three of the four pairs (a, b) right.

    Args:
        num_samples: Number of samples, in all three parts together; the four pairs (a, b) take turns.
        num_units: Number of units in each of the two groups: N = 2 · num_units.
        num_steps: Number of time steps T.
        rate: Firing rate of the patterns in Hz, above 0 and at most 1 / dt.
        jitter: Standard deviation in s of the shift of each spike, 0 or more; spikes shifted out are dropped.
        noise: Rate in Hz of Poisson spikes that are added, from 0 to 1 / dt.
        dt: Time step in s.
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1).
        seed: Seed of the patterns, of their noise, and of the cut.

    Returns:
        The data set, x `[m, T, 2 · num_units]` of kind "spikes". Without jitter and noise it has four different x,
        which are then in all of its parts.

    Raises:
        SnnlearnError: A number is out of range, or the two patterns of a group came out equal.

    Source: this library's; the XOR of spike patterns is a task in Xie and Seung 2004, doi:10.1103/PhysRevE.69.041909.

    >>> d = spike_xor(num_samples=40)
    >>> d.shape, d.class_names
    ((100, 40), ('equal', 'different'))
    """
    at_least(1, "spike_xor", num_units=num_units, num_steps=num_steps)
    at_least(4, "spike_xor", num_samples=num_samples)
    at_least(0, "spike_xor", seed=seed)
    if not 0 < dt < np.inf:
        raise SnnlearnError(f"dt is {dt}; give a time step in s above 0")
    if not 0 < rate * dt <= 1:
        raise SnnlearnError(f"rate is {rate} Hz; give a rate above 0 and at most 1 / dt = {highest_rate(dt):g} Hz")
    if not 0 <= noise * dt <= 1:
        raise SnnlearnError(f"noise is {noise} Hz; give a rate from 0 to 1 / dt = {highest_rate(dt):g} Hz")
    if not 0 <= jitter < np.inf:
        raise SnnlearnError(f"jitter is {jitter} s; give a standard deviation from 0")
    rng = np.random.default_rng(seed)
    check_memory(
        16 * num_samples * num_steps * num_units,
        f"a sample of {num_samples:,} trains of {num_steps:,} steps",
        "give fewer steps",
    )
    patterns = rng.random((2, 2, num_steps, num_units)) < rate * dt  # [group, a or b, T, n]
    if (patterns[:, 0] == patterns[:, 1]).all(axis=(1, 2)).any():
        raise SnnlearnError(
            f"rate is {rate} Hz, at which two patterns of {num_units} units and {num_steps} steps are equal; give "
            "more units or steps, or another rate or seed"
        )
    a, b = np.divmod(np.arange(num_samples) % 4, 2)
    x = np.concatenate([patterns[0, a], patterns[1, b]], axis=-1)
    x = _shift(x, jitter / dt, rng) | (rng.random(x.shape) < noise * dt)
    sample = Sample(x.astype(np.uint8), (a ^ b).astype(np.int32))
    parts = split(sample, validation=validation, test=test, seed=seed)
    return Dataset("spike-xor", *parts, 2, "spikes", dt=dt, class_names=("equal", "different"))


def draw_yin_yang(m: int, r_small: float, r_big: float, seed: int) -> Sample:
    """Rejection sampling with random numbers used as in the publication, so the points are the same."""
    rng = np.random.RandomState(seed)
    x, y = np.empty((m, 4)), np.empty(m, np.int32)
    for i in range(m):
        y[i] = rng.randint(3)
        while True:
            a, b = (2 * r_big * rng.rand(2)).tolist()
            if yin_yang_class(a, b, r_small, r_big) == y[i]:
                break
        x[i] = a, b, 1 - a, 1 - b
    return Sample(x.astype(np.float32), y)


def yin_yang_class(a: float, b: float, r_small: float, r_big: float) -> int | None:
    """Class of the point (a, b): yin 0, yang 1, dot 2; None outside the symbol."""
    if math.dist((a, b), (r_big, r_big)) > r_big:
        return None
    left, right = math.dist((a, b), (r_big / 2, r_big)), math.dist((a, b), (1.5 * r_big, r_big))
    if min(left, right) < r_small:
        return 2
    # Yang is the upper half, with the left half-disc below it and without the right one.
    return int(left <= r_big / 2 or (b > r_big and right > r_big / 2))


def _manifold(
    u: Float[np.ndarray, "m dim"], theta: Float[np.ndarray, "dim 3 F"], alpha: float
) -> Float[np.ndarray, " m"]:
    """f(u) of one unit; in float32, whose sine is many times faster and exact to a small part of a time step."""
    u, theta = u.astype(np.float32), theta.astype(np.float32)
    i = np.arange(theta.shape[-1], dtype=np.float32)
    spectrum = np.where(i > 0, (i + 1) ** -alpha, 0).astype(np.float32)
    f = np.ones(len(u))
    for u_d, (amplitude, frequency, phase) in zip(u.T, theta, strict=True):
        angle = np.outer(u_d, np.float32(2 * np.pi) * i * frequency)
        angle += np.float32(2 * np.pi) * phase
        f *= np.sin(angle, out=angle) @ (amplitude * spectrum)
    return f


def _shift(x: Bool[np.ndarray, "m T N"], std: float, rng: np.random.Generator) -> Bool[np.ndarray, "m T N"]:
    """Move each spike by a rounded normal number of steps, and drop those that leave the window."""
    sample, step, unit = np.nonzero(x)
    step = np.rint(step + rng.normal(0, std, step.size))
    kept = (step >= 0) & (step < x.shape[1])
    shifted = np.zeros_like(x)
    shifted[sample[kept], step[kept].astype(np.intp), unit[kept]] = True
    return shifted
