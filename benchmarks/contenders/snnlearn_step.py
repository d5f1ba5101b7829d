"""snnlearn: `BPTT` of a `Network`, as `GradientDescent` uses it, on packed spikes, by the compiled kernels."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnlearn.coding import pack_spikes
from snnlearn.losses import CrossEntropy
from snnlearn.network import Dense, Network, feedforward, unroll
from snnlearn.neurons import LI, LIF, Boxcar
from snnlearn.rules import BPTT
from task import CALIBRATION_SAMPLES, DECAY_STEPS, LEARNING_RATE, Task

PACKAGES = ("snnlearn", "jax", "equinox", "optax")


def build(task: Task, x: np.ndarray, y: np.ndarray) -> SnnlearnStep:
    """A network with the task's weights."""
    return SnnlearnStep(task, x, y)


def weights(network: Network, layer: int) -> list[jax.Array]:
    """The weights of a layer's synapses, and of those to itself where it has them."""
    parts = network.layers[layer]
    return [synapses.weight for synapses in (parts.synapses, parts.recurrent) if isinstance(synapses, Dense)]


class SnnlearnStep:
    """See `Contender`."""

    def __init__(self, task: Task, x: np.ndarray, y: np.ndarray):
        dt = 1e-3
        self.network = feedforward(
            (task.inputs, *task.hidden, task.classes),
            neuron=LIF(tau_mem=DECAY_STEPS * dt, dt=dt, surrogate=Boxcar()),
            readout=LI(tau_mem=DECAY_STEPS * dt, dt=dt),
            recurrent=task.recurrent,
            key=jax.random.key(0),
        )
        for layer, initial in enumerate(task.weights()):
            self._set(layer, [jnp.asarray(w.T) for w in initial])
        optimizer = optax.adam(LEARNING_RATE)
        self.optimizer_state = optimizer.init(eqx.filter(self.network, eqx.is_inexact_array))  # pyright: ignore
        self.x, self.y = jax.block_until_ready((jax.jit(jax.vmap(pack_spikes))(x), jnp.asarray(y)))

        @eqx.filter_jit
        def densities(network: Network, x: jax.Array) -> list[jax.Array]:
            return [jnp.mean(spikes) for spikes in jax.vmap(lambda xs: unroll(network, xs)[0])(x).outputs[:-1]]

        @eqx.filter_jit
        def step(network, optimizer_state, x, y):
            loss, gradient = BPTT()(network, CrossEntropy(), x, y, key=jax.random.key(0))
            updates, optimizer_state = optimizer.update(gradient, optimizer_state)  # pyright: ignore
            return eqx.apply_updates(network, updates), optimizer_state, loss  # pyright: ignore

        self._densities, self._step = densities, step
        self._infer = eqx.filter_jit(lambda network, x: jax.vmap(lambda xs: network(xs)[0])(x))

    def _set(self, layer: int, values: list[jax.Array]) -> None:
        self.network = eqx.tree_at(lambda network: weights(network, layer), self.network, values)

    def densities(self) -> list[float]:
        """See the protocol."""
        few = jax.tree.map(lambda leaf: leaf[:CALIBRATION_SAMPLES], self.x)
        return [float(d) for d in self._densities(self.network, few)]

    def scale(self, layer: int, factor: float) -> None:
        """See the protocol."""
        self._set(layer, [w * factor for w in weights(self.network, layer)])

    def step(self) -> float:
        """See the protocol."""
        self.network, self.optimizer_state, loss = jax.block_until_ready(
            self._step(self.network, self.optimizer_state, self.x, self.y)
        )
        return float(loss)

    def infer(self) -> jax.Array:
        """See the protocol."""
        return jax.block_until_ready(self._infer(self.network, self.x))
