"""Sinabs 3.1: layers step by step; the linear layers, which have no memory, see all time steps at once.

Given a sequence, its layers index it in each step, of which the derivative is a whole sequence of zeros; given one step
after the other they go on from their state. Its default spike function lets a unit spike several times in a step; here
it spikes once, as everybody else's.
"""

from __future__ import annotations

import numpy as np
import torch
from sinabs.activation import SingleSpike
from sinabs.layers import LIF, ExpLeak

from contenders.torch_step import TorchStep, linear
from task import DECAY_STEPS, Task

PACKAGES = ("sinabs", "torch")


class OverTime(torch.nn.Module):
    """Neurons in a loop over time, connected to themselves where there is a loop."""

    def __init__(self, neuron: LIF, loop: torch.nn.Linear | None = None):
        super().__init__()
        self.neuron, self.loop = neuron, loop

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        """Outputs from currents, both `[T, B, units]`."""
        self.neuron.init_state_with_shape(currents.shape[1:])
        outputs: list[torch.Tensor] = []
        for current in currents:
            if self.loop and outputs:
                current = current + self.loop(outputs[-1])
            outputs.append(self.neuron(current[:, None])[:, 0])
        return torch.stack(outputs)


class Network(torch.nn.Module):
    """See `TorchStep`."""

    def __init__(self, task: Task):
        super().__init__()
        *hidden, (readout,) = task.weights()
        self.layers, self.weights = torch.nn.ModuleList(), []
        for w, *recurrent in hidden:
            maps = [linear(each) for each in (w, *recurrent)]
            neurons = OverTime(LIF(DECAY_STEPS, spike_fn=SingleSpike), *maps[1:])
            self.layers.append(torch.nn.Sequential(maps[0], neurons))
            self.weights.append([each.weight for each in maps])
        self.readout = torch.nn.Sequential(linear(readout), OverTime(ExpLeak(DECAY_STEPS)))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """See `TorchStep`."""
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs, self.readout(x)


def build(task: Task, x: np.ndarray, y: np.ndarray) -> TorchStep:
    """A network with the task's weights."""
    return TorchStep(Network(task), x, y)
