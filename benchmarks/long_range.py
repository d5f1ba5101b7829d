"""Copying and adding over a long time, by several networks: `python benchmarks/long_range.py`, an hour.

Each seed's epoch is chosen by the validation sample, and the test sample is used once, at the end. Adding is read in
the last step, so the network has to remember; its error is relative to that of the mean, which is 1. Of adding, each
network also has the half-life of an error on its way back, and what is left of it at the first step. Networks that are
already in `benchmarks/results/long_range.json` are not repeated. `--sizes full` has the sizes of the published copy
task.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.figure import Figure

import snnlearn as sl
from snnlearn import coding, losses, neurons
from snnlearn.data import Dataset
from snnlearn.network import AbstractInitialisation, FluctuationDriven, LayerNorm, Network, Redrawn

OUT = Path(__file__).resolve().parent / "results" / "long_range.json"
STEPS = {"copy": 48, "adding": 500}


def lru(inputs: int, outputs: int, key: jax.Array, *, full: bool, copies: bool) -> Network:
    """Two blocks, or the authors' four of 256 features; to add, of units that forget and turn little in 500 steps."""
    hidden, state, depth = (256, 128, 4) if full else (64, 128, 2) if copies else (16, 16, 2)
    r_min, r_max, max_phase = (0.9, 1.0, 2 * math.pi) if copies else (0.998, 0.9999, math.pi / STEPS["adding"])
    return sl.network.deep_lru(
        inputs, hidden, outputs, state_size=state, depth=depth, r_min=r_min, r_max=r_max, max_phase=max_phase, key=key
    )


@final
class Centred(AbstractInitialisation):
    """`Redrawn`, and biases with which what the LRUs take, and what the network gives in the last step, have mean 0.

    What does not change adds up over the steps: at first the unmarked ones give the LRUs' states an offset hundreds of
    times as large as what a marked number gives. With it, trainings of 900 updates, by steps of 0.001 or 0.005, came to
    no better error than that of the mean. Biases that depend on data are as in Salimans and Kingma 2016,
    arXiv:1602.07868; published LRUs have batch normalisation, which takes offsets out, too.
    """

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        network = Redrawn()(network, inputs, key=key)
        for number in range(len(network.layers)):
            last = number == len(network.layers) - 1
            synapses = network.layers[number].connections[0].synapses
            if not (last or isinstance(synapses, LayerNorm)):
                continue
            outputs = jax.vmap(lambda xs, n=network, i=number: sl.network.unroll(n, xs)[0].outputs[i])(inputs)
            mean = jnp.mean(outputs[:, -1] if last else outputs, axis=0 if last else (0, 1))
            network = eqx.tree_at(
                lambda n, i=number: n.layers[i].connections[0].synapses.bias,
                network,
                replace_fn=lambda b, m=mean: b - m,
            )
        return network


def alif(inputs: int, outputs: int, key: jax.Array, *, tau_out: float) -> Network:
    """128 recurrent neurons with membranes of a step, whose adaptation lasts as long as a sequence of adding."""
    neuron = neurons.ALIF(tau_mem=1e-3, tau_adapt=0.5, beta=0.05)
    readout = neurons.LI(tau_mem=tau_out)
    sizes = (inputs, 128, outputs)
    return sl.network.feedforward(sizes, neuron=neuron, readout=readout, recurrent=True, use_bias=True, key=key)


def networks(inputs: int, outputs: int, key: jax.Array, *, full: bool, copies: bool) -> dict[str, Network]:
    """By name."""
    return {
        "LRU": lru(inputs, outputs, key, full=full, copies=copies),
        "ALIF": alif(inputs, outputs, key, tau_out=20e-3),
        "ALIF, slow readout": alif(inputs, outputs, key, tau_out=0.9),
        "plain RNN": sl.network.recurrent(inputs, 64, outputs, key=key),
        "plain RNN, slow readout": sl.network.recurrent(inputs, 64, outputs, readout=neurons.LI(tau_mem=0.9), key=key),
        "LSTM": sl.network.recurrent(inputs, 64, outputs, neuron=neurons.LSTM(), key=key),
    }


RATES = {
    "LRU": 1e-3,
    "ALIF": 1e-2,
    "ALIF, slow readout": 1e-2,
    "plain RNN": 1e-3,
    "plain RNN, slow readout": 1e-3,
    "LSTM": 1e-2,
}
"""Chosen by validation on adding, with one seed: of LRU and ALIF over 500 steps, of the others over 100 and 200."""
EPOCHS = 4


def spiking(network: Network) -> bool:
    """Whether any layer is."""
    return any(layer.neuron.spikes for layer in network.layers)


def initialisation(task: str, name: str, network: Network) -> AbstractInitialisation:
    """How a network's weights are drawn."""
    if spiking(network):
        return FluctuationDriven(xi=1.0, band=(0.005, 0.2))
    return Centred() if (task, name) == ("adding", "LRU") else Redrawn()


def draw_flow(path: Path) -> None:
    """What is left, before training, of an error of the answer of adding on its way back, in the last hidden layer."""
    xs, key = jnp.asarray(sl.data.adding(num_train=256, num_validation=1, num_test=1).train.x), jax.random.key(0)
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, made in networks(2, 1, key, full=False, copies=False).items():
        if name == "plain RNN, slow readout":
            continue  # whose recurrent layer is that of the plain one
        network = initialisation("adding", name, made)(made, xs, key=key)
        norms = sl.network.gradient_flow(network, xs[:20], coding.LastMembrane(), key=key).norms
        last = [norm for norm in norms[:-1] if norm.any()][-1]
        axes.semilogy(np.arange(1, len(last) + 1), np.where(last > 0, last, np.nan), label=name)
    axes.set(xlabel="steps before the answer", ylabel="norm of the error", ylim=(1e-12, None))
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def measured(task: str, data: Dataset, name: str, seeds: int, *, full: bool) -> list[dict]:
    """Trainings side by side, one of each seed."""
    key = jax.random.key(0)
    if task == "copy":
        decoder = coding.EachLabel(coding.LastSteps(data.target_steps))
        loss, outputs, rate = losses.LabelCrossEntropy(decoder), decoder.num_units(data.num_outputs), 4e-3
    else:
        mean, std = data.train.y.mean(axis=0), data.train.y.std(axis=0)
        decoder = coding.InUnits(coding.LastMembrane(), mean, std)
        loss, outputs, rate = losses.ValueMeanSquaredError(decoder, scale=jnp.asarray(std)), 1, RATES[name]
    network = networks(data.shape[1], outputs, key, full=full, copies=task == "copy")[name]
    batch = 32 if task == "copy" else 50 if spiking(network) else 20
    steps = EPOCHS * (len(data.train.x) // batch)
    algorithm = sl.algorithms.GradientDescent(
        loss=loss,
        optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(rate, steps))),
        initialisation=initialisation(task, name, network),
        epochs=EPOCHS,
        batch_size=batch,
    )
    encoder = coding.Framewise(coding.Current(num_steps=1), data.shape[0])
    experiment = sl.Experiment(data, encoder, network, algorithm, jax.random.split(key, seeds))
    start, curve, epoch = time.perf_counter(), [], None
    for epoch in experiment.epochs():
        error = epoch.metrics.validation_error if task == "copy" else epoch.metrics.validation_loss
        curve.append(np.asarray(error, float))
        print(f"{task} {name} epoch {epoch.number}: {curve[-1].round(4)}", flush=True)
        if np.all(curve[-1] == 0):
            break
    assert epoch is not None
    rows = []
    for seed, hypothesis in enumerate(experiment.hypotheses(epoch.training)):
        predicted = np.asarray(sl.predict(hypothesis, data.test.x))
        wrong = predicted != data.test.y
        squared = np.square(predicted - data.test.y).mean() / np.square(data.test.y - data.train.y.mean()).mean()
        row = {
            "task": task,
            "network": name,
            "seed": seed,
            "parameters": int(sum(a.size for a in jax.tree.leaves(neurons.trained_part(network)))),
            "epochs": len(curve),
            "validation": [float(one[seed]) for one in curve],
            "test": float(wrong.mean() if task == "copy" else squared),
            "whole patterns right": float((~wrong).all(axis=1).mean()) if task == "copy" else None,
            "seconds, all seeds": time.perf_counter() - start,
        }
        if task == "adding":
            xs = jnp.asarray(data.validation.x[:20])
            flow = sl.network.gradient_flow(hypothesis.network, xs, decoder, key=key)
            row["half-life of each layer, steps"] = [
                float(one) if np.isfinite(one) else None for one in flow.half_lives / flow.dt
            ]
            row["left at the first step"] = flow.norms[:, -1].tolist()
        rows.append(row)
    return rows


def main() -> None:
    """Measure what is not there yet, write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["copy", "adding"], choices=list(STEPS))
    parser.add_argument("--networks", nargs="+", default=list(RATES), choices=list(RATES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, help="training samples; by default 10,000 to copy, 20,000 to add")
    parser.add_argument("--sizes", default="small", choices=["small", "full"])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--figure", type=Path, help="draw how errors of adding flow back before training, and no more")
    options = parser.parse_args()
    if options.figure is not None:
        draw_flow(options.figure)
        return
    for task in options.tasks:
        data = getattr(sl.data, task)(num_train=options.samples or {"copy": 10_000, "adding": 20_000}[task])
        for name in options.networks if task == "adding" else ["LRU"]:
            found = json.loads(options.out.read_text()) if options.out.exists() else []
            if any((row["task"], row["network"]) == (task, name) for row in found):
                continue
            found += measured(task, data, name, options.seeds, full=options.sizes == "full")
            options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
