"""The base of sources: files and objects of other software that hold an artificial network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.conversion.run import activations
from snnlearn.network import Network


class Reference(NamedTuple):
    """What the source's own software, or another that reads it, computes.

    Args:
        software: its name.
        activations: from inputs `[B, *in_shape]` to the activations of each layer, `[B, ...]`, by the layer's name;
            the output's is "output".
    """

    software: str
    activations: Callable[[np.ndarray], dict[str, np.ndarray]]


class Artificial(NamedTuple):
    """An artificial network that was read.

    Args:
        network: the network, of units without time.
        notes: what was dropped or assumed, in sentences.
        class_names: names of the classes, if the source has them.
        reference: another implementation; None if there is none at hand.
    """

    network: Network
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    reference: Reference | None = None


class AbstractSource(Component):
    """Something that holds an artificial network."""

    @abstractmethod
    def read(self) -> Artificial:
        """The network.

        Raises:
            SnnlearnError: if it cannot be read, or holds what cannot be converted, naming the place and what to do.
        """


OUTPUT = "output"
"""The name of the output among a reference's activations."""


def verify(artificial: Artificial, inputs: Array | np.ndarray, *, tolerance: float = 1e-5) -> float | None:
    """Compare the network's activations with the reference's, layer by layer.

    Args:
        artificial: the network that was read.
        inputs: `[B, *in_shape]`.
        tolerance: the largest difference, relative to the layer's largest activation.

    Returns:
        the largest relative difference; None if there is no reference.

    Raises:
        SnnlearnError: naming the first layer that differs by more.
    """
    if artificial.reference is None:
        return None
    network = artificial.network
    xs = np.asarray(inputs, np.float32).reshape(len(inputs), *network.in_shape)
    expected = artificial.reference.activations(xs)
    found = activations(network, jnp.asarray(xs)).outputs
    names = [layer.name or OUTPUT for layer in network.layers]
    worst = 0.0
    for name, output in zip(names, found, strict=True):
        if name not in expected:
            continue
        other = np.asarray(expected[name], np.float64).reshape(len(xs), -1)
        own = np.asarray(output, np.float64).reshape(len(xs), -1)
        difference = float(np.abs(own - other).max() / max(np.abs(other).max(), 1e-12))
        if not difference <= tolerance:
            raise SnnlearnError(
                f"the network that was read differs from {artificial.reference.software} at {name}, by "
                f"{difference:.1e} of its largest activation; this is a fault of the reader: export the network again, "
                "with fewer fused operators"
            )
        worst = max(worst, difference)
    return worst
