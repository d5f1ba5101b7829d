"""Multilayer perceptrons of scikit-learn."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any, final

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn._parameters import shown
from snnlearn.conversion.sources.base import OUTPUT, AbstractSource, Artificial, Reference
from snnlearn.conversion.sources.graph import Graph, dense
from snnlearn.neurons import Rectifier


@final
class FittedMLP(AbstractSource):
    """A fitted `MLPClassifier` or `MLPRegressor` with `activation="relu"`.

    The output is before the softmax, or the logistic function of two classes, which becomes two outputs; neither
    changes a decision.

    Args:
        estimator: the estimator.

    >>> from sklearn.neural_network import MLPRegressor
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> mlp = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=200, random_state=0).fit(x, x[:, 0])
    >>> FittedMLP(mlp).read().network.out_shape
    (1,)
    """

    estimator: Any

    def read(self) -> Artificial:
        """See the base.

        Raises:
            SnnlearnError: if it is no such estimator, not fitted, or has another activation function.
        """
        mlp = self.estimator
        if not hasattr(mlp, "coefs_") or not hasattr(mlp, "intercepts_"):
            raise SnnlearnError(
                f"FittedMLP: estimator is {shown(mlp)}, without coefs_; give a fitted MLPClassifier or MLPRegressor"
            )
        if mlp.activation != "relu":
            raise SnnlearnError(
                f"FittedMLP: its activation is {mlp.activation!r}, which is no sum of rectified parts; fit it with "
                "activation='relu'"
            )
        coefs, intercepts = list(mlp.coefs_), list(mlp.intercepts_)
        notes: tuple[str, ...] = ()
        binary = mlp.out_activation_ == "logistic" and coefs[-1].shape[1] == 1
        if mlp.out_activation_ not in ("identity", "softmax") and not binary:
            raise SnnlearnError(
                f"FittedMLP: its output is {mlp.out_activation_!r} of {coefs[-1].shape[1]} labels; fit one of one label"
            )
        if mlp.out_activation_ != "identity":
            notes = (f"The final {mlp.out_activation_} is dropped: it changes no decision.",)
        if binary:  # of classes with the scores 0 and z, the second wins where z > 0
            coefs[-1] = np.concatenate([np.zeros_like(coefs[-1]), coefs[-1]], axis=1)
            intercepts[-1] = np.concatenate([np.zeros(1), intercepts[-1]])
        graph = Graph((coefs[0].shape[0],))
        x = graph.input
        for number, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), start=1):
            x = graph.affine(x, dense(coef.T), intercept)
            if number < len(coefs):
                x = graph.units(x, Rectifier(), f"hidden {number}")

        def activations(xs: np.ndarray) -> dict[str, np.ndarray]:
            steps = [xs.astype(coefs[0].dtype), *[np.empty((len(xs), c.shape[1])) for c in mlp.coefs_]]
            found = mlp._forward_pass(steps)
            hidden = {f"hidden {number}": found[number] for number in range(1, len(coefs))}
            return hidden | {OUTPUT: found[-2] @ coefs[-1] + intercepts[-1]}

        names = tuple(map(str, getattr(mlp, "classes_", ())))
        return Artificial(graph.network(x), notes, names, Reference("scikit-learn", activations))


_OPTIMISERS = [f"sklearn.neural_network._stochastic_optimizers.{name}Optimizer" for name in ("Adam", "SGD")]
"""What a fitted MLP also holds: classes of scikit-learn that skops does not list, with numbers in them and no more."""


@final
class SkopsFile(AbstractSource):
    """A fitted `MLPClassifier` or `MLPRegressor` in a `.skops` file (needs the extra `skops`).

    `skops.io.dump(mlp, "mlp.skops")` writes one. Unlike a pickle it names what it consists of, and nothing is
    opened here but what skops knows to be harmless. The reference is scikit-learn.

    Args:
        path: the file.
    """

    path: Path

    def read(self) -> Artificial:
        """See the base."""
        try:
            from skops import io
        except ImportError as error:
            raise SnnlearnError(
                f"{self.path} needs the package skops; install it with pip install 'snnlearn[skops]'"
            ) from error
        if not self.path.is_file():
            raise SnnlearnError(f"{self.path} is not a file; give a .skops file")
        try:
            with zipfile.ZipFile(self.path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            check_memory(size, str(self.path), "save it again")
            unknown = sorted(set(io.get_untrusted_types(file=self.path)) - set(_OPTIMISERS))
            with warnings.catch_warnings(action="ignore"):  # of other versions, in which the arrays are the same
                mlp = None if unknown else io.load(self.path, trusted=_OPTIMISERS)
        except SnnlearnError:
            raise
        except Exception as error:  # zip files raise whatever their parts do, and so does what is in them
            raise SnnlearnError(
                f"{self.path} is damaged, no skops file, or of another version of scikit-learn; write it again: "
                "skops.io.dump(mlp, path)"
            ) from error
        if unknown:
            raise SnnlearnError(
                f"{self.path} holds {', '.join(unknown)}, which could execute anything; save the MLPClassifier or "
                "MLPRegressor alone"
            )
        try:
            return FittedMLP(mlp).read()
        except SnnlearnError as error:
            raise SnnlearnError(f"{self.path}: {error}") from error
