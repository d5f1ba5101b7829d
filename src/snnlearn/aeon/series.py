"""Time series of aeon as samples, and what the classifiers make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from sklearn.model_selection import StratifiedShuffleSplit

from snnlearn.coding import AbstractEncoder, Current, Framewise, StandardScaling
from snnlearn.data.ends import lengths_of, rectangular
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.network import unroll
from snnlearn.sklearn import SpikingClassifier

_STEPS = 20
"""Time steps of a series that is given as a whole, and the least of one that is given by frames."""
_BLOCK = 64


def samples(X: np.ndarray | Sequence[np.ndarray], num_frames: int | None = None) -> Float[np.ndarray, "m T C"]:
    """Series of aeon, channels first, as samples, time first, of which each ends after its own length.

    Args:
        X: `[m, C, T]`, or m series `[C, T_i]`.
        num_frames: T of the samples; None is the greatest length.
    """
    series = [np.asarray(one, np.float32).T for one in X]
    return rectangular(series, max(map(len, series)) if num_frames is None else num_frames)


def learned(
    xs: Float[np.ndarray, "m T C"], labels: Int[np.ndarray, " m"], *, by_frames: bool, parameters: Mapping[str, Any]
) -> Hypothesis:
    """What `SpikingClassifier` learns from series that are scaled channel by channel, or as a whole value by value.

    Args:
        xs: the samples, marked after their ends.
        labels: their classes, all from 0 to the last.
        by_frames: whether one frame comes after the other, or all of a series is the input of each step.
        parameters: of `SpikingClassifier`.
    """
    model = SpikingClassifier(encoder=_code(xs, by_frames), rescale=False, **parameters)
    model.classes_ = np.unique(labels)
    model._fit(xs, labels.astype(np.int32), np.ones(len(xs)), len(model.classes_))
    return model.hypothesis_


def _code(xs: Float[np.ndarray, "m T C"], by_frames: bool) -> AbstractEncoder:
    if not by_frames:
        return StandardScaling().learned(Current(num_steps=_STEPS), xs)
    frame = Current(num_steps=math.ceil(_STEPS / xs.shape[1]))
    return Framewise(StandardScaling().learned(frame, xs, axis=(0, 1)), xs.shape[1])


def frames_serve_better(
    xs: Float[np.ndarray, "m T C"], labels: Int[np.ndarray, " m"], *, parameters: Mapping[str, Any], seed: int
) -> bool:
    """Whether a quarter of the sample, held out, is classified better by frames, after short trainings on the rest.

    Series of different lengths always are given by frames; so is a sample too small to be cut.
    """
    if lengths_of(xs) is not None:
        return True
    num_classes = len(np.unique(labels))
    if np.bincount(labels).min() < 2 or len(xs) // 4 < num_classes:
        return False
    ((train, held),) = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed).split(xs, labels)
    short = {**parameters, "epochs": max(5, parameters["epochs"] // 4)}
    errors = []
    for by_frames in (False, True):
        found = learned(xs[train], labels[train], by_frames=by_frames, parameters=short)
        errors.append(np.mean(predict(found, xs[held]) != labels[held]))
    return bool(errors[1] < errors[0])


def scores_by_frame(hypothesis: Hypothesis, xs: Float[np.ndarray, "m T C"]) -> Float[np.ndarray, "m T C"]:
    """The scores that each sample would have if it ended after each of its frames.

    Args:
        hypothesis: learned by frames.
        xs: the samples; after their ends the scores are those of silence.
    """
    rest = -len(xs) % _BLOCK
    filled = np.concatenate([xs, np.zeros((rest, *xs.shape[1:]), xs.dtype)])
    blocks = [_of_block(hypothesis, jnp.asarray(filled[at : at + _BLOCK])) for at in range(0, len(filled), _BLOCK)]
    return np.concatenate([np.asarray(block) for block in blocks])[: len(xs)]


@eqx.filter_jit
def _of_block(hypothesis: Hypothesis, xs: Array) -> Float[Array, "B T C"]:
    def one(x: Array) -> Array:
        inputs = hypothesis.encoder(x, key=jax.random.key(0))
        output = unroll(hypothesis.network, inputs)[0].outputs[-1]
        ends = jnp.arange(1, len(x) + 1) * (len(output) // len(x))
        return jax.vmap(lambda end: hypothesis.decoder.until(output, end))(ends)

    return jax.vmap(one)(xs)
