"""The bases of what a substrate does to a network, and of what it has room for."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
import zlib
from abc import abstractmethod
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from snnlearn._component import Component
from snnlearn.network import Network


class AbstractEffect(Component):
    """An effect of a substrate: a map from a network to the network that it becomes there.

    What is drawn once for each device, such as mismatch, becomes a constant of the network; what is drawn anew in each
    step becomes the state of wrapped synapses or neurons. An effect is a function of arrays: it can be traced,
    differentiated by the network's parameters (through rounding straight, as the derivative of a rounded number by the
    number is 0), and mapped over keys, which are chips.
    """

    @property
    def label(self) -> str:
        """What it is called, in a chip only once; its draws depend on it."""
        return type(self).__name__

    def applies(self, network: Network) -> bool:
        """Whether a network has something that it acts on."""
        return True

    @abstractmethod
    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """The network under this effect.

        Args:
            network: the network as designed, or as other effects leave it.
            key: of this effect on this chip. Every draw takes a branch of it by the name of what it is for
                (`draw_key`), so that it depends on no other draw.

        Raises:
            SnnlearnError: if the network has nothing that the effect can act on.
        """


class AbstractLimit(Component):
    """Something of which a substrate has only so much."""

    @abstractmethod
    def exceeded(self, network: Network) -> str | None:
        """What of a network does not fit, and by how much, as the end of a sentence; None if all fits."""


def draw_key(key: PRNGKeyArray, *names: str | int) -> PRNGKeyArray:
    """The branch of a key for a draw with a name, which is the same whatever else is drawn.

    Args:
        key: random key.
        names: of what is drawn, such as a layer's number and the name of a parameter.

    >>> first = draw_key(jax.random.key(0), 1, "tau_mem")
    >>> bool(first == draw_key(jax.random.key(0), 1, "tau_mem")), bool(first == draw_key(jax.random.key(0), 1, "v_th"))
    (True, False)
    """
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(str(name).encode()))
    return key


def by_place(draw: Callable[..., Array], shape: tuple[int, ...], *, key: PRNGKeyArray) -> Array:
    """Independent draws, each of which depends on its place alone, and not on how many others there are.

    A device is then the same device in an array with more rows or columns (its first two axes), so a network that grows
    keeps its chip.

    Args:
        draw: such as `jax.random.normal`: from a key and a shape to an array.
        shape: of the draws.
        key: random key.

    >>> small, large = (by_place(jax.random.normal, shape, key=jax.random.key(0)) for shape in [(2, 3), (4, 5)])
    >>> bool((small == large[:2, :3]).all())
    True
    """
    if len(shape) <= 1:
        return draw(key, shape)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(shape[0]))
    return jnp.reshape(jax.vmap(lambda key: draw(key, (math.prod(shape[1:]),)))(keys), shape)
