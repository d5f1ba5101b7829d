"""Helpers of the test suites of laws."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np


def demand(law: bool | np.bool_, sentence: str) -> None:
    """`assert`, but not switched off by `python -O`."""
    if not law:
        raise AssertionError(sentence)


def same(actual: Any, expected: Any, sentence: str, *, tolerance: float = 1e-5, least: float = 0.0) -> None:
    """Demand equality up to rounding, relative to the largest value, since a sum of large terms may be small.

    Args:
        actual: a tree of arrays.
        expected: another.
        sentence: the message if they differ.
        tolerance: of the largest value; of each value ten times that.
        least: the largest value that is taken at least.
    """
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        b = np.asarray(b)
        largest = np.abs(b).max(initial=least)
        demand(bool(np.allclose(a, b, rtol=10 * tolerance, atol=tolerance * largest)), sentence)


def kind_of(tree: Any) -> Any:
    """Structure, shapes and dtypes."""
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree) if eqx.is_array(leaf)]
