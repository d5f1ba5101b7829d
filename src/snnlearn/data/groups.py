"""A split that keeps groups together, such as all recordings of a person or all rows of a patient."""

from __future__ import annotations

import numpy as np
from jaxtyping import Integer, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Sample, check, check_fractions, first_equal, strata, take


def split_groups(
    sample: Sample, groups: Shaped[np.ndarray, " m"], fractions: dict[str, float], seed: int
) -> list[Sample]:
    """Split a sample at random, no group in two parts, classes in similar proportion as far as groups allow.

    From the largest group to the smallest, with ties in random order, each goes to the part where it brings the numbers
    of the classes closest to their targets. Samples with equal x are one group.

    Args:
        sample: What to split.
        groups: The group of each sample.
        fractions: The share of each part that is held out, by its name.
        seed: Seed of the cut.

    Returns:
        The rest, and then each part that is held out.

    Raises:
        SnnlearnError: There are too few groups.

    >>> s = Sample(np.arange(12, dtype=np.float32)[:, None], np.arange(12, dtype=np.int32) % 2)
    >>> parts = split_groups(s, np.arange(12) // 2, {"validation": 0.2, "test": 0.3}, seed=0)
    >>> [sorted((part.x[:, 0] // 2).astype(int).tolist()) for part in parts]
    [[0, 0, 2, 2, 3, 3], [4, 4], [1, 1, 5, 5]]
    """
    y = strata(sample.y)
    check(Sample(sample.x, y), "the sample")
    check_fractions(fractions, seed)
    rng = np.random.default_rng(seed)
    member = _joined(sample, groups)
    counts = np.zeros((member.max() + 1, y.max() + 1))
    np.add.at(counts, (member, y), 1)
    total = counts.sum(axis=0)
    shares = np.array([1 - sum(fractions.values()), *fractions.values()])
    if len(counts) < len(shares):
        raise SnnlearnError(
            f"there are {len(counts)} groups and {len(shares)} parts to split them into; give more groups, or no group"
        )
    wanted, part = shares[:, None] * total, np.empty(len(counts), int)
    still = wanted.copy()
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    for place, group in enumerate(order):
        left = len(order) - place
        empty = [p for p in range(len(shares)) if p not in part[order[:place]]]
        candidates = empty if left <= len(empty) else range(len(shares))
        # What adding the group takes from the squared distance to the wanted numbers, classes weighed alike.
        gain = ((2 * still - counts[group]) * counts[group] / np.maximum(total, 1) ** 2).sum(axis=1)
        part[group] = max(candidates, key=lambda p: gain[p])
        still[part[group]] -= counts[group]
    lacking = np.flatnonzero((still[0] == wanted[0]) & (total > 0))
    if lacking.size:
        raise SnnlearnError(
            f"the groups leave class {lacking[0]} without a training sample; give smaller parts, another seed or more "
            "groups"
        )
    return [take(sample, rng.permutation(np.flatnonzero(part[member] == p))) for p in range(len(shares))]


def _joined(sample: Sample, groups: Shaped[np.ndarray, " m"]) -> Integer[np.ndarray, " m"]:
    """The group of each sample; groups that share an x are joined."""
    _, number = np.unique(groups, return_inverse=True)
    first = number[first_equal(sample.x)]
    size = int(number.max()) + 1
    _, joined = connected_components(coo_array((np.ones(len(first)), (number, first)), (size, size)), directed=False)
    return joined[number]
