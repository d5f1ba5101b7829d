"""Which arrays are weights of connections."""

from typing import Any

import jax


def connection_weights(tree: Any) -> Any:
    """Which arrays are weights of connections: the fields `weight` of synapses, not biases or arrays of neurons.

    Weight decay applies only to these: it would pull a time constant towards 1 s, and a threshold to 0.

    Args:
        tree: a network, or a part of one, or its gradient.

    Returns:
        True or False for each array, in the same structure; a mask, as Optax takes it.

    >>> from snnlearn.network import Dense
    >>> connection_weights(Dense(3, 2, use_bias=True, key=jax.random.key(0))).bias
    False
    """

    def is_weight(path: tuple, _: Any) -> bool:
        return bool(path) and getattr(path[-1], "name", None) == "weight"

    return jax.tree_util.tree_map_with_path(is_weight, tree)
