"""Building a network from a graph of tensors, of which only those behind an activation function become layers.

Between two activation functions everything is affine: a tensor is kept as a sum of *terms*, each a chain of synapses
from a layer or the input. So additions, concatenations and pooling need no units of their own, and batch normalisation
becomes part of the weights before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.conversion.sources.base import OUTPUT
from snnlearn.network import INPUT, AbstractSynapses, Chain, Connection, Conv2d, Dense, Layer, Network, OneToOne
from snnlearn.network.synapses import Convolution, Padded
from snnlearn.neurons import AbstractNeuron, Identity


class Term(NamedTuple):
    """What one source contributes: its name, and the synapses on the way, one after the other."""

    source: str
    stages: tuple[AbstractSynapses, ...] = ()


class Tensor(NamedTuple):
    """An affine function of layers and the input.

    Args:
        shape: without the axis of samples.
        terms: whose sum it is.
    """

    shape: tuple[int, ...]
    terms: tuple[Term, ...]


class Graph:
    """A network under construction."""

    def __init__(self, in_shape: tuple[int, ...]):
        self.input = Tensor(in_shape, (Term(INPUT),))
        self._layers: list[Layer] = []
        self._names = {INPUT, "before", "itself", OUTPUT}

    def affine(self, x: Tensor, synapses: AbstractSynapses, bias: Any = None) -> Tensor:
        """Linear synapses, then a bias, broadcast to their output."""
        terms = [Term(source, (*stages, synapses)) for source, stages in x.terms]
        after = Tensor(synapses.out_shape, tuple(terms))
        return after if bias is None else self.scaled(after, 1.0, bias)

    def scaled(self, x: Tensor, gain: Any, shift: Any = None) -> Tensor:
        """`gain · x + shift`, both broadcast to its shape; merged into the weights before where they can be."""
        gain, shift = _fitting(x.shape, gain), None if shift is None else _fitting(x.shape, shift)
        terms = []
        for n, (source, stages) in enumerate(x.terms):
            more = shift if n == 0 else None
            last = stages[-1] if stages else None
            if last is not None and last.has_weights and last.out_shape == x.shape:
                terms.append(Term(source, (*stages[:-1], last.affine(1.0, gain, more))))
            else:
                terms.append(Term(source, (*stages, OneToOne(x.shape, gain, more))))
        return Tensor(x.shape, tuple(terms))

    def total(self, tensors: Sequence[Tensor]) -> Tensor:
        """Their sum."""
        shapes = {tensor.shape for tensor in tensors}
        if len(shapes) > 1:
            raise SnnlearnError(f"it adds tensors of shapes {sorted(shapes)}; give them the same")
        return Tensor(tensors[0].shape, tuple(term for tensor in tensors for term in tensor.terms))

    def joined(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Their concatenation along an axis."""
        size, start, parts = sum(tensor.shape[axis] for tensor in tensors), 0, []
        for tensor in tensors:
            widths = [(0, 0)] * len(tensor.shape)
            widths[axis] = (start, size - start - tensor.shape[axis])
            start += tensor.shape[axis]
            parts.append(self.affine(tensor, Padded(tensor.shape, tuple(widths))))
        return self.total(parts)

    def reshaped(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same numbers in another shape; one length may be -1."""
        shape = tuple(shape)
        if -1 in shape:
            known = -math.prod(shape)
            shape = tuple(math.prod(x.shape) // known if known and n == -1 else n for n in shape)
        if math.prod(shape) != math.prod(x.shape):
            raise SnnlearnError(f"it reshapes {x.shape} to {shape}, which has another size")
        return x._replace(shape=shape)

    def units(self, x: Tensor, neuron: AbstractNeuron, name: str) -> Tensor:
        """A layer of units."""
        name = self._unused(name)
        self._layers.append(Layer(_connections(x), neuron, name=name))
        return Tensor(x.shape, (Term(name),))

    def never_negative(self, x: Tensor) -> bool:
        """Whether it is known to be at least 0: a layer itself, whose units are sums of positive parts."""
        term, *others = x.terms
        parts = next((layer.neuron.rectified() for layer in self._layers if layer.name == term.source), "")
        if others or term.stages or isinstance(parts, str):
            return False
        return all(part.sign > 0 and part.gain > 0 for part in parts)

    def _unused(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self._names:
            candidate, number = f"{name} {number}", number + 1
        self._names.add(candidate)
        return candidate

    def network(self, output: Tensor) -> Network:
        """The network, with a linear readout."""
        flat = self.reshaped(output, (math.prod(output.shape),))
        return Network((*self._layers, Layer(_connections(flat), Identity())))


def dense(weight: np.ndarray, bias: np.ndarray | None = None) -> Dense:
    """Dense synapses of a matrix `[out, in]`."""
    return _with(_empty(Dense, in_shape=(weight.shape[1],), out_shape=(weight.shape[0],)), weight, bias)


def convolution(
    in_shape: tuple[int, ...],
    weight: np.ndarray,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> AbstractSynapses:
    """Convolutional synapses of a kernel `[out, in / groups, *size]`; a square one where that is enough."""
    plain = len(in_shape) == 3 and groups == 1 and set(dilation) == {1} and len(set(stride)) == 1
    square = weight.shape[2:3] == weight.shape[3:4] and len({side for sides in padding for side in sides}) == 1
    general = Convolution(
        in_shape,
        jnp.asarray(weight),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
    )
    if not (plain and square):
        return general
    empty = _empty(
        Conv2d, in_shape=in_shape, out_shape=general.out_shape, stride=int(stride[0]), padding=int(padding[0][0])
    )
    return _with(empty, weight, None)


def _empty(cls: type, **fields: Any) -> Any:
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def _with(synapses: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    object.__setattr__(synapses, "weight", jnp.asarray(weight, jnp.result_type(float)))
    object.__setattr__(synapses, "bias", None if bias is None else jnp.asarray(bias, jnp.result_type(float)))
    synapses.__check_init__()
    return synapses


def _fitting(shape: tuple[int, ...], array: Any) -> Any:
    """An array that is broadcast to a shape, with as many axes, or none."""
    array = jnp.asarray(array, jnp.result_type(float))
    if array.ndim == 0 or array.size == 1:
        return jnp.reshape(array, ())
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    array = jnp.reshape(array, (*(1,) * (len(shape) - array.ndim), *array.shape))
    try:
        fits = jnp.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise SnnlearnError(f"it combines a tensor of shape {shape} with a constant of shape {array.shape}")
    return array


def _connections(x: Tensor) -> list[Connection]:
    """The terms as connections; the first gives the units their shape."""
    found = []
    for n, (source, stages) in enumerate(x.terms):
        if not stages or (n == 0 and stages[-1].out_shape != x.shape):
            stages = (*stages, OneToOne(x.shape))
        found.append(Connection(stages[0] if len(stages) == 1 else Chain(*stages), source))
    return found
