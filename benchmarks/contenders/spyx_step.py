"""Spyx 1.0: `spyx.nn.run` of a `Sequential`, `spyx.fn` loss and `spyx.optimize` training step, data `[T, B, N]`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx
import spyx.optimize
from flax import nnx

from task import CALIBRATION_SAMPLES, DECAY_STEPS, LEARNING_RATE, Task

PACKAGES = ("spyx", "jax", "flax", "optax")


def build(task: Task, x: np.ndarray, y: np.ndarray) -> SpyxStep:
    """A network with the task's weights."""
    return SpyxStep(task, x, y)


class SpyxStep:
    """See `Contender`."""

    def __init__(self, task: Task, x: np.ndarray, y: np.ndarray):
        rngs = nnx.Rngs(0)
        neuron = spyx.nn.RLIF if task.recurrent else spyx.nn.LIF
        decay = float(np.exp(-1 / DECAY_STEPS))
        layers = []
        for units, (w, *recurrent) in zip((*task.hidden, task.classes), task.weights(), strict=True):
            linear = nnx.Linear(*w.shape, use_bias=False, rngs=rngs)
            linear.kernel[...] = jnp.asarray(w)
            readout = len(layers) == 2 * len(task.hidden)
            layers += [linear, (spyx.nn.LI if readout else neuron)((units,), decay, rngs=rngs)]
            if recurrent:
                layers[-1].recurrent_w[...] = jnp.asarray(recurrent[0])
        self.model = spyx.nn.Sequential(*layers)
        self.optimizer = nnx.Optimizer(self.model, optax.adam(LEARNING_RATE), wrt=nnx.Param)
        self.x, self.y = jnp.asarray(x.swapaxes(0, 1)), jnp.asarray(y)

        def loss(model, x, y):
            traces, _ = spyx.nn.run(model, x)
            return optax.softmax_cross_entropy_with_integer_labels(traces.mean(0), y).mean()

        @nnx.jit
        def densities(model, x):
            # Sequential gives only the last output: run ever longer networks.
            return [
                spyx.nn.run(spyx.nn.Sequential(*model.layers[: 2 * n]), x)[0].mean()
                for n in range(1, len(task.hidden) + 1)
            ]

        self._step, self._densities = spyx.optimize.make_train_step(loss), densities
        self._infer = nnx.jit(lambda model, x: spyx.nn.run(model, x)[0])

    def densities(self) -> list[float]:
        """See the protocol."""
        return [float(d) for d in self._densities(self.model, self.x[:, :CALIBRATION_SAMPLES])]

    def scale(self, layer: int, factor: float) -> None:
        """See the protocol."""
        linear, neuron = self.model.layers[2 * layer : 2 * layer + 2]
        linear.kernel[...] *= factor
        if hasattr(neuron, "recurrent_w"):
            neuron.recurrent_w[...] *= factor

    def step(self) -> float:
        """See the protocol."""
        loss = self._step(self.model, self.optimizer, self.x, self.y)
        jax.block_until_ready(nnx.state(self.model))
        return float(loss)

    def infer(self) -> jax.Array:
        """See the protocol."""
        return jax.block_until_ready(self._infer(self.model, self.x))
