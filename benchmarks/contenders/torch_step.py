"""What the PyTorch contenders have in common, and their floor: the matrix products alone."""

from __future__ import annotations

import numpy as np
import torch

from task import CALIBRATION_SAMPLES, LEARNING_RATE, Task

PACKAGES = ("torch",)


class TorchStep:
    """See `Contender`.

    Args:
        network: maps `[T, B, N]` to the hidden layers' spikes, each `[T, B, units]`, and the readout `[T, B, C]`; its
            `weights` hold of each layer the parameters to scale.
        x: inputs `[B, T, N]`.
        y: labels `[B]`.
    """

    def __init__(self, network: torch.nn.Module, x: np.ndarray, y: np.ndarray, num_steps: int | None = None):
        self.network = network
        if x.ndim == 2:  # held: one step, of which every step after it is a view
            assert num_steps is not None
            self.x = torch.from_numpy(x)[None].expand(num_steps, -1, -1)
        else:
            self.x = torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))
        self.y = torch.from_numpy(y)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        # Adam allots its moments in its first step. One of zero gradients, which changes nothing, puts them in place
        # before memory is measured, as those of the JAX contenders are.
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def densities(self) -> list[float]:
        """See the protocol."""
        return [float(spikes.mean()) for spikes in self.network(self.x[:, :CALIBRATION_SAMPLES])[0]]

    @torch.no_grad()
    def scale(self, layer: int, factor: float) -> None:
        """See the protocol."""
        for weight in self.network.weights[layer]:
            weight.mul_(factor)

    def step(self) -> float:
        """See the protocol."""
        self.optimizer.zero_grad()
        _, readout = self.network(self.x)
        loss = torch.nn.functional.cross_entropy(readout.mean(0), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.inference_mode()
    def infer(self) -> torch.Tensor:
        """See the protocol."""
        return self.network(self.x)[1]


def linear(weight: np.ndarray) -> torch.nn.Linear:
    """A linear layer without bias from weights `[in, out]`."""
    layer = torch.nn.Linear(*weight.shape, bias=False)
    layer.weight.data.copy_(torch.from_numpy(weight.T))
    return layer


class Synapses(torch.nn.Module):
    """Means over windows, and then a convolution or a linear layer, of all steps at once, from `[T, B, …]`.

    What is held over all steps is computed once.
    """

    def __init__(self, window: int, weight: np.ndarray, image: tuple[int, ...] | None, *, held: bool):
        super().__init__()
        self.image, self.held = image, held
        parts: list[torch.nn.Module] = [] if window == 1 else [torch.nn.AvgPool2d(window)]
        if weight.ndim == 4:
            module = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False)
            module.weight.data.copy_(torch.from_numpy(weight))
        else:
            module = linear(weight)
            parts.append(torch.nn.Flatten())
        self.weight = module.weight
        self.module = torch.nn.Sequential(*parts, module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Currents `[T, B, …]`."""
        steps = len(x)
        x = x[:1] if self.held else x
        flat = x.flatten(0, 1)
        flat = flat if self.image is None else flat.unflatten(1, self.image)
        out = self.module(flat).unflatten(0, x.shape[:2])
        return out.expand(steps, *out.shape[1:])


def synapses(task: Task) -> list[Synapses]:
    """Those of each layer of a task whose input is held, or which has convolutions."""
    parts = zip(task.layers(), task.weights(), strict=True)
    return [
        Synapses(window, w, task.image if n == 0 else None, held=task.held and n == 0)
        for n, ((window, _), (w, *_)) in enumerate(parts)
    ]


class Products(torch.nn.Module):
    """Every layer's weights as linear maps without neurons between them: what any dense implementation computes."""

    def __init__(self, task: Task):
        super().__init__()
        self.layers = torch.nn.ModuleList(linear(w) for w, *_ in task.weights())
        self.recurrent = torch.nn.ModuleList(linear(r) for _, *recurrent in task.weights() for r in recurrent)

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """See `TorchStep`."""
        for n, layer in enumerate(self.layers):
            x = layer(x)
            if n < len(self.recurrent):
                # A recurrent layer cannot but go step by step.
                before = torch.zeros_like(x[0])
                x = torch.stack([before := current + self.recurrent[n](before) for current in x])
        return [], x


def build(task: Task, x: np.ndarray, y: np.ndarray) -> TorchStep:
    """The floor."""
    return TorchStep(Products(task), x, y)
