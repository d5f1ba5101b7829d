"""A sample s = (z¹, …, zᵐ) with z = (x, y), its parts, and checks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt64

from snnlearn._errors import SnnlearnError
from snnlearn.data.ends import NO_SPIKE_NOR_SILENCE, filled, held, lengths_of
from snnlearn.data.found import Form

Task = Literal["classification", "regression", "multi-label"]
"""What is to be learned: one of several classes, real values, or which of several labels hold."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_INT32_MAX = int(np.iinfo(np.int32).max)


class Sample(NamedTuple):
    """The sample s = (z¹, …, zᵐ), zⁱ = (xⁱ, yⁱ), that a learning algorithm maps to a hypothesis.

    Args:
        x: `[m, *shape]`, float32 values, or `[m, T, N]`, uint8 spikes (0 or 1). Where samples end at different times,
            the steps after the end are NaN, in spikes 255: see [`with_lengths`][snnlearn.data.with_lengths].
        y: `[m]`, int32 class labels, 0 … classes − 1; `[m, D]`, float32, what is to be predicted; or `[m, L]`, int32, 1
            where a label holds and else 0.
    """

    x: np.ndarray
    y: np.ndarray

    @property
    def weights(self) -> None:
        """None: every z counts alike."""
        return None


class WeightedSample(NamedTuple):
    r"""A sample in which zⁱ counts $w_i$ times: its mean loss is $\sum_i w_i\,\mathcal L(f, z^i)/\sum_i w_i$.

    Args:
        x: as of `Sample`.
        y: as of `Sample`.
        weights: `[m]`, finite and ≥ 0, not all 0; only their ratios matter.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class LearningData:
    """The part of a task that an algorithm gets: a sample to learn from and a sample to select by.

    Args:
        name: What the set is called in error messages.
        train: What the algorithm learns from; every class is in it.
        validation: What choices (stopping, hyperparameters) are made on.
        num_classes: Number of classes, 2 or more; None where y is no class but D real values, or L labels.

    Raises:
        SnnlearnError: A part is empty, has labels that do not match, or values that are not finite.

    >>> s = Sample(np.array([[0.0], [1.0]], np.float32), np.array([0, 1], np.int32))
    >>> LearningData("bit", s, s, num_classes=2).shape
    (1,)
    """

    _example: ClassVar = "data.yin_yang().learning"

    name: str
    train: Sample | WeightedSample
    validation: Sample | WeightedSample
    num_classes: int | None

    def __post_init__(self) -> None:
        self.check_part("train", self.train)
        self.check_part("validation", self.validation)
        if self.num_classes is None:
            return
        if (found := count_classes(self.train.y, f"the train part of {self.name}")) != self.num_classes:
            raise SnnlearnError(f"the train part of {self.name} has {found} classes; expected {self.num_classes}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one x."""
        return self.train.x.shape[1:]

    @property
    def task(self) -> Task:
        """What is to be learned."""
        return task_of(self.train.y)

    @property
    def ends(self) -> bool:
        """Whether some samples end before the last step."""
        return any(lengths_of(part.x) is not None for part in (self.train, self.validation))

    @property
    def num_outputs(self) -> int:
        """How many numbers a hypothesis gives for one x: one for each class, D, or L."""
        return self.train.y.shape[1] if self.num_classes is None else self.num_classes

    def check_part(self, part: str, sample: Sample | WeightedSample) -> None:
        """Refuse a sample that does not belong to this task.

        Args:
            part: What the sample is called.
            sample: The sample.

        Raises:
            SnnlearnError: if the sample is damaged, or has another shape or more classes than the task.
        """
        where = f"the {part} part of {self.name}"
        if self.num_classes is None:
            check_targets(sample.y, where)
        check(Sample(sample.x, sample.y if self.num_classes else strata(sample.y)), where)
        if sample.weights is not None:
            check_weights(sample.weights, len(sample.y), where)
        if sample.x.shape[1:] != self.shape:
            raise SnnlearnError(f"{where} has x of shape {sample.x.shape[1:]}; in training it is {self.shape}")
        if self.num_classes is None:
            check_like(sample.y, self.train.y, where)
        elif sample.y.max() >= self.num_classes:
            raise SnnlearnError(f"{where} has the label {sample.y.max()}; expected 0 to {self.num_classes - 1}")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task: three disjoint samples of it and what is known about their values.

    The algorithm sees `train`; `validation` chooses between hypotheses; `test` estimates the risk, once.

    Args:
        name: What the set is called in reports and error messages.
        train: What the algorithm learns from; every class is in it.
        validation: What choices (stopping, hyperparameters) are made on.
        test: What the risk is estimated on.
        num_classes: Number of classes, 2 or more; None if y is real values or labels, see `Sample`.
        kind: `"values"`, to be encoded as spikes, or `"spikes"`, where x is `[m, T, N]`.
        low: The value that codes map to 0, the least in the training sample; or an array with one for each entry of the
            sample's last axes, such as the columns of a table.
        high: The value that codes map to 1, the greatest, above `low`; or an array, where constant features have low.
        dt: Time step of spikes, in s.
        class_names: One name for each class, or none.
        target_names: One name for each real value, or label, or none.
        class_weights: How many times a sample of each class counts in learning; empty if all count alike.
        left_out: How many samples `unseen` took out of the test part.
        notes: What was lost or assumed in reading it, in sentences.
        doubts: Reasons to doubt what is measured on it, in sentences.
        all_seen: Whether all test samples were seen in training, so that their errors do not estimate the risk.
        form: How it was read from a file, so that other files can be read the same way.
        target_steps: In how many of the last steps of x the values or labels lie: y has as many for each of these.

    Raises:
        SnnlearnError: A part is empty, has labels that do not match, or values that are not finite.

    >>> s = Sample(np.array([[0.0], [1.0]], np.float32), np.array([0, 1], np.int32))
    >>> Dataset("bit", s, s, s, num_classes=2, kind="values").shape
    (1,)
    """

    _example: ClassVar = "data.yin_yang()"

    name: str
    train: Sample
    validation: Sample
    test: Sample
    num_classes: int | None
    kind: Literal["values", "spikes"]
    low: float | np.ndarray = 0.0
    high: float | np.ndarray = 1.0
    dt: float = 1e-3
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: int = 0
    all_seen: bool = False
    form: Form = Form()
    target_names: tuple[str, ...] = ()
    class_weights: tuple[float, ...] = ()
    doubts: tuple[str, ...] = ()
    target_steps: int = 1

    def __post_init__(self) -> None:
        if self.target_steps < 1 or self.learning.num_outputs % self.target_steps:
            raise SnnlearnError(
                f"{self.name} has {self.learning.num_outputs} outputs for {self.target_steps} target steps; give as "
                "many for each step"
            )
        if self.class_weights and len(self.class_weights) != self.num_classes:
            raise SnnlearnError(
                f"{self.name} has {len(self.class_weights)} class weights; give one for each of the classes"
            )
        self.learning.check_part("test", self.test)
        for part in ("train", "validation", "test"):
            if self.kind == "spikes" and not is_spikes(getattr(self, part).x):
                where = f"the {part} part of {self.name}"
                raise SnnlearnError(f"{where} is not spikes; expected x of shape [m, T, N] with only 0 and 1, as uint8")
        if np.ndim(self.low) == np.ndim(self.high) == 0 and not self.low < self.high:
            raise SnnlearnError(f"{self.name} has values from {self.low} to {self.high}; they must not be all equal")
        if np.ndim(self.low) and not (np.all(self.low <= self.high) and np.any(self.low < self.high)):
            raise SnnlearnError(f"{self.name} has features that are all constant; they must not be all equal")
        if not 0 < self.dt < np.inf:
            raise SnnlearnError(f"the time step dt of {self.name} is {self.dt}; give a time in s above 0")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise SnnlearnError(f"{self.name} has {len(self.class_names)} class names for {self.num_classes} classes")
        if self.target_names and (self.num_classes or len(self.target_names) != self.learning.num_outputs):
            raise SnnlearnError(
                f"{self.name} has {len(self.target_names)} target names; give one for each of the values or labels in "
                "y, and none for classes"
            )

    @cached_property
    def learning(self) -> LearningData:
        """The data for an algorithm: all but the test part, weighted by class if there are weights."""
        train, validation = self.train, self.validation
        if self.class_weights:
            weights = np.array(self.class_weights, np.float32)
            train, validation = (WeightedSample(*part, weights[part.y]) for part in (train, validation))
        return LearningData(self.name, train, validation, self.num_classes)

    @property
    def task(self) -> Task:
        """What is to be learned."""
        return task_of(self.train.y)

    @property
    def num_outputs(self) -> int:
        """How many numbers a hypothesis gives for one x: one for each class, value or label."""
        return self.learning.num_outputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """A name for each of these: as given, or else its number."""
        return self.class_names or self.target_names or tuple(map(str, range(self.num_outputs)))

    def balanced(self) -> Dataset:
        r"""The same task, in whose learning all classes count alike: class c has weight $m/(C\,m_c)$.

        Raises:
            SnnlearnError: There are no classes.

        >>> s = Sample(np.array([[0.0], [1.0], [2.0]], np.float32), np.array([0, 1, 1], np.int32))
        >>> Dataset("bits", s, s, s, num_classes=2, kind="values").balanced().class_weights
        (1.5, 0.75)
        """
        if self.num_classes is None:
            raise SnnlearnError(f"{self.name} has no classes to balance; its task is {self.task}")
        counts = np.bincount(self.train.y, minlength=self.num_classes)
        return replace(self, class_weights=tuple((counts.sum() / (self.num_classes * counts)).tolist()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one x."""
        return self.train.x.shape[1:]

    @property
    def ends(self) -> bool:
        """Whether some samples end before the last step."""
        return self.learning.ends or lengths_of(self.test.x) is not None

    @property
    def structure(self) -> Literal["table", "series", "image", "events"]:
        """What one x is: features `[N]`, a series of channels `[T, N]`, each with a range of its own, or an image.

        >>> from snnlearn.data import digits, yin_yang
        >>> yin_yang(num_train=9, num_validation=9, num_test=9).structure, digits().structure
        ('table', 'image')
        """
        if self.kind == "spikes":
            return "events"
        if len(self.shape) < 2:
            return "table"
        return "series" if len(self.shape) == 2 and np.ndim(self.low) == 1 else "image"

    def seen(self, x: Shaped[np.ndarray, "m *shape"]) -> Bool[np.ndarray, " m"]:
        """Which of these x equal an x that trained or selected a hypothesis.

        >>> s, t = (Sample(np.array(x, np.float32)[:, None], np.array([0, 1], np.int32)) for x in ([1, 2], [2, 3]))
        >>> Dataset("numbers", s, s, t, num_classes=2, kind="values").seen(t.x).tolist()
        [True, False]
        """
        return np.isin(digests(x), np.concatenate([digests(self.train.x), digests(self.validation.x)]))

    def unseen(self) -> Dataset:
        """The same task, without test samples that equal one of training or validation.

        If none would be left, all are kept, and `all_seen` says so.
        """
        seen = self.seen(self.test.x)
        if seen.all():
            return replace(self, all_seen=True)
        return replace(self, test=take(self.test, np.flatnonzero(~seen)), left_out=int(seen.sum()))


def split(
    sample: Sample, *, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> tuple[Sample, Sample, Sample]:
    """Split a sample at random into training, validation and test parts.

    The cut is stratified: of the m_c samples of class c, round(fraction · m_c), and at least one, go to each held-out
    part, and the rest to training. Each part is in random order. Samples with equal x stay in the same part, as close
    to these numbers as possible, so no held-out x was seen; but if a class has fewer different x than there are parts,
    its samples are split individually. Where y is real values or labels, the cut is at random.

    Args:
        sample: What to split.
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1).
        seed: Seed of the cut, 0 or more.

    Returns:
        The training, validation and test parts.

    Raises:
        SnnlearnError: The fractions leave nothing, or a class is too small to be in all three.

    >>> s = Sample(np.arange(20, dtype=np.float32)[:, None], np.repeat(np.int32([0, 1]), 10))
    >>> [part.y.size for part in split(s)]
    [14, 2, 4]
    """
    by = _strata(sample)
    train, held_out, tested = stratify(by, {"validation": validation, "test": test}, seed)
    return take(sample, train), take(sample, held_out), take(sample, tested)


def hold_out(sample: Sample, *, validation: float, seed: int) -> tuple[Sample, Sample]:
    """As [`split`][snnlearn.data.split], for a set that has its own test part: training and validation."""
    by = _strata(sample)
    train, held_out = stratify(by, {"validation": validation}, seed)
    return take(sample, train), take(sample, held_out)


def _strata(sample: Sample) -> Sample:
    """The sample, checked, with its strata in place of y."""
    by = Sample(sample.x, strata(sample.y))
    check(by, "the sample")
    if by.y is not sample.y:
        check_targets(sample.y, "the sample")
    return by


def check(sample: Sample, where: str) -> None:
    """Refuse a sample unless x and y match, are not empty, x is finite in float32, and y holds whole numbers from 0."""
    x, y = sample
    for name, part in {"x": x, "y": y}.items():
        if not _is_array(part):
            from snnlearn._parameters import shown  # only now: reading data needs no JAX

            raise SnnlearnError(f"{where} has {name} that is {shown(part)}; give an array, such as np.asarray({name})")
    if x.dtype.kind not in "buif":
        raise SnnlearnError(f"{where} has x of type {x.dtype}; expected real numbers")
    if x.ndim < 2:
        raise SnnlearnError(f"{where} has x of shape {x.shape}; expected [samples, ...] with at least two axes")
    if y.dtype.kind not in "ui" or y.ndim != 1:
        raise SnnlearnError(f"{where} has labels of type {y.dtype} and shape {y.shape}; expected integers [samples]")
    if len(x) != len(y):
        raise SnnlearnError(f"{where} has {len(x)} samples and {len(y)} labels; expected one label for each sample")
    if x.size == 0:
        raise SnnlearnError(f"{where} is empty, with x of shape {x.shape}; expected at least one sample")
    # One comparison catches NaN, infinity, and what float32 cannot hold, without a second array of this size.
    if x.dtype.kind == "f" and (lengths := lengths_of(x)) is not None:
        if not lengths.all():
            raise SnnlearnError(f"{where} has a sample without any step (number {lengths.argmin()}); leave it out")
        x = filled(x, 0.0)
    if not (-_FLOAT32_MAX <= float(x.min()) and float(x.max()) <= _FLOAT32_MAX):
        raise SnnlearnError(
            f"{where} has values that are NaN, infinite or too large for float32; remove or correct them"
        )
    if not 0 <= int(y.min()) <= int(y.max()) <= _INT32_MAX:
        raise SnnlearnError(
            f"{where} has labels from {y.min()} to {y.max()}; expected class labels from 0 without gaps"
        )


def task_of(y: Any) -> Task:
    """What is to be learned from such y.

    >>> [task_of(np.zeros(shape, kind)) for shape, kind in ((3, int), ((3, 2), float), ((3, 2), int))]
    ['classification', 'regression', 'multi-label']
    """
    if y.ndim == 1:
        return "classification"
    return "multi-label" if np.issubdtype(y.dtype, np.integer) else "regression"


def strata(y: np.ndarray) -> np.ndarray:
    """By what a sample is cut: its classes, or nothing where y is real values or labels; what is neither stays."""
    several = _is_array(y) and y.ndim == 2 and (y.dtype.kind == "f" or y.shape[1] > 1)
    return np.zeros(len(y), np.int32) if several else y


def check_targets(y: np.ndarray, where: str) -> None:
    """Raise unless y holds real targets `[m, D]`, or labels `[m, L]`."""
    if not _is_array(y):
        return check(Sample(np.zeros((1, 1)), y), where)
    if y.ndim == 2 and y.dtype.kind in "iu" and y.shape[1] > 1 and bool(np.isin(y, (0, 1)).all()):
        return None
    if y.dtype.kind != "f" or y.ndim != 2 or not y.shape[1] or not np.isfinite(y).all():
        raise SnnlearnError(
            f"{where} has y of type {y.dtype} and shape {y.shape}; expected finite real values [samples, D], labels 0 "
            "and 1 [samples, L] as integers, or the number of classes that they are labels of"
        )
    return None


def check_like(y: np.ndarray, train: np.ndarray, where: str) -> None:
    """Raise unless y holds as many values, or labels, as in training."""
    if (task_of(y), y.shape[1:]) != (task_of(train), train.shape[1:]):
        raise SnnlearnError(
            f"{where} has y of type {y.dtype} and shape {y.shape}; in training it is {train.dtype} of {train.shape}"
        )


def check_weights(weights: np.ndarray, m: int, where: str) -> None:
    """Raise unless there is a weight for each of m samples, none below 0 and one above."""
    if weights.shape != (m,):
        raise SnnlearnError(f"{where} has weights of shape {weights.shape} for {m} samples; give one weight for each")
    if not (np.isfinite(weights).all() and np.all(weights >= 0) and np.any(weights > 0)):
        raise SnnlearnError(f"{where} has weights that are all zero, negative or not finite; give some above 0")


def _is_array(part: Any) -> bool:
    return all(hasattr(part, name) for name in ("dtype", "ndim", "shape")) and isinstance(part.dtype, np.dtype)


def count_classes(y: Integer[np.ndarray, " m"], where: str) -> int:
    """Number of classes in y, after checking that none of 0 … max is missing."""
    present = np.unique(y)
    missing = np.flatnonzero(present != np.arange(present.size))
    if missing.size:
        raise SnnlearnError(f"{where} has no sample of class {missing[0]}; number the classes from 0 without gaps")
    if present.size < 2:
        raise SnnlearnError(f"{where} has only class 0; expected at least two classes")
    return int(present.size)


def is_spikes(x: Shaped[np.ndarray, " m *shape"]) -> bool:
    """Whether x can be spikes: `[m, T, N]`, uint8 or bool, only 0 and 1, and the mark of what comes after the end."""
    if x.ndim != 3 or x.dtype not in (np.uint8, np.bool_):
        return False
    highest = x.max(initial=0)
    return bool(highest <= 1 or (highest == NO_SPIKE_NOR_SILENCE and filled(x, 0).max() <= 1))


def check_narrowing(x: Shaped[np.ndarray, "m *shape"], where: str) -> None:
    """Refuse features whose differences float32 loses, such as times of day in s since 1970.

    Raises:
        SnnlearnError: A feature of float64 or of great integers is not told apart to a thousandth of its range.
    """
    if np.can_cast(x.dtype, np.float32):
        return
    rows = held(x).reshape(len(x), -1)
    spread = rows.max(axis=0) - rows.min(axis=0)
    lost = np.spacing(np.abs(rows).max(axis=0).astype(np.float32)).astype(np.float64)
    for feature in np.flatnonzero((spread > 0) & (lost > 1e-3 * spread)):
        raise SnnlearnError(
            f"{where} has a feature (number {feature}) from {rows[:, feature].min()} to {rows[:, feature].max()}, "
            "which float32 cannot tell apart to a thousandth of that range; subtract its mean, and save it again"
        )


def stratify(sample: Sample, fractions: dict[str, float], seed: int) -> list[Integer[np.ndarray, " _"]]:
    """Random indices of the rest and then of each fraction, classes in the same proportion in each."""
    check_fractions(fractions, seed)
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in range(len(fractions) + 1)]
    first = first_equal(sample.x)
    for c, size in zip(*np.unique(sample.y, return_counts=True), strict=True):
        if sum(_sizes(int(size), fractions)) >= size:
            raise SnnlearnError(
                f"class {c} has {size} samples, too few to hold out {' and '.join(fractions)}; "
                "add samples or leave the class out"
            )
        # Equal x with other labels go where the first of them goes.
        members = rng.permutation(np.flatnonzero(sample.y[first] == c))
        *held_out, rest = _cut(members, first[members], np.cumsum(_sizes(members.size, fractions)))
        for part, indices in zip(parts, [rest, *held_out], strict=True):
            part.append(indices)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def check_fractions(fractions: dict[str, float], seed: int) -> None:
    """Refuse shares that do not leave a rest, and seeds below 0."""
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise SnnlearnError(f"{name} is {fraction}; give the fraction of the samples to hold out, between 0 and 1")
    if sum(fractions.values()) >= 1:
        raise SnnlearnError(f"{' + '.join(fractions)} is {sum(fractions.values())}; give fractions that leave a rest")
    if seed < 0:
        raise SnnlearnError(f"seed is {seed}; give a whole number from 0")


def _sizes(m: int, fractions: dict[str, float]) -> list[int]:
    return [max(1, round(fraction * m)) for fraction in fractions.values()]


def _cut(
    members: Integer[np.ndarray, " k"], group: Integer[np.ndarray, " k"], at: Integer[np.ndarray, " n"]
) -> list[np.ndarray]:
    """Split in order at these places, each moved to the nearest edge of a group, unless there are too few groups."""
    _, place, number = np.unique(group, return_index=True, return_inverse=True)
    side_by_side = np.argsort(place[number], kind="stable")
    edges = 1 + np.flatnonzero(np.diff(group[side_by_side]))
    if edges.size < at.size:
        return np.split(members, at)
    cuts, used = [], 0
    for still, position in zip(reversed(range(at.size)), at, strict=True):
        free = edges[used : edges.size - still]
        nearest = int(np.abs(free - position).argmin())
        cuts.append(free[nearest])
        used += nearest + 1
    return np.split(members[side_by_side], cuts)


def take(sample: Sample, indices: Integer[np.ndarray, " k"]) -> Sample:
    """The samples of these indices."""
    return Sample(sample.x[indices], sample.y[indices])


def digests(x: Shaped[np.ndarray, "m *shape"]) -> UInt64[np.ndarray, " m"]:
    """A number for each x, to recognise equal x in any order and of any type.

    It is a 64-bit BLAKE2b digest of the positions and values of the nonzero entries of x as float32: among a million
    different x, the probability that any two have the same digest is 3e-8.

    >>> a, b, c = digests(np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]])).tolist()
    >>> a == c, a == b, a == digests(np.array([[0, 1]], np.uint8)).item()
    (True, False, True)
    """
    found = np.empty(len(x), np.uint64)
    for i, row in enumerate(x.reshape(len(x), -1)):
        place = np.flatnonzero(row)
        digest = blake2b(place.astype("<u4").tobytes(), digest_size=8)
        digest.update(row[place].astype("<f4").tobytes())
        found[i] = int.from_bytes(digest.digest(), "little")
    return found


def first_equal(x: Shaped[np.ndarray, "m *shape"]) -> Integer[np.ndarray, " m"]:
    """For each x the index of the first one that equals it.

    >>> first_equal(np.array([[3.0], [5.0], [3.0]])).tolist()
    [0, 1, 0]
    """
    _, first, number = np.unique(digests(x), return_index=True, return_inverse=True)
    return first[number]


def overlap(sample: Sample, seen: Sample) -> int:
    """How many x of a sample equal an x of another sample, as float32.

    >>> first, second = (Sample(np.array(x, np.float32)[:, None], np.zeros(2, int)) for x in ([1, 2], [2, 3]))
    >>> overlap(first, second)
    1
    """
    return int(np.isin(digests(sample.x), digests(seen.x)).sum())
