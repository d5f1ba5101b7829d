"""SpikingJelly 2.0 in multi-step mode: `layer.Linear` and `LIFNode` see all time steps at once.

Its `LinearRecurrentContainer` multiplies the input by a further matrix, so the recurrent layer is the faster loop over
single steps.
"""

from __future__ import annotations

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron

from contenders.torch_step import TorchStep, synapses
from contenders.torch_step import linear as single_step_linear
from task import DECAY_STEPS, Task

PACKAGES = ("spikingjelly", "torch")


def linear(weight: np.ndarray) -> layer.Linear:
    """A multi-step linear layer from weights `[in, out]`."""
    module = layer.Linear(*weight.shape, bias=False, step_mode="m")
    module.weight.data.copy_(torch.from_numpy(weight.T))
    return module


class RecurrentLIF(torch.nn.Module):
    """A LIF layer connected to itself, from currents `[T, B, units]` to spikes."""

    def __init__(self, weight: np.ndarray):
        super().__init__()
        self.recurrent = single_step_linear(weight)
        self.neuron = neuron.LIFNode(tau=DECAY_STEPS, step_mode="s")

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        """All time steps."""
        spikes = [torch.zeros_like(currents[0])]
        for current in currents:
            spikes.append(self.neuron(current + self.recurrent(spikes[-1])))
        return torch.stack(spikes[1:])


class Network(torch.nn.Module):
    """See `TorchStep`."""

    def __init__(self, task: Task):
        super().__init__()
        *hidden, _ = task.weights()
        *each, last = synapses(task) if task.held else [linear(w) for w, *_ in task.weights()]
        self.linear, self.neurons, self.weights = torch.nn.ModuleList(), torch.nn.ModuleList(), []
        for part, (_, *recurrent) in zip(each, hidden, strict=True):
            self.linear.append(part)
            self.weights.append([part.weight])
            if recurrent:
                self.neurons.append(RecurrentLIF(recurrent[0]))
                self.weights[-1].append(self.neurons[-1].recurrent.weight)
            else:
                self.neurons.append(neuron.LIFNode(tau=DECAY_STEPS, step_mode="m"))
        self.readout = torch.nn.Sequential(last, neuron.NonSpikingLIFNode(tau=DECAY_STEPS))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """See `TorchStep`."""
        functional.reset_net(self)
        outputs = []
        for linear_layer, lif in zip(self.linear, self.neurons, strict=True):
            x = lif(linear_layer(x))
            outputs.append(x)
        return outputs, torch.stack(self.readout(x))


def build(task: Task, x: np.ndarray, y: np.ndarray) -> TorchStep:
    """A network with the task's weights."""
    return TorchStep(Network(task), x, y, task.num_steps)
