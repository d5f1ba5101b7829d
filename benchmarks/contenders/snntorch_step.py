"""snnTorch 1.0: `Leaky` in a loop over time; the linear layers, which have no memory, see all time steps at once."""

from __future__ import annotations

import math

import numpy as np
import snntorch
import torch

from contenders.torch_step import TorchStep, linear, synapses
from task import DECAY_STEPS, Task

PACKAGES = ("snntorch", "torch")


class Network(torch.nn.Module):
    """See `TorchStep`."""

    def __init__(self, task: Task):
        super().__init__()
        beta = math.exp(-1 / DECAY_STEPS)
        self.linear, self.neurons, self.weights = torch.nn.ModuleList(), torch.nn.ModuleList(), []
        each = synapses(task) if task.held else [linear(w) for w, *_ in task.weights()]
        for part, (w, *recurrent) in zip(each, task.weights(), strict=True):
            self.linear.append(part)
            self.weights.append([part.weight])
            if len(self.linear) == len(each):
                self.neurons.append(snntorch.Leaky(beta, reset_mechanism="none"))
            elif task.recurrent:
                self.neurons.append(snntorch.RLeaky(beta, linear_features=w.shape[1]))
                self.neurons[-1].recurrent = linear(recurrent[0])
                self.weights[-1].append(self.neurons[-1].recurrent.weight)
            else:
                self.neurons.append(snntorch.Leaky(beta))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """See `TorchStep`."""
        outputs = []
        *hidden, readout = zip(self.linear, self.neurons, strict=True)
        for layer, neuron in hidden:
            neuron.reset_mem()
            x = torch.stack([neuron(current)[0] for current in layer(x)])
            outputs.append(x)
        layer, neuron = readout
        neuron.reset_mem()
        return outputs, torch.stack([neuron(current)[1] for current in layer(x)])


def build(task: Task, x: np.ndarray, y: np.ndarray) -> TorchStep:
    """A network with the task's weights."""
    return TorchStep(Network(task), x, y, task.num_steps)
