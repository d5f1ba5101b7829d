"""The training step that every contender does: its data, its network, and its initial weights. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BATCH, STEPS, INPUTS, CLASSES = 128, 100, 700, 20
INPUT_DENSITY = 0.02
HIDDEN_DENSITY = 0.1
"""Share of hidden units that spike in a step; weights are scaled so that every contender has it."""
DECAY_STEPS = 20.0
"""Membrane time constant in time steps, of hidden units and readout."""
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Task:
    """A network of leaky integrate-and-fire layers and a leaky-integrator readout.

    Args:
        hidden: units of each hidden layer.
        recurrent: whether each hidden layer is also connected to itself.
    """

    hidden: tuple[int, ...]
    recurrent: bool

    def weights(self) -> list[list[np.ndarray]]:
        """Of each layer `[in, out]` and, where it is recurrent, `[out, out]`: normal, variance 1 / fan-in."""
        rng = np.random.default_rng(1)

        def draw(fan_in: int, out: int) -> np.ndarray:
            return (rng.standard_normal((fan_in, out)) / math.sqrt(fan_in)).astype(np.float32)

        sizes = (INPUTS, *self.hidden)
        hidden = [[draw(a, b), draw(b, b)] if self.recurrent else [draw(a, b)] for a, b in pairwise(sizes)]
        return [*hidden, [draw(sizes[-1], CLASSES)]]


TASKS = {
    "feedforward": Task(hidden=(256, 256), recurrent=False),
    "recurrent": Task(hidden=(256,), recurrent=True),
}


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Random spikes `[BATCH, STEPS, INPUTS]`, float32, and labels `[BATCH]`."""
    rng = np.random.default_rng(0)
    x = (rng.random((BATCH, STEPS, INPUTS)) < INPUT_DENSITY).astype(np.float32)
    return x, rng.integers(0, CLASSES, BATCH)
