"""What a network does with the delays that it has learned: it rounds them, or has none that outlast a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.network.network import Network
from snnlearn.network.synapses import DelayedSynapses

Tree = TypeVar("Tree")


def rounded(tree: Tree) -> Tree:
    """The network with each delay of `DelayedSynapses` rounded to whole steps, as hardware has them; fixed.

    Args:
        tree: a network, or a part of one.

    >>> import jax.numpy as jnp
    >>> from snnlearn.network import Dense
    >>> late = DelayedSynapses(Dense(2, 1, key=jax.random.key(0)), jnp.array([1.2, 2.7]), max_delay=4)
    >>> rounded(late).delays
    Constant(array=f32[2])
    """
    return _each(tree, DelayedSynapses.rounded)


def all_delays(tree: Any) -> Float[np.ndarray, " n"]:
    """The delay of each input, or of each pair, of all `DelayedSynapses` in a tree, in time steps.

    Args:
        tree: a network, or a part of one.
    """
    found = [node for node in jax.tree.leaves(tree, is_leaf=_is_delayed) if _is_delayed(node)]
    return np.concatenate([np.zeros(0), *(np.ravel(synapses.each_delay) for synapses in found)])


def at_progress(tree: Tree, progress: Float[Array, ""]) -> Tree:
    """The network with each delay's kernel as it is when a share `progress` of the training is done."""
    return _each(tree, lambda synapses: eqx.tree_at(lambda s: s.kernel, synapses, synapses.kernel.at(progress)))


def _each(tree: Tree, change: Callable[[DelayedSynapses], DelayedSynapses]) -> Tree:
    return jax.tree.map(lambda node: change(node) if _is_delayed(node) else node, tree, is_leaf=_is_delayed)


def _is_delayed(node: Any) -> bool:
    return isinstance(node, DelayedSynapses)


def check_delays(owner: str, network: Network, num_steps: int) -> None:
    """Refuse delays that may become as long as the sequence, after which nothing arrives any more.

    Args:
        owner: the caller, for the message.
        network: the network.
        num_steps: of the sequence.

    Raises:
        SnnlearnError: naming the layer and both numbers.
    """
    for number, layer in enumerate(network.layers, start=1):
        longest = max(connection.synapses.longest_delay for connection in layer.connections)
        if longest >= num_steps:
            raise SnnlearnError(
                f"{owner}: delays to layer {number} may take {longest} steps and the sequence has {num_steps}, so that "
                f"spikes would never arrive; give a max_delay of at most {num_steps - 1}"
            )
