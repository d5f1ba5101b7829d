"""One module per contender, imported only in the worker process that runs it.

Each has `PACKAGES`, the distributions whose versions are reported, and `build(task, x, y)`, which gives a `Contender`.
"""

from __future__ import annotations

from typing import Protocol


class Contender(Protocol):
    """A network ready to be trained."""

    def densities(self) -> list[float]:
        """Of each hidden layer the share of units that spike in a step, in the first few samples."""
        ...

    def scale(self, layer: int, factor: float) -> None:
        """Multiply a hidden layer's weights, recurrent ones too."""
        ...

    def step(self) -> float:
        """One training step, finished when it returns: the loss before the update."""
        ...

    def infer(self) -> object:
        """One forward pass without gradients, finished when it returns: the readout."""
        ...
