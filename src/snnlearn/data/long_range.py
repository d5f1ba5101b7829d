"""Tasks whose answer lies far back in the sequence, and images as sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.base import Dataset, Sample
from snnlearn.data.counts import at_least, counts_of
from snnlearn.data.found import Form


def copy(
    *,
    num_bits: int = 7,
    length: int = 20,
    delay: int = 8,
    num_train: int = 20_000,
    num_validation: int = 1000,
    num_test: int = 1000,
    seed: int = 0,
) -> Dataset:
    """Repeat a random pattern after a delay: each bit of each step is a label.

    The pattern is shown for `length` steps, then there is silence, and `delay` steps after its end a channel of its own
    asks for it, the last step of the delay. In the `length` steps after that, the network's outputs are to be the
    pattern, step by step. Read them by [`LastSteps`][snnlearn.coding.LastSteps].

    Args:
        num_bits: Channels of the pattern, 1 or more.
        length: Steps of the pattern, 1 or more.
        delay: Steps from its end to the answer, 1 or more.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the patterns.

    Returns:
        The data set, x `[m, 2 · length + delay, num_bits + 1]`, y `[m, length · num_bits]` of 0 and 1.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Hochreiter and Schmidhuber 1997; this form is that of Zucchet et al., github.com/NicolasZucchet/minimal-LRU.

    >>> d = copy(num_train=3, num_validation=2, num_test=2)
    >>> d.shape, d.train.y.shape, d.task, d.target_steps
    ((48, 8), (3, 140), 'multi-label', 20)
    """
    counts = counts_of("copy", num_train, num_validation, num_test)
    at_least(1, "copy", num_bits=num_bits, length=length, delay=delay)
    at_least(0, "copy", seed=seed)
    num_steps = 2 * length + delay
    check_memory(4 * sum(counts) * num_steps * (num_bits + 1), "the patterns", "give fewer samples or steps")
    rng = np.random.default_rng(seed)

    def draw(m: int) -> Sample:
        pattern = rng.integers(0, 2, (m, length, num_bits))
        x = np.zeros((m, num_steps, num_bits + 1), np.float32)
        x[:, :length, :num_bits] = pattern
        x[:, length + delay - 1, num_bits] = 1
        return Sample(x, pattern.reshape(m, -1).astype(np.int32))

    names = tuple(f"bit {bit} of step {step}" for step in range(length) for bit in range(num_bits))
    return series(f"copy after {delay}", [draw(m) for m in counts], target_names=names, target_steps=length)


def adding(
    *,
    length: int = 500,
    num_train: int = 20_000,
    num_validation: int = 1000,
    num_test: int = 1000,
    seed: int = 0,
) -> Dataset:
    """Add two marked numbers of a long sequence of random ones.

    Each step has a number, uniform in [0, 1], and a mark, 1 at a random step of the first half and at one of the
    second, else 0; y is the sum of the two marked numbers. Its mean, 1, has a mean squared error of 1/6.

    Args:
        length: T, 2 or more.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the samples.

    Returns:
        The data set, x `[m, T, 2]`, y `[m, 1]`.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, in the form of Arjovsky, Shah and Bengio
    2016, arXiv:1511.06464.

    >>> d = adding(length=10, num_train=3, num_validation=2, num_test=2)
    >>> bool(np.allclose((d.train.x[..., 0] * d.train.x[..., 1]).sum(axis=1), d.train.y[:, 0]))
    True
    """
    counts = counts_of("adding", num_train, num_validation, num_test)
    at_least(2, "adding", length=length)
    at_least(0, "adding", seed=seed)
    check_memory(16 * sum(counts) * length, "the sequences", "give fewer samples or steps")
    rng = np.random.default_rng(seed)

    def draw(m: int) -> Sample:
        x = np.zeros((m, length, 2), np.float32)
        x[..., 0] = rng.random((m, length), np.float32)
        half = length // 2
        for marks in (rng.integers(0, half, m), rng.integers(half, length, m)):
            x[np.arange(m), marks, 1] = 1
        return Sample(x, (x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True))

    return series(f"adding over {length}", [draw(m) for m in counts], target_names=("sum",))


def delayed_xor(
    *,
    delay: int = 50,
    cue: int = 5,
    noise: float = 0.0,
    num_train: int = 2000,
    num_validation: int = 500,
    num_test: int = 500,
    seed: int = 0,
) -> Dataset:
    """XOR of two bits that are shown one after the other, with a delay after each.

    A channel for each value is 1 while the bit is shown; the answer is asked for in the last step.

    Args:
        delay: Steps after each bit, 1 or more.
        cue: Steps for which a bit is shown, 1 or more.
        noise: Standard deviation of what is added to all inputs, 0 or more; without it there are four different x.
        num_train: Number of training samples, 4 or more.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the noise and of the order.

    Returns:
        The data set, x `[m, 2 · (cue + delay), 2]`.

    Raises:
        SnnlearnError: A number is out of range.

    Source: this library's form of a common task of working memory.

    >>> d = delayed_xor(num_train=4, num_validation=4, num_test=4)
    >>> d.shape, d.class_names
    ((110, 2), ('equal', 'different'))
    """
    counts = counts_of("delayed_xor", num_train, num_validation, num_test)
    at_least(1, "delayed_xor", delay=delay, cue=cue)
    at_least(4, "delayed_xor", num_train=num_train)
    at_least(0, "delayed_xor", seed=seed)
    if not 0 <= noise < np.inf:
        raise SnnlearnError(f"delayed_xor: noise is {noise}; give a standard deviation from 0")
    rng = np.random.default_rng(seed)

    def draw(m: int) -> Sample:
        bits = np.stack(np.divmod(rng.permutation(m) % 4, 2))
        x = np.zeros((m, 2 * (cue + delay), 2), np.float32)
        for start, bit in zip((0, cue + delay), bits, strict=True):
            x[np.arange(m), start : start + cue, bit] = 1
        x += noise * rng.standard_normal(x.shape, np.float32)
        return Sample(x, (bits[0] ^ bits[1]).astype(np.int32))

    return series("delayed-xor", [draw(m) for m in counts], class_names=("equal", "different"))


def narma(
    *,
    order: int = 10,
    history: int = 50,
    num_train: int = 2000,
    num_validation: int = 300,
    num_test: int = 1000,
    seed: int = 0,
) -> Dataset:
    r"""NARMA: predict a nonlinear moving average of noise, from the noise alone.

    $$s(t + 1) = 0.3\,s(t) + 0.05\,s(t)\sum_{i=0}^{n-1} s(t - i) + 1.5\,u(t - n + 1)\,u(t) + 0.1,$$
    with u uniform in [0, 0.5].

    x is the last values of u, up to u(t), and y is s(t + 1). The parts follow one another, and share no value.

    Args:
        order: n, from 2 to 10: with more the series can diverge.
        history: How many values x has, n or more.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of u.

    Returns:
        The data set, x `[m, history, 1]`, y `[m, 1]`.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Atiya and Parlos 2000, doi:10.1109/72.846741, eq. 86.

    >>> narma(num_train=20, num_validation=5, num_test=5).shape
    (50, 1)
    """
    counts = counts_of("narma", num_train, num_validation, num_test)
    at_least(2, "narma", order=order)
    if order > 10:
        raise SnnlearnError(f"narma: order is {order}; give a whole number from 2 to 10")
    at_least(order, "narma", history=history)
    at_least(0, "narma", seed=seed)
    warm_up = 200
    lengths = [m + history - 1 for m in counts]
    u = np.random.default_rng(seed).uniform(0, 0.5, warm_up + sum(lengths))
    s = moving_average(u, order)
    ends = np.cumsum(lengths)[:-1]
    pieces = zip(np.split(u[warm_up:], ends), np.split(s[warm_up:], ends), strict=True)
    parts = []
    for inputs, values in pieces:
        x = np.lib.stride_tricks.sliding_window_view(inputs.astype(np.float32), history)[..., None]
        parts.append(Sample(x.copy(), values[history - 1 :, None].astype(np.float32)))
    doubt = "Test samples overlap in time, so that their errors are not independent: intervals over samples are " + (
        "shorter than they should be."
    )
    return replace(series(f"narma-{order}", parts, target_names=("s(t + 1)",)), doubts=(doubt,))


def moving_average(u: Float[np.ndarray, " T"], order: int) -> Float[np.ndarray, " T"]:
    """The series s(t + 1) of NARMA for t = 0, 1, …, from zeros.

    >>> moving_average(np.array([0.5, 0.5, 0.5]), 2).round(6).tolist()
    [0.1, 0.5055, 0.641954]
    """
    padded, s = np.concatenate([np.zeros(order), u]), np.zeros(len(u) + order)
    for t in range(order - 1, len(u) + order - 1):
        past = s[t - order + 1 : t + 1]
        s[t + 1] = 0.3 * s[t] + 0.05 * s[t] * past.sum() + 1.5 * padded[t - order + 2] * padded[t + 1] + 0.1
    return s[order:]


def sequential(data: Dataset, *, by: str = "pixels", permutation: int | None = None) -> Dataset:
    """Images as sequences: a pixel, or a row, in each step.

    Args:
        data: Images, x `[m, H, W]`.
        by: What a step shows: a pixel, so that T = H · W, or a row of W pixels, T = H.
        permutation: Seed of an order of the pixels, the same for all images, which takes neighbours apart; None keeps
            theirs.

    Returns:
        The data set, x `[m, T, 1]` or `[m, H, W]`.

    Raises:
        SnnlearnError: The data are no images of one channel, or `by` is something else.

    Source: Le, Jaitly and Hinton 2015, arXiv:1504.00941 ("sequential" and "permuted" MNIST). NumPy's permutations.

    >>> from snnlearn.data import digits
    >>> sequential(digits()).shape, sequential(digits(), by="rows", permutation=0).shape
    ((64, 1), (8, 8))
    """
    if data.structure != "image" or len(data.shape) != 2:
        raise SnnlearnError(f"sequential: {data.name} has x of shape {data.shape}; give images [H, W]")
    if by not in ("pixels", "rows"):
        raise SnnlearnError(f"sequential: by is {by!r}; give 'pixels' or 'rows'")
    pixels = int(np.prod(data.shape))
    order = np.arange(pixels) if permutation is None else np.random.default_rng(permutation).permutation(pixels)
    channels = 1 if by == "pixels" else data.shape[1]

    def shown(sample: Sample) -> Sample:
        return sample._replace(x=sample.x.reshape(-1, pixels)[:, order].reshape(len(sample.x), -1, channels))

    name = f"{'sequential' if permutation is None else 'permuted'} {data.name}, by {by}"
    parts = {part: shown(getattr(data, part)) for part in ("train", "validation", "test")}
    ends = {side: np.full(channels, np.float32(getattr(data, side))) for side in ("low", "high")}
    return replace(data, name=name, **parts, **ends)


def series(
    name: str,
    parts: list[Sample],
    *,
    class_names: tuple[str, ...] = (),
    target_names: tuple[str, ...] = (),
    target_steps: int = 1,
) -> Dataset:
    """The data set of series, given its training, validation and test sample."""
    train, validation, test = parts
    low, high = train.x.min(axis=(0, 1)), train.x.max(axis=(0, 1))
    data = Dataset(
        name,
        train,
        validation,
        test,
        len(class_names) or None,
        "values",
        low=low,
        high=high,
        class_names=class_names,
        target_names=target_names,
        target_steps=target_steps,
    )
    return replace(data, form=Form(shape=data.shape, class_names=class_names, targets=target_names, task=data.task))
