"""Every task of a small domain, several algorithms, no free lunch."""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from snnlearn import coding, network
from snnlearn.cli import interrupts
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.folders import new_folder
from snnlearn.cli.options import NoFreeLunch
from snnlearn.report.files import present
from snnlearn.report.no_free_lunch import Averaged, no_free_lunch_report
from snnlearn.risk import from_estimator, full_batch_descent, labelings, no_free_lunch_risk, on_points
from snnlearn.risk import no_free_lunch as enumerate_tasks
from snnlearn.risk.all_tasks import Learner


def no_free_lunch(options: NoFreeLunch) -> int:
    """Enumerate, print and write a page."""
    options.check()
    keep_compiled_programs()
    with new_folder(options.out, "no-free-lunch") as path:
        return _measure(options, path)


def _measure(options: NoFreeLunch, path: Path) -> int:
    console = console_of()
    k, n = options.points, options.samples
    changes = np.array([np.sum(task[1:] != task[:-1]) for task in labelings(k)])
    prior = options.smoothness**changes / np.sum(options.smoothness**changes)
    found = []
    for name, learner in learners(k, options.seed).items():
        interrupts.check()
        with console.status(f"Enumerating {2**k} tasks × {k**n} samples: {name}"):
            uniform, smooth = (enumerate_tasks(learner, k, n, prior=p) for p in (None, prior))
        found.append(
            Averaged(
                name=name,
                risk=uniform.risk,
                seen=uniform.seen,
                off_training_set=uniform.off_training_set,
                difference=uniform.risk - uniform.seen - no_free_lunch_risk(k, n),
                worst=float(uniform.of_task.max()),
                risk_smooth=smooth.risk,
                off_training_set_smooth=smooth.off_training_set,
                of_task=uniform.of_task,
            )
        )
    present(no_free_lunch_report(found, points=k, samples=n, smoothness=options.smoothness), path, console)
    return 0


def learners(k: int, seed: int) -> dict[str, Learner]:
    """The learners: some remember what they saw, some do not; one trusts neighbours, one the opposite."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    def nearest(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return labels[np.argmin(np.abs(np.arange(k)[:, None] - points), axis=1)]

    def contrary(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        decided = 1 - nearest(points, labels)
        decided[points] = labels
        return decided

    snn = network.feedforward((k, 16, 2), key=jax.random.key(seed))
    # The unit vectors are the only input there is: weak weights would never spike.
    snn = jax.tree.map(lambda leaf: 3 * leaf if eqx.is_inexact_array(leaf) else leaf, snn)
    encoder = coding.Rescaled(coding.Current(num_steps=8), 0.0, 0.25)
    return {
        "nearest": nearest,
        "contrary": contrary,
        "majority": lambda points, labels: np.full(k, int(2 * labels.sum() > len(labels))),
        "always 0": lambda points, labels: np.zeros(k, int),
        "tree": on_points(from_estimator(DecisionTreeClassifier(random_state=0)), k),
        "logistic": on_points(from_estimator(LogisticRegression()), k),
        "spiking, BPTT": on_points(full_batch_descent(encoder, snn, key=jax.random.key(seed)), k),
    }
