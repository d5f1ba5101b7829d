"""What a trained network loses when its delays are rounded to whole steps."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn.algorithms.evaluation import evaluate, on_device
from snnlearn.algorithms.gradient_descent import GradientDescent
from snnlearn.algorithms.iterative import Training
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData
from snnlearn.network import Network, in_use, rounded


class Rounding(NamedTuple):
    """A network on the validation sample, with delays as learned and rounded, for K seeds.

    Args:
        loss: mean loss as learned.
        error: share of wrong decisions as learned, in [0, 1].
        loss_rounded: mean loss with rounded delays.
        error_rounded: share of wrong decisions with rounded delays.
    """

    loss: Float[Array, " K"]
    error: Float[Array, " K"]
    loss_rounded: Float[Array, " K"]
    error_rounded: Float[Array, " K"]


@checked
def rounding(
    algorithm: GradientDescent, encoder: AbstractEncoder, training: Training, data: LearningData, *, key: PRNGKeyArray
) -> Rounding:
    """What rounding costs the networks that a training has chosen, on the sample that chose them.

    Args:
        algorithm: with whose loss they were trained.
        encoder: from one `x` to the network's input over time.
        training: the training.
        data: its data.
        key: random key of the encoder and of the network's noise, the same for both.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> import snnlearn as sl
    >>> from snnlearn.network import DelayedSynapses, Dense, Layer, Network
    >>> import jax
    >>> keys = jax.random.split(jax.random.key(0), 2)
    >>> late = DelayedSynapses(Dense(4, 8, key=keys[0]), jnp.full((8, 4), 2.5), max_delay=5)
    >>> network = Network((Layer(late, sl.neurons.LIF()), Layer(Dense(8, 3, key=keys[1]), sl.neurons.LI())))
    >>> data = sl.data.yin_yang(num_train=40, num_validation=20, num_test=20).learning
    >>> algorithm, encoder = GradientDescent(epochs=1, batch_size=20), sl.coding.Current(num_steps=10)
    >>> training = algorithm.start(encoder, network, data, keys=keys)
    >>> rounding(algorithm, encoder, training, data, key=keys[0]).error_rounded.shape
    (2,)
    """
    sample, size = on_device(data.validation), jnp.size(data.validation.y)

    @eqx.filter_jit
    def of(networks, sample, key):
        return eqx.filter_vmap(
            lambda network: evaluate(algorithm.loss, encoder, network, sample, ends=data.ends, key=key)
        )(networks)

    learned = eqx.filter_vmap(_neurons_in_use)(training.best_network)
    (loss, wrong), (loss_rounded, wrong_rounded) = (
        of(networks, sample, key) for networks in (learned, eqx.filter_vmap(rounded)(learned))
    )
    return Rounding(loss, wrong / size, loss_rounded, wrong_rounded / size)


def _neurons_in_use(network: Network) -> Network:
    """Without what only serves training but for the delays, which stay as learned."""
    neurons = [in_use(layer.neuron) for layer in network.layers]
    return eqx.tree_at(lambda n: [layer.neuron for layer in n.layers], network, neurons)
