"""What every contender does: its data, its network, and its initial weights. NumPy only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np

DECAY_STEPS = 20.0
"""Membrane time constant in time steps, of hidden units and readout."""
LEARNING_RATE = 1e-6
"""So small that hidden units go on spiking as densely as they were made to, however many steps are timed."""
TRAINING, INFERENCE = "training", "inference"
"""What is timed: a step of training with Adam, or a forward pass alone."""
CALIBRATION_SAMPLES = 8
"""Densities are of the first samples of the batch: scaling the weights is no part of what is timed."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network of leaky integrate-and-fire layers and a leaky-integrator readout, and what goes into it.

    Args:
        hidden: units of each hidden layer; or, of an image, `32c5` is a convolution with 32 channels and kernel size 5,
            and `p2` are means over windows of side 2.
        recurrent: whether each hidden layer is also connected to itself.
        hidden_density: share of hidden units that spike in a step; weights are scaled so that every contender has it.
        inputs: how many.
        classes: how many outputs.
        num_steps: time steps of a sample.
        batch_size: samples at once.
        input_density: share of inputs that spike in a step.
        excitation: mean of a weight before scaling, times the fan-in. Without any, half the units of a network that
            spikes densely are silent and the others far above threshold.
        held: whether inputs are numbers in [0, 1], the same in every step, as the default code of snnlearn gives them,
            and not spikes; its surrogate is then the default, too.
    """

    hidden: tuple[int | str, ...]
    recurrent: bool = False
    hidden_density: float = 0.1
    inputs: int = 700
    classes: int = 20
    num_steps: int = 100
    batch_size: int = 128
    input_density: float = 0.02
    excitation: float = 0.0
    held: bool = False

    @classmethod
    def from_json(cls, values: dict) -> Self:
        """A task from what `to_json` gave."""
        return cls(**values | {"hidden": tuple(values["hidden"])})

    def to_json(self) -> dict:
        """Its fields, as JSON can hold them."""
        return asdict(self) | {"hidden": list(self.hidden)}

    def __str__(self) -> str:
        sizes = "-".join(map(str, (self.inputs, *self.hidden, self.classes)))
        inputs = "inputs held, " if self.held else f"{100 * self.input_density:g} % of the inputs and "
        return (
            f"{sizes}, {inputs}{100 * self.hidden_density:g} % of the hidden units spike in a step, "
            f"T = {self.num_steps}, batch {self.batch_size}"
        )

    @property
    def image(self) -> tuple[int, int, int] | None:
        """`(channels, height, width)` of the input, if a layer takes it as an image."""
        side = math.isqrt(self.inputs)
        return (1, side, side) if any(isinstance(spec, str) for spec in self.hidden) else None

    def layers(self) -> list[tuple[int, tuple[int, ...]]]:
        """Of each layer the side of the windows whose means it takes, and its weights' shape.

        That is `[in, out]` or, of a convolution, `[out, in, side, side]`.
        """
        found, window, image, size = [], 1, self.image, self.inputs
        for spec in (*self.hidden, self.classes):
            if isinstance(spec, str) and spec.startswith("p"):
                window = int(spec[1:])
                assert image is not None
                image = (image[0], image[1] // window, image[2] // window)
                continue
            if isinstance(spec, str):
                channels, side = map(int, spec.split("c"))
                assert image is not None
                found.append((window, (channels, image[0], side, side)))
                image = (channels, image[1] - side + 1, image[2] - side + 1)
            else:
                found.append((window, (math.prod(image) if image else size, spec)))
                image, size = None, spec
            window = 1
        return found

    def weights(self) -> list[list[np.ndarray]]:
        """Of each layer `[in, out]` and, where it is recurrent, `[out, out]`: normal, of variance 1 / fan-in.

        Of a convolution `[out, in, side, side]`.
        """
        rng = np.random.default_rng(1)

        def draw(fan_in: int, out: int) -> np.ndarray:
            normal = rng.standard_normal((fan_in, out)) / math.sqrt(fan_in)
            return (normal + self.excitation / fan_in).astype(np.float32)

        if self.image is not None:
            shapes = [shape for _, shape in self.layers()]
            return [[draw(math.prod(s[1:]), s[0]).T.reshape(s)] if len(s) == 4 else [draw(s[0], s[1])] for s in shapes]
        sizes = (self.inputs, *self.hidden)
        hidden = [[draw(a, b), draw(b, b)] if self.recurrent else [draw(a, b)] for a, b in pairwise(sizes)]
        return [*hidden, [draw(sizes[-1], self.classes)]]

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Random spikes `[B, T, inputs]`, or numbers `[B, inputs]` that are held, float32, and labels `[B]`."""
        rng = np.random.default_rng(0)
        if self.held:
            held = rng.random((self.batch_size, self.inputs), dtype=np.float32)
            return held, rng.integers(0, self.classes, self.batch_size)
        x = (rng.random((self.batch_size, self.num_steps, self.inputs)) < self.input_density).astype(np.float32)
        return x, rng.integers(0, self.classes, self.batch_size)


TASKS = {
    "feedforward": Task(hidden=(256, 256)),
    "recurrent": Task(hidden=(256,), recurrent=True),
    "wide": Task(hidden=(1024, 1024)),
    "wide-sparse": Task(hidden=(1024, 1024), hidden_density=0.05),
    "long": Task(hidden=(256, 256), num_steps=1000),
    "single": Task(hidden=(256,), inputs=784, classes=10, num_steps=25, batch_size=1, input_density=0.1),
}

_CONFIGURATIONS = {
    "digits": Task(hidden=(256,), inputs=64, classes=10, batch_size=64, held=True),
    "fashion-mnist-dense": Task(hidden=(256,), inputs=784, classes=10, batch_size=64, held=True),
    "fashion-mnist-conv": Task(hidden=("32c5", "p2", "64c5", "p2"), inputs=784, classes=10, batch_size=32, held=True),
    "fashion-mnist-conv-single": Task(
        hidden=("32c5", "p2", "64c5", "p2"), inputs=784, classes=10, batch_size=1, held=True
    ),
}
DEFAULTS = {
    f"{name}-{steps}-{round(100 * density)}": replace(task, num_steps=steps, hidden_density=density, excitation=1.0)
    for name, task in _CONFIGURATIONS.items()
    for steps in (4, 25)
    for density in (0.02, 0.1, 0.3)
}
"""The networks of default runs, by data, steps and density in percent."""
TASKS |= DEFAULTS

BASE = Task(
    hidden=(256, 256),
    hidden_density=0.05,
    inputs=700,
    classes=20,
    num_steps=100,
    batch_size=32,
    input_density=0.05,
    excitation=1.0,
)
SWEEPS: dict[str, dict[float, Task]] = {
    "width": {n: replace(BASE, hidden=(n, n)) for n in (128, 256, 512, 1024, 2048, 4096)},
    "density": {d: replace(BASE, input_density=d, hidden_density=d) for d in (0.005, 0.02, 0.05, 0.1, 0.2, 0.5)},
    "time steps": {t: replace(BASE, num_steps=t) for t in (50, 100, 300, 1000, 2000)},
    "batch": {b: replace(BASE, batch_size=b) for b in (1, 8, 32, 128, 512)},
}
"""Of each axis the values and their tasks. On that of density inputs and hidden units have the same."""
