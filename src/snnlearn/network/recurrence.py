"""Recurrent networks: units connected to themselves at their ports, and deep networks of linear recurrent units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import jax
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.network.connection import INPUT, ITSELF, Connection
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network
from snnlearn.network.synapses import Dense, LayerNorm, OneToOne, Part
from snnlearn.neurons import (
    GELU,
    GLU,
    LI,
    LIF,
    LRU,
    AbstractNeuron,
    AbstractSurrogate,
    Dropout,
    ForwardEuler,
    Identity,
    NoReset,
    Tanh,
    Triangle,
)


@checked
def threshold(*, surrogate: AbstractSurrogate = Triangle(), dt: float = 1e-3) -> LIF:
    """Units that spike where their current is above 1: a membrane that forgets within its step, so that none is reset.

    Args:
        surrogate: the spike's derivative.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if an argument is of another kind or out of its range.

    >>> unit = threshold()
    >>> unit(jax.numpy.array([0.9, 1.1]), unit.initial_state((2,)))[0].tolist()
    [0.0, 1.0]
    """
    return LIF(tau_mem=dt, discretisation=ForwardEuler(), reset=NoReset(), surrogate=surrogate, dt=dt)


@checked
def recurrent(
    in_size: int,
    hidden_size: int | Sequence[int],
    out_size: int,
    *,
    neuron: AbstractNeuron = Tanh(),
    readout: AbstractNeuron = Identity(),
    key: PRNGKeyArray,
) -> Network:
    """Layers of units, connected all to all from the layer before and from themselves at their ports, and a readout.

    With `Tanh` it is a plain recurrent network, with `GRU` or `LSTM` the gated one. Draw its weights by `AsGiven()`.

    Args:
        in_size: inputs.
        hidden_size: units, or those of each layer.
        out_size: outputs.
        neuron: the units.
        readout: the last layer's neurons.
        key: random key of the weights.

    Raises:
        SnnlearnError: if an argument is of another kind, there is no layer, or a size is below 1.

    >>> from snnlearn.neurons import LSTM
    >>> network = recurrent(3, 8, 2, neuron=LSTM(), key=jax.random.key(0))
    >>> network(jax.numpy.ones((10, 3)))[0].shape
    (10, 2)
    """
    sizes = (hidden_size,) if isinstance(hidden_size, int) else tuple(hidden_size)
    if not sizes:
        raise SnnlearnError("recurrent: hidden_size is empty; give the units of at least one layer")
    last, *keys = jax.random.split(key, 1 + len(sizes))
    layers = [_looped(*ends, neuron, key=k) for ends, k in zip(pairwise((in_size, *sizes)), keys, strict=True)]
    return Network((*layers, Layer(Dense(sizes[-1], out_size, use_bias=True, key=last), readout)))


def _looped(in_size: int, size: int, neuron: AbstractNeuron, *, key: PRNGKeyArray) -> Layer:
    """Units that the layer before and they themselves reach at their ports."""
    keys = jax.random.split(key, len(neuron.input_ports) + len(neuron.loop_ports))
    forward = [
        Connection(Dense(in_size, size, use_bias=True, key=k), port=port)
        for port, k in zip(neuron.input_ports, keys, strict=False)
    ]
    loops = [
        Connection(Dense(size, size, use_bias=port not in neuron.input_ports, key=k), ITSELF, port)
        for port, k in zip(neuron.loop_ports, keys[len(forward) :], strict=True)
    ]
    return Layer(forward + loops, neuron)


@checked
def deep_lru(
    in_size: int,
    hidden_size: int,
    out_size: int,
    *,
    state_size: int,
    depth: int,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2 * math.pi,
    dropout: float = 0.0,
    activation: AbstractNeuron = GELU(),
    readout: AbstractNeuron = Identity(),
    key: PRNGKeyArray,
) -> Network:
    r"""A network of LRU blocks with residual paths, of ordinary layers and connections.

    The input is mapped to `hidden_size` features u, each block adds to them, and a last map makes the output of each
    step; the mean over time (`MeanMembrane`) is what the authors call pooling. A block is

    `x = LayerNorm(u)`, `h ← λ h + γ B x`, `y = GELU(Re(C h) + D x)`, `u ← u + (W₁ y + b₁) σ(W₂ y + b₂)`.

    There is no loop over time. Train it with the initialisation `AsGiven()`, which leaves the weights as drawn here.

    Orvieto et al. 2023, arXiv:2303.06349; sizes of the authors' experiments are 128 to 512 features and 4 to 6 blocks.
    Not the paper's: layer normalisation in place of batch normalisation, which is no function of one sample.

    Args:
        in_size: inputs.
        hidden_size: features between blocks, ≥ 2.
        out_size: outputs.
        state_size: linear recurrent units of each block.
        depth: blocks, ≥ 1.
        r_min: as of `LRU.ring`.
        r_max: as of `LRU.ring`.
        max_phase: as of `LRU.ring`.
        dropout: the rate of `Dropout` after the activation and after the gate, as the authors have it, from 0 to below
            1; 0 is none.
        activation: the units in place of GELU: spiking ones make a spiking LRU.
        readout: the last layer's neurons.
        key: random key of the weights: B, C, D as the authors draw them.

    Raises:
        SnnlearnError: if an argument is of another kind, a size is below 1, the ring is not in the unit disc, or
            dropout is not a share below 1.

    >>> network = deep_lru(3, 8, 2, state_size=4, depth=2, key=jax.random.key(0))
    >>> ys, state = network(jax.numpy.ones((10, 3)))
    >>> ys.shape
    (10, 2)
    """
    if depth < 1:
        raise SnnlearnError(f"deep_lru: depth is {depth}; give at least 1 block")
    dt = readout.dt
    first, last, *keys = jax.random.split(key, depth + 2)
    layers = [Layer(Dense(in_size, hidden_size, use_bias=True, key=first), Identity(dt=dt), name="features 0")]
    for number, block_key in enumerate(keys, start=1):
        of_ring, of_maps, of_skip, of_value, of_gate = jax.random.split(block_key, 5)
        ring = LRU.ring(state_size, r_min=r_min, r_max=r_max, max_phase=max_phase, dt=dt, key=of_ring)
        into, out = _maps(hidden_size, ring, state_size, hidden_size, f"lru {number}", key=of_maps)
        direct = OneToOne((hidden_size,), jax.random.normal(of_skip, (hidden_size,)))
        value, gate = (Dense(hidden_size, hidden_size, use_bias=True, key=k) for k in (of_value, of_gate))
        unchanged = Part(hidden_size, 0, hidden_size)
        layers += [
            Layer(LayerNorm((hidden_size,)), Identity(dt=dt), name=f"norm {number}"),
            into,
            Layer(
                [out, Connection(direct, f"norm {number}")], _dropped(activation, dropout), name=f"activation {number}"
            ),
            Layer(
                [Connection(value, port="value"), Connection(gate, port="gate")],
                _dropped(GLU(dt=dt), dropout),
                name=f"gate {number}",
            ),
            Layer(
                [unchanged, Connection(unchanged, f"features {number - 1}")], Identity(dt=dt), name=f"features {number}"
            ),
        ]
    layers.append(Layer(Dense(hidden_size, out_size, use_bias=True, key=last), readout))
    return Network(tuple(layers))


@checked
def spiking_lru(
    in_size: int,
    hidden_size: int,
    out_size: int,
    *,
    state_size: int,
    depth: int,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2 * math.pi,
    dropout: float = 0.0,
    neuron: AbstractNeuron = threshold(),
    readout: AbstractNeuron = LI(),
    key: PRNGKeyArray,
) -> Network:
    r"""Blocks of linear recurrent units that drive spiking ones: memory is complex and linear, what is sent are spikes.

    A block is `h ← λ h + γ B s`, `s' = Θ(Re(C h) + D s − v_th)`, s being the spikes of the block before, or the input.
    The default neuron is a `threshold` without memory: there is no reset, so that nothing needs a loop over time.
    B and D meet spikes, which only add; C meets the real numbers h and needs products.

    After Stan & Rhodes 2024, arXiv:2401.00955, whose spiking units follow diagonal state space layers; theirs have
    residual paths and batch normalisation. Draw its weights by `FluctuationDriven`, which sets the firing rates.

    Args:
        in_size: inputs.
        hidden_size: spiking units of each block.
        out_size: outputs.
        state_size: linear recurrent units of each block.
        depth: blocks, ≥ 1.
        r_min: as of `LRU.ring`.
        r_max: as of `LRU.ring`.
        max_phase: as of `LRU.ring`.
        dropout: the rate of `Dropout` of the spiking units, from 0 to below 1; 0 is none.
        neuron: the spiking units; one that is reset needs a loop over time.
        readout: the last layer's neurons.
        key: random key of the weights.

    Raises:
        SnnlearnError: if an argument is of another kind, a size is below 1, the ring is not in the unit disc, or
            dropout is not a share below 1.

    >>> network = spiking_lru(3, 8, 2, state_size=4, depth=2, key=jax.random.key(0))
    >>> [layer.name for layer in network.layers]
    ['lru 1', 'spikes 1', 'lru 2', 'spikes 2', '']
    """
    if depth < 1:
        raise SnnlearnError(f"spiking_lru: depth is {depth}; give at least 1 block")
    last, *keys = jax.random.split(key, depth + 1)
    layers: list[Layer] = []
    for number, block_key in enumerate(keys, start=1):
        of_ring, of_maps, of_skip = jax.random.split(block_key, 3)
        ring = LRU.ring(state_size, r_min=r_min, r_max=r_max, max_phase=max_phase, dt=readout.dt, key=of_ring)
        size, before = (in_size, INPUT) if number == 1 else (hidden_size, f"spikes {number - 1}")
        into, out = _maps(size, ring, state_size, hidden_size, f"lru {number}", key=of_maps)
        direct = Connection(Dense(size, hidden_size, use_bias=True, key=of_skip), before)
        layers += [into, Layer([out, direct], _dropped(neuron, dropout), name=f"spikes {number}")]
    layers.append(Layer(Dense(hidden_size, out_size, use_bias=True, key=last), readout))
    return Network(tuple(layers))


def _dropped(neuron: AbstractNeuron, rate: float) -> AbstractNeuron:
    return Dropout(neuron, rate) if rate else neuron  # pyright: ignore[reportCallIssue]


def _maps(
    in_size: int, ring: LRU, state_size: int, out_size: int, name: str, *, key: PRNGKeyArray
) -> tuple[Layer, Dense]:
    """The layer of linear recurrent units with B, and C, as the authors draw them."""
    of_re, of_im, of_out = jax.random.split(key, 3)
    half = math.sqrt(0.5)  # of the variance to each part of B; and C has that of a map from half as many inputs
    re, im = (Dense(in_size, state_size, key=k).affine(after=half) for k in (of_re, of_im))
    out = Dense(2 * state_size, out_size, key=of_out).affine(after=1 / half)
    return Layer([Connection(re, port="re"), Connection(im, port="im")], ring, name=name), out
