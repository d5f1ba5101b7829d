"""Trainings whose numbers are no longer finite."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.iterative import Metrics, Training


class Diverged(SnnlearnError):
    """A training that has no result, since its numbers are no longer finite."""


def check_finite(training: Training, metrics: Metrics) -> None:
    """Refuse, for several trainings side by side, losses, gradients and parameters that are not finite."""
    losses = {"training loss": metrics.training_loss, "norm of the gradient": metrics.gradient_norm}
    found = {
        name: np.isfinite(values) for name, values in (losses | {"validation loss": metrics.validation_loss}).items()
    }
    for number, layer in enumerate(training.network.layers, start=1):
        arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array))]
        kept = [np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in arrays if array.size]
        found[f"a parameter of layer {number}"] = np.all(kept, axis=0) if kept else np.array(True)
    if broken := [name for name, finite in found.items() if not np.all(finite)]:
        raise Diverged(
            f"the training diverged in epoch {int(np.max(training.epoch))}: {', '.join(broken)} is not finite; "
            "lower the learning rate, or clip the gradient"
        )
