"""Norse 1.1: cells in a loop over time; the linear layers, which have no memory, see all time steps at once.

`norse.Lift` does the same but indexes the sequence in each step, of which the derivative is a whole sequence of zeros.
Feed-forward it has a LIF without synaptic current (`LIFBoxCell`); recurrent it has not, so there the current of
`LIFRecurrent` decays within a step.
"""

from __future__ import annotations

import norse.torch as norse
import numpy as np
import torch

from contenders.torch_step import TorchStep, linear
from task import DECAY_STEPS, Task

PACKAGES = ("norse", "torch")
DT = 1e-3


class OverTime(torch.nn.Module):
    """A cell over all time steps, like `norse.Lift`: outputs and last state."""

    def __init__(self, cell: torch.nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, currents: torch.Tensor) -> tuple[torch.Tensor, object]:
        """All time steps of currents `[T, B, units]`."""
        outputs, state = [], None
        for current in currents:
            output, state = self.cell(current, state)
            outputs.append(output)
        return torch.stack(outputs), state


class Network(torch.nn.Module):
    """See `TorchStep`."""

    def __init__(self, task: Task):
        super().__init__()
        decay = torch.tensor(1 / (DECAY_STEPS * DT))
        *hidden, readout = task.weights()
        self.layers, self.weights = torch.nn.ModuleList(), []
        for w, *recurrent in hidden:
            if recurrent:
                neuron = norse.LIFRecurrent(
                    *w.shape,
                    p=norse.LIFParameters(tau_mem_inv=decay, tau_syn_inv=torch.tensor(1 / DT)),
                    input_weights=torch.nn.Parameter(torch.tensor(w.T)),
                    recurrent_weights=torch.nn.Parameter(torch.tensor(recurrent[0].T)),
                    autapses=True,
                    dt=DT,
                )
                self.layers.append(neuron)
                self.weights.append([neuron.input_weights, neuron.recurrent_weights])
            else:
                cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=decay), dt=DT)
                self.layers.append(torch.nn.Sequential(linear(w), OverTime(cell)))
                self.weights.append([self.layers[-1][0].weight])
        cell = norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=decay), dt=DT)
        self.readout = torch.nn.Sequential(linear(readout[0]), OverTime(cell))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """See `TorchStep`."""
        outputs = []
        for layer in self.layers:
            x, _ = layer(x)
            outputs.append(x)
        return outputs, self.readout(x)[0]


def build(task: Task, x: np.ndarray, y: np.ndarray) -> TorchStep:
    """A network with the task's weights."""
    return TorchStep(Network(task), x, y)
