"""Recurrent networks of units that may have several ports."""

from __future__ import annotations

import jax
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn.network.connection import ITSELF, Connection
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network
from snnlearn.network.synapses import Dense
from snnlearn.neurons import AbstractNeuron, Identity, Tanh


@checked
def recurrent(
    in_size: int,
    hidden_size: int,
    out_size: int,
    *,
    neuron: AbstractNeuron = Tanh(),
    readout: AbstractNeuron = Identity(),
    key: PRNGKeyArray,
) -> Network:
    """One layer of units, connected all to all from the input and from themselves at their ports, and a readout.

    With `Tanh` it is a plain recurrent network, with `GRU` or `LSTM` the gated one. Draw its weights by `AsGiven()`.

    Args:
        in_size: inputs.
        hidden_size: units.
        out_size: outputs.
        neuron: the units.
        readout: the last layer's neurons.
        key: random key of the weights.

    Raises:
        SnnlearnError: if an argument is of another kind, or a size below 1.

    >>> from snnlearn.neurons import LSTM
    >>> network = recurrent(3, 8, 2, neuron=LSTM(), key=jax.random.key(0))
    >>> network(jax.numpy.ones((10, 3)))[0].shape
    (10, 2)
    """
    last, *keys = jax.random.split(key, 1 + len(neuron.input_ports) + len(neuron.loop_ports))
    forward = [
        Connection(Dense(in_size, hidden_size, use_bias=True, key=k), port=port)
        for port, k in zip(neuron.input_ports, keys, strict=False)
    ]
    loops = [
        Connection(Dense(hidden_size, hidden_size, use_bias=port not in neuron.input_ports, key=k), ITSELF, port)
        for port, k in zip(neuron.loop_ports, keys[len(forward) :], strict=True)
    ]
    return Network(
        (Layer(forward + loops, neuron), Layer(Dense(hidden_size, out_size, use_bias=True, key=last), readout))
    )
