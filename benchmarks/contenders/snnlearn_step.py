"""snnlearn: `BPTT` of a `Network`, as `GradientDescent` uses it, on packed spikes, by the compiled kernels."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnlearn.coding import Current, pack_spikes
from snnlearn.hypothesis import network_input
from snnlearn.losses import CrossEntropy
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
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
    return [part.carrier.weight for part in (parts.synapses, parts.recurrent) if part is not None]


def network(task: Task, dt: float) -> Network:
    """The task's network; its weights are set later."""
    key, tau_mem = jax.random.key(0), DECAY_STEPS * dt
    surrogate = {} if task.held else {"surrogate": Boxcar()}
    neuron, readout = LIF(tau_mem=tau_mem, dt=dt, **surrogate), LI(tau_mem=tau_mem, dt=dt)
    shape = task.image
    if shape is None:
        sizes = (task.inputs, *task.hidden, task.classes)
        return feedforward(sizes, neuron=neuron, readout=readout, recurrent=task.recurrent, key=key)  # pyright: ignore
    layers = []
    for window, weight in task.layers():
        pool = AveragePool2d(shape, window) if window > 1 else None
        arriving = shape if pool is None else pool.out_shape
        if len(weight) == 4:
            synapses = Conv2d(arriving, weight[0], weight[2], key=key)
        else:
            synapses = Dense(*weight, key=key)
        layers.append(Layer(synapses if pool is None else Chain(pool, synapses), neuron))
        shape = synapses.out_shape
    return Network((*layers[:-1], Layer(layers[-1].synapses, readout)))


class SnnlearnStep:
    """See `Contender`."""

    def __init__(self, task: Task, x: np.ndarray, y: np.ndarray):
        dt = 1e-3
        self.network = network(task, dt)
        for layer, initial in enumerate(task.weights()):
            self._set(layer, [jnp.asarray(w if w.ndim == 4 else w.T) for w in initial])
        optimizer = optax.adam(LEARNING_RATE)
        self.optimizer_state = optimizer.init(eqx.filter(self.network, eqx.is_inexact_array))  # pyright: ignore
        if task.held:
            x = jnp.asarray(x.reshape(len(x), *(task.image or (task.inputs,))))
        else:
            x = jax.jit(jax.vmap(pack_spikes))(x)
        self.x, self.y = jax.block_until_ready((x, jnp.asarray(y)))
        code = Current(num_steps=task.num_steps, dt=dt)

        def encoded(network: Network, x):
            """As a training and a prediction encode their input."""
            if not task.held:
                return x
            return jax.vmap(lambda x: network_input(code, network, x, key=jax.random.key(0)))(x)

        @eqx.filter_jit
        def densities(network: Network, x: jax.Array) -> list[jax.Array]:
            return [
                jnp.mean(spikes)
                for spikes in jax.vmap(lambda xs: unroll(network, xs)[0])(encoded(network, x)).outputs[:-1]
            ]

        @eqx.filter_jit
        def step(network, optimizer_state, x, y):
            loss, gradient = BPTT()(network, CrossEntropy(), encoded(network, x), y, key=jax.random.key(0))
            updates, optimizer_state = optimizer.update(gradient, optimizer_state)  # pyright: ignore
            return eqx.apply_updates(network, updates), optimizer_state, loss  # pyright: ignore

        self._densities, self._step = densities, step
        self._infer = eqx.filter_jit(lambda network, x: jax.vmap(lambda xs: network(xs)[0])(encoded(network, x)))

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
