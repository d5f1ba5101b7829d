"""A network on a stream without end: a piece at a time, in constant memory, the same however it is cut."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding import PackedSpikes
from snnlearn.kernels import why_plain
from snnlearn.kernels.products import numbers
from snnlearn.model_file import digest
from snnlearn.network import LayerState, Network
from snnlearn.network.compiled import advance_compiled, in_single_precision, lowered
from snnlearn.network.shapes import check_steps
from snnlearn.streaming.state_file import check_fits, read_state, write_state

PIECE = 512
"""Steps of the compiled program; it runs as many of them as there are."""


class StreamState(NamedTuple):
    """All that a network remembers of its stream.

    Args:
        layers: the state of each layer: neurons, delayed spikes, synapses, noise.
        steps: how many steps the stream has had.
    """

    layers: tuple[LayerState, ...]
    steps: int


@final
class Stream:
    r"""A network that is run for ever: $(y^t, s^t) = f(x^t, s^{t-1})$, any number of steps at a time.

    State goes in and comes out, and has the same size after any number of steps. However a stream is cut into pieces,
    outputs and states are the same to the bit: one compiled program runs as many steps as a piece has, each by the same
    instructions, and pieces of new lengths are not compiled anew. Noise goes on as if the stream had not been cut,
    since its keys are part of the state. The compiled kernels run it if they know all layers (`why_not_compiled`).
    They agree with plain JAX up to rounding, and so does `Network`, which may do the sums of many steps at once.

    Spikes given as booleans are packed, and by the kernels only those that are true cost anything. The same spikes as
    floats give the same currents up to the order of their sums, so a stream should stay of one kind.

    Args:
        network: the network.

    Raises:
        SnnlearnError: if it is no network.

    >>> from snnlearn.network import feedforward
    >>> stream = Stream(feedforward((4, 3, 2), key=jax.random.key(0)))
    >>> state = stream.start()
    >>> first, state = stream.advance(np.ones((700, 4), bool), state)
    >>> second, state = stream.step(np.ones(4, bool), state)
    >>> first.shape, second.shape, state.steps
    ((700, 2), (2,), 701)
    """

    @checked
    def __init__(self, network: Network):
        self.network = network
        self._arrays, self._fixed = taken_apart(network)  # once, since to do so takes longer than a step

    @checked
    def start(self, *, key: PRNGKeyArray | None = None) -> StreamState:
        """The state before the first step: the network's at rest.

        Args:
            key: random key of the noise, if neurons or synapses draw random numbers; None is a fixed key.

        Raises:
            SnnlearnError: if it is no random key.
        """
        return StreamState(self.network.initial_state(key=key), 0)

    def step(self, x: Any, state: Any) -> tuple[np.ndarray, StreamState]:
        """One step: as `advance` by a piece of one step, without the axis of time.

        Args:
            x: input, `[*in_shape]`.
            state: from `start` or the step before.
        """
        outputs, state = self.advance(np.asarray(x)[None], state)
        return outputs[0], state

    def advance(self, xs: Any, state: Any) -> tuple[np.ndarray, StreamState]:
        """The next T steps.

        Args:
            xs: input, `[T, *in_shape]`, in any shape of that size: finite numbers, or booleans, which are spikes. With
                T = 0 nothing happens.
            state: from `start`, `advance` or `load`; it stays as it is, so that whatever fails can be tried again.

        Returns:
            the network's output, `[T, *out_shape]`, and the state after the last step.

        Raises:
            SnnlearnError: if the input of a step has not the network's size, or holds NaN or infinity, or the state is
                that of another network.
        """
        xs = as_steps("Stream", self.network, xs, state.steps if isinstance(state, StreamState) else 0)
        check_state("Stream", state)
        layers, pieces = state.layers, []
        for first in range(0, len(xs), PIECE):
            piece = xs[first : first + PIECE]
            given, steps = jnp.asarray(padded(piece)), jnp.asarray(np.int32(len(piece)))
            outputs, layers = _piece(self._arrays, given, steps, layers, fixed=self._fixed, plain=why_plain())
            pieces.append(np.asarray(outputs)[: len(piece)])
        nothing = np.zeros((0, *self.network.out_shape), jnp.result_type(float))
        return np.concatenate(pieces or [nothing]), StreamState(layers, state.steps + len(xs))

    @checked
    def save(self, state: StreamState, path: str | os.PathLike) -> None:
        """Write a state to a file, completely or not at all: arrays bit for bit, and a digest of the network.

        Args:
            state: the state.
            path: the `.npz` file.

        Raises:
            SnnlearnError: if the file cannot be written.
        """
        write_state(path, state, digest(self.network))

    @checked
    def load(self, path: str | os.PathLike) -> StreamState:
        """Read a state that `save` wrote. Nothing in the file is run.

        Args:
            path: the file.

        Raises:
            SnnlearnError: if the file is missing, damaged or no state, or the state is that of another network.
        """
        return read_state(path, self.start(), digest(self.network))


class Fixed:
    """What is fixed about a network or a learner in a compiled program: its structure, and all that is no array."""

    def __init__(self, structure: Any, rest: tuple[Any, ...]):
        self._parts = structure, rest
        self._hash = hash(self._parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Fixed) and self._parts == other._parts)

    def whole(self, arrays: list[Array | None]) -> Any:
        """That with these arrays."""
        structure, rest = self._parts
        return jax.tree.unflatten(structure, [a if b is None else b for a, b in zip(arrays, rest, strict=True)])


def taken_apart(whole: Any) -> tuple[list[Any], Fixed]:
    """The arrays of a network or a learner, and what is fixed: a program takes these with less ado than the whole."""
    leaves, structure = jax.tree.flatten(whole)
    arrays = [leaf if isinstance(leaf, (jax.Array, np.ndarray)) else None for leaf in leaves]
    rest = tuple(leaf if array is None else None for leaf, array in zip(leaves, arrays, strict=True))
    return arrays, Fixed(structure, rest)


def check_state(owner: str, state: Any) -> None:
    """Refuse what is no state of a stream.

    Raises:
        SnnlearnError: saying what it is.
    """
    if not isinstance(state, StreamState):
        raise SnnlearnError(f"{owner}: state is {shown(state)}; give that of start(), advance() or load()")


def as_steps(owner: str, network: Network, xs: Any, before: int) -> np.ndarray:
    """The input of some steps as an array `[T, *in_shape]`, of booleans or of the usual floats.

    Args:
        owner: who asks.
        network: the network.
        xs: the input.
        before: steps that the stream has had, by which an error says where it is.

    Raises:
        SnnlearnError: for another width or kind, or numbers that are not finite.
    """
    if isinstance(xs, PackedSpikes):
        xs = np.asarray(xs.unpack()) != 0
    try:
        xs = np.asarray(xs)
    except (ValueError, TypeError) as error:
        raise SnnlearnError(f"{owner}: xs is {shown(xs)}; give an array, steps first") from error
    if xs.dtype.kind not in "bfiu":
        raise SnnlearnError(f"{owner}: xs is an array of {xs.dtype}; give numbers, or booleans, which are spikes")
    check_steps(owner, network.in_shape, ("T",), xs=xs)
    xs = xs.reshape(len(xs), *network.in_shape)
    if xs.dtype.kind == "b":
        return xs
    xs = xs.astype(jnp.result_type(float), copy=False)
    if not (finite := np.isfinite(xs)).all():
        wrong = np.argmin(finite.reshape(len(xs), -1).all(axis=1))
        raise SnnlearnError(
            f"{owner}: step {before + wrong + 1} of the stream holds NaN or infinity, which would stay in the state; "
            "leave it out or replace it (the state before is unchanged)"
        )
    return xs


def padded(piece: np.ndarray) -> np.ndarray:
    """A piece as the compiled program takes it: numbers of as many steps as any has, or spikes in words of bits.

    Of spikes, step t is bit t mod 32 of word ⌊t / 32⌋.
    """
    if piece.dtype.kind != "b":
        whole = np.zeros((PIECE, *piece.shape[1:]), piece.dtype)
        whole[: len(piece)] = piece
        return whole
    # Time last, where NumPy packs eight at once; the bytes of a word, in order, are its number on any machine.
    whole = np.zeros((*piece.shape[1:], PIECE), bool)
    whole[..., : len(piece)] = np.moveaxis(piece, 0, -1)
    words = np.packbits(whole, axis=-1, bitorder="little").view("<u4").astype(np.uint32, copy=False)
    return np.ascontiguousarray(np.moveaxis(words, -1, 0))


def advance(
    network: Network, xs: Float[Array, "K ..."] | PackedSpikes, steps: Int[Array, ""], layers: tuple[LayerState, ...]
) -> tuple[Float[Array, "K ..."], tuple[LayerState, ...]]:
    """Run the first steps of K, each by the same instructions whatever their number; without a derivative.

    Args:
        network: the network.
        xs: the input.
        steps: how many are run, from 1 to K.
        layers: the layers' states before.

    Returns:
        the network's output, in whose later steps there may be anything, and the states.
    """
    check_fits("Stream", layers, jax.eval_shape(network.initial_state))
    if not isinstance(parts := lowered(network.layers), str) and in_single_precision((xs, layers)):
        return advance_compiled(network.layers, parts, xs, steps, layers)
    xs = numbers(xs)

    def one(t, carry):
        outputs, layers = carry
        output, layers = network.step(xs[t], layers)
        return outputs.at[t].set(output), layers

    output, _ = jax.eval_shape(network.step, jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype), layers)
    return jax.lax.fori_loop(0, steps, one, (jnp.zeros((len(xs), *output.shape), output.dtype), layers))


@partial(jax.jit, static_argnames=("fixed", "plain"))
def _piece(
    arrays: list[Array | None],
    xs: Float[Array, "K ..."] | UInt32[Array, "W ..."],
    steps: Int[Array, ""],
    layers: tuple[LayerState, ...],
    *,
    fixed: Fixed,
    plain: str | None,  # read while tracing; here so that switching the kernels off makes another program
) -> tuple[Float[Array, "K ..."], tuple[LayerState, ...]]:
    return advance(fixed.whole(arrays), as_given(xs), steps, layers)


def as_given(piece: Float[Array, "K ..."] | UInt32[Array, "W ..."]) -> Float[Array, "K ..."] | PackedSpikes:
    """What `padded` made of a piece, as networks take it."""
    return PackedSpikes(piece, PIECE) if piece.dtype == jnp.uint32 else piece
