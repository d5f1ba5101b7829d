"""A plausible training run made of seeded random numbers: no network is trained for the report's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from snnlearn.report.summary import Example, LayerSummary, RunSummary

DIGITS = tuple("0123456789")


def fake_run(
    *,
    seeds: int = 5,
    silent_units: int = 12,
    num_examples: int = 3,
    class_names: tuple[str, ...] = DIGITS,
    test_size: int = 360,
    **changes,
) -> RunSummary:
    """Ten balanced classes, ten errors of the saved model on the test set, the last seed saved."""
    rng = np.random.default_rng(7)
    epoch = np.arange(1, 31)
    noise = 0.25 * rng.standard_normal((3, seeds, epoch.size)).cumsum(axis=2) / np.sqrt(epoch)
    loss = 2.2 * np.exp(-epoch / 4)
    curves = {
        "training loss": (loss + 0.03) * np.exp(noise[0]),
        "validation loss": (loss + 0.10 + 0.002 * epoch) * np.exp(noise[1]),
        "validation error": (0.85 * np.exp(-epoch / 3) + 0.03) * np.exp(noise[2]),
    }
    classes = len(class_names)
    confusion = np.diag(np.full(classes, test_size // classes))
    for truth, answer, count in ((8, 1, 4), (3, 9, 2), (9, 3, 1), (5, 6, 1), (4, 7, 2)):
        confusion[truth % classes, truth % classes] -= count
        confusion[truth % classes, (answer if answer < classes else truth + 1) % classes] += count
    rates = rng.gamma(2.0, 11.0, 128)
    rates[:silent_units] = 0.0
    layers = (
        LayerSummary("1 · LIF 128", 128, True, rates, silent_units / 128, 1 / 128, 0.183),
        LayerSummary("2 · LI 10", classes, False, np.empty(0), 0.0, 0.0, 0.0),
    )
    summary: dict[str, Any] = dict(
        title="digits · rate code · LIF 128 · BPTT",
        curves=curves,
        selected_epoch=np.full(seeds, 21),
        confusion=confusion,
        class_names=class_names,
        test_errors=np.array([13, 9, 14, 11, 10])[5 - seeds :],
        test_size=test_size,
        train_errors=np.array([2, 1, 0, 3, 1])[5 - seeds :],
        train_size=1150,
        chance=0.898,
        selected_seed=seeds - 1,
        layers=layers,
        examples=tuple(fake_example(i, class_names, wrong=i == 1) for i in range(num_examples)),
        dt=1e-3,
        parameters=9610,
        synops=41_234.0,
        macs=0.0,
        dense="64-128-10",
        dense_macs=9_472.0,
        num_steps=100,
        wall_time=72.4,
        samples_per_second=20_312.0,
        notes=("The label is column target.",),
        warnings=("9.4 % of the units of layer 1 never spike on the probe data.",),
        config={"seed": 0, "seeds": seeds, "data": {"name": "digits"}, "network": {"units": [128], "tau_mem": 0.02}},
        environment={"snnlearn": "0.1.0", "jax": "0.10.2", "python": "3.13"},
        why_plain="layer 1 has Conv2d synapses, not Dense",
        reproduce="snnlearn train run.toml",
    )
    return RunSummary(**(summary | changes))


def fake_example(index: int, class_names: tuple[str, ...] = DIGITS, *, wrong: bool = False) -> Example:
    """A real digit, rate coded; the layers behind it are filtered noise that looks like a network's."""
    rng = np.random.default_rng(index)
    pixels, _ = load_digits(return_X_y=True)
    image = np.reshape(pixels[index] / 16, (8, 8))
    spikes = (rng.random((100, 64)) < 0.2 * image.ravel()).astype(float)
    drive = spikes @ rng.normal(0, 0.55, (64, 128)) * (rng.random(128) > 0.1)
    v, hidden = np.zeros((100, 128)), np.zeros((100, 128))
    for t in range(1, 100):
        v[t] = 0.95 * v[t - 1] * (1 - hidden[t - 1]) + 0.3 * drive[t]
        hidden[t] = v[t] > 1
    classes = len(class_names)
    label, answer = index % classes, (index + 4 * wrong) % classes
    weights = rng.normal(0, 0.1, (128, classes))
    weights[:, answer] += 0.04
    readout = np.zeros((100, classes))
    for t in range(1, 100):
        readout[t] = 0.97 * readout[t - 1] + 0.03 * hidden[t] @ weights
    return Example(
        image=image,
        label=class_names[label],
        predicted=class_names[answer],
        layers=(("input", spikes, True), ("1 · LIF 128", hidden, True), ("2 · LI 10", readout, False)),
        membranes=(("1 · LIF 128", v[:, 20:23]),),
    )
