"""How many synapses a network has, and where: what limits are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from snnlearn.network import AbstractSynapses, Layer
from snnlearn.network.graph import FROM_INPUT, routes


class Fans(NamedTuple):
    """The synapses of a connection whose weight is not 0.

    Args:
        into: at each unit, `[units]`.
        out: from each input, `[inputs]`.
    """

    into: np.ndarray
    out: np.ndarray


def fans(synapses: AbstractSynapses) -> Fans | None:
    """The synapses of a connection; a mean over inputs, such as of a pooling, counts as one input.

    Args:
        synapses: of the connection.

    Returns:
        None while the weights are traced, when nobody knows them.

    >>> from snnlearn.network import Conv2d
    >>> into, out = fans(Conv2d((1, 3, 3), 2, 3, padding=1, key=jax.random.key(0)))
    >>> into.tolist()[:5], out.tolist()[:5]  # a corner of the image has four neighbours
    ([4, 6, 4, 6, 9], [8, 12, 8, 12, 18])
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(synapses)):
        return None

    if synapses.pairs:  # the same, without compiling anything
        there = np.asarray(synapses.weight) != 0  # pyright: ignore[reportAttributeAccessIssue]
        return Fans(there.sum(axis=1), there.sum(axis=0))

    def of(path: tuple, leaf: Any) -> Any:
        name = getattr(path[-1], "name", None) if path else None
        return (leaf != 0).astype(leaf.dtype) if name == "weight" else jnp.zeros_like(leaf) if name == "bias" else leaf

    with jax.ensure_compile_time_eval():
        ones = jax.tree_util.tree_map_with_path(of, synapses)
        into, back = jax.vjp(ones, jnp.ones(synapses.in_shape))
        (out,) = back(jnp.ones_like(into))
        return Fans(*(np.rint(np.ravel(np.asarray(fan))).astype(int) for fan in (into, out)))


def fan_in(layer: Layer) -> np.ndarray | None:
    """The synapses at each unit of a layer, `[units]`; None while they are traced."""
    return _total([None if (found := fans(c.synapses)) is None else found.into for c in layer.connections])


def fan_out(layers: Sequence[Layer]) -> dict[int, np.ndarray] | None:
    """The synapses from each unit of each layer, by the layer's number, and from each input by `FROM_INPUT`.

    Args:
        layers: those that they go to.
    """
    found: dict[int, list[np.ndarray | None]] = {}
    for layer, ways in zip(layers, routes(layers), strict=True):
        for connection, (source, _) in zip(layer.connections, ways, strict=True):
            each = fans(connection.synapses)
            found.setdefault(source, []).append(None if each is None else each.out)
    totals = {source: _total(each) for source, each in found.items()}
    return None if any(total is None for total in totals.values()) else totals  # pyright: ignore[reportReturnType]


def name_of(source: int) -> str:
    """What a source is called in a sentence."""
    return "the input" if source == FROM_INPUT else f"layer {source + 1}"


def _total(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    return None if any(part is None for part in parts) else sum(parts)  # pyright: ignore
