"""Noise of weights beside aihwkit's, and mismatch of silicon neurons beside Rockpool's.

    python -m venv benchmarks/.venv-circuits
    benchmarks/.venv-circuits/bin/pip install -r benchmarks/peers_circuits.txt
    python benchmarks/circuits_peers.py --peers-python benchmarks/.venv-circuits/bin/python

Weights: a rectifier network 64-128-10 on digits, normal noise of each weight relative to the largest of its layer, none
of biases; trained without noise or with new noise in each batch, from the same initial weights, by Adam at the same
fixed step; the weights of the last epoch, on 50 chips of each of 5 seeds. Nothing is selected.

Neurons: 5 chips of 200 neurons of DYNAP-SE2, of which capacitance, gain and threshold have normal factors of 20 %, with
a constant input; the law of their rates. As a control, snnlearn's also with 10 %, which has to be told apart, and with
the log-normal law that is its own.

What a side measured is in results/circuits_peers.json, and is not measured again; then the tables are printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

import snnlearn as sl
from snnlearn.circuits import (
    AbstractLaw,
    Chip,
    DifferentialPair,
    EachChip,
    ForChips,
    LogNormal,
    Mismatch,
    NoisyReads,
    Normal,
    Polynomial,
    deploy,
    risk_over_chips,
)
from snnlearn.network import AsGiven, Dense, Layer, Network, unroll
from snnlearn.neurons import DPI, Identity, Rectifier
from snnlearn.risk import t_interval

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "circuits_peers.json"
SEEDS = 5
WEIGHTS = {
    "sizes": [64, 128, 10],
    "deviations": [0.05, 0.1, 0.2],
    "seeds": SEEDS,
    "chips": 50,
    "epochs": 30,
    "batch_size": 32,
    "learning_rate": 1e-3,
}
NEURONS = {
    "currents": [30e3, 50e3],  # pA; 25,000 pA is where the nominal neuron begins to fire
    "deviation": 0.2,
    "seeds": SEEDS,
    "neurons": 200,
    "seconds": 0.5,
    "dt": 2e-5,
    "dark": 1e-6,  # pA: so small that Rockpool's membrane feeds nothing back
}


def start(seed: int) -> Network:
    """The network before training."""
    return sl.network.feedforward(
        WEIGHTS["sizes"], neuron=Rectifier(), readout=Identity(), use_bias=True, key=jax.random.key(seed)
    )


def noise(sigma: float) -> Chip:
    """Chips whose weights have normal noise of σ times the largest."""
    # Of both devices of a weight, so that the difference has σ.
    reads = NoisyReads(Polynomial((sigma / 2**0.5,), 1.0), EachChip(), DifferentialPair(g_max=1.0))
    return Chip("noisy weights", effects=(reads,))


def trained(seed: int, rule: sl.rules.AbstractRule, seconds: list[float]) -> sl.Hypothesis:
    """The hypothesis after the last epoch; the seconds of processors that it took are added to the list."""
    algorithm = sl.algorithms.GradientDescent(
        rule=rule,
        optimizer=optax.adam(WEIGHTS["learning_rate"]),
        initialisation=AsGiven(),
        epochs=WEIGHTS["epochs"],
        batch_size=WEIGHTS["batch_size"],
    )
    encoder, keys = sl.coding.Current(num_steps=1), jax.random.split(jax.random.key(seed), 1)
    began = time.process_time()
    *_, last = sl.Experiment(sl.data.digits(), encoder, start(seed), algorithm, keys).epochs()
    network = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, last.training.network)
    jax.block_until_ready(network.layers[0].synapses.weight)
    seconds.append(time.process_time() - began)
    return sl.Hypothesis(encoder, network, sl.coding.MeanMembrane())


def weights_here() -> dict[str, Any]:
    """Errors on chips of networks trained without and with noise."""
    test, deviations = sl.data.digits().test, WEIGHTS["deviations"]
    found: dict[str, Any] = {"version": sl.__version__, "seconds": [], "errors": {}}
    for seed in range(SEEDS):
        keys = jax.random.split(jax.random.key(1000 + seed), WEIGHTS["chips"])
        plain = trained(seed, sl.rules.BPTT(), found["seconds"])
        cells = {"ideal": (plain, Chip("ideal"), keys[:1])}
        cells |= {f"plain {s}": (plain, noise(s), keys) for s in deviations}
        for s in deviations:
            cells[f"aware {s}"] = trained(seed, ForChips(sl.rules.BPTT(), noise(s)), found["seconds"]), noise(s), keys
        for cell, (hypothesis, chip, those) in cells.items():
            errors = risk_over_chips(hypothesis, chip, test, keys=those).errors
            found["errors"].setdefault(cell, []).append(errors.tolist())
    return found


def weights_there(python: Path, folder: Path) -> dict[str, Any]:
    """The same by aihwkit."""
    data = sl.data.digits()
    arrays = {"y": data.train.y, "y_test": data.test.y}
    arrays |= {name: of.x.reshape(len(of.x), -1) for name, of in (("x", data.train), ("x_test", data.test))}
    for seed in range(SEEDS):
        for number, layer in enumerate(start(seed).layers):
            arrays[f"weight {seed} {number}"] = np.asarray(layer.synapses.weight)
    np.savez(folder / "task.npz", task=json.dumps(WEIGHTS), **arrays)
    return there(python, "aihwkit_noise.py", folder / "task.npz")


@eqx.filter_jit
def rates(law: AbstractLaw | None, current: float | jax.Array, key: jax.Array, neurons: int) -> Any:
    """The rate of each neuron of a chip, from the mean interval of its spikes, 1/s; 0 for fewer than two spikes."""
    dt, dark = NEURONS["dt"], NEURONS["dark"]
    neuron = dataclasses.replace(DPI.dynap_se2(dt=dt), adaptation=None, i_0=dark, v_reset=dark, unit=1.0)
    neuron = dataclasses.replace(neuron, ampa=None, nmda=None, gaba_a=None, gaba_b=None)
    synapses = eqx.tree_at(lambda s: s.weight, Dense(1, neurons, key=key), jnp.ones((neurons, 1)))
    effects = () if law is None else tuple(Mismatch(name, law) for name in ("capacitance", "gain", "v_th"))
    chip = deploy(Network((Layer(synapses, neuron),)), Chip("mismatch", effects), key=key)
    steps = round(NEURONS["seconds"] / dt)
    spikes = unroll(chip, jnp.full((steps, 1), current))[0].outputs[0] > 0
    first, last = jnp.argmax(spikes, axis=0), steps - 1 - jnp.argmax(spikes[::-1], axis=0)
    intervals = jnp.sum(spikes, axis=0) - 1
    return jnp.where(intervals > 0, intervals / (dt * jnp.maximum(last - first, 1)), 0.0)


def neurons_here() -> dict[str, Any]:
    """Rates of neurons without mismatch, and with three laws of it."""
    deviation = NEURONS["deviation"]
    laws = {"normal": Normal(deviation), "log-normal": LogNormal(deviation), "half": Normal(deviation / 2)}
    found: dict[str, Any] = {"version": sl.__version__, "seconds": [], "same": {}}
    for current in NEURONS["currents"]:
        (nominal,) = np.asarray(rates(None, jnp.asarray(current), jax.random.key(0), 1)).tolist()
        found["same"][str(current)] = {"nominal": nominal}
        for name, law in laws.items():
            of_chips = found["same"][str(current)][name] = []
            for seed in range(SEEDS):
                began = time.process_time()
                drawn = rates(law, jnp.asarray(current), jax.random.key(seed), NEURONS["neurons"])
                of_chips.append(np.asarray(drawn).tolist())
                found["seconds"].append(time.process_time() - began)
    return found


def neurons_there(python: Path, folder: Path) -> dict[str, Any]:
    """The same by Rockpool."""
    (folder / "task.json").write_text(json.dumps(NEURONS))
    return there(python, "rockpool_mismatch.py", folder / "task.json")


def there(python: Path, script: str, task: Path) -> dict[str, Any]:
    """What a contender measured in its own environment."""
    result = task.with_name("result.json")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("PYTHONPATH", None)
    subprocess.run([python, HERE / "contenders" / script, task, result], check=True, env=environment)
    return json.loads(result.read_text())


def weight_table(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Errors in percent, mean over seeds and half a 95 % interval, and seconds."""
    print(
        f"\n| noise of weights | trained | snnlearn | aihwkit {theirs['version']} | difference |\n|---|---|---|---|---|"
    )
    for cell in ours["errors"]:
        how, _, sigma = cell.partition(" ")
        a, b = (100 * np.mean(side["errors"][cell], axis=1) for side in (ours, theirs))
        name = f"{100 * float(sigma):g} %" if sigma else "none"
        trained = {"aware": "with noise"}.get(how, "without")
        print(f"| {name} | {trained} | {mean(a)} | {mean(b)} | {mean(a - b)} |")
    print_seconds(snnlearn=ours, aihwkit=theirs)


def neuron_table(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Of each current the laws of the rates relative to the nominal one, and how far they are apart."""
    columns = "| pA | side | nominal, 1/s | silent | median | CV | 5 % | 95 % | KS distance | p |"
    print("\n" + columns + "\n" + "|---" * columns.count("| ") + "|")
    for current, of in ours["same"].items():
        peer = theirs["same"][current]
        reference = np.ravel(peer["rates"]) / peer["nominal"]
        rows = {f"Rockpool {theirs['version']}, normal": (peer["nominal"], reference)}
        rows |= {name: (of["nominal"], np.ravel(of[name]) / of["nominal"]) for name in ("normal", "log-normal", "half")}
        for name, (nominal, each) in rows.items():
            firing = each[each > 0]
            test = stats.ks_2samp(each, reference)
            quantiles = " | ".join(f"{q:.2f}" for q in np.quantile(firing, (0.05, 0.95)))
            print(
                f"| {float(current):,.0f} | {name} | {nominal:.1f} | {np.mean(each == 0):.1%} | "
                f"{np.median(firing):.3f} | {firing.std() / firing.mean():.3f} | {quantiles} | "
                f"{test.statistic:.3f} | {test.pvalue:.2g} |"
            )
        print(f"Rockpool with its own dark current, nominal: {theirs['own'][current]:.1f} 1/s")
    print_seconds(snnlearn=ours, Rockpool=theirs)


def print_seconds(**sides: dict[str, Any]) -> None:
    """Of processors, for one training or one chip; the greatest has the compilation in it."""
    for name, side in sides.items():
        print(f"{name}: {np.median(side['seconds']):.1f} s (median), {max(side['seconds']):.1f} s (greatest)")


def mean(of_seeds: np.ndarray) -> str:
    """The mean and half its interval."""
    interval = t_interval(of_seeds)
    return f"{of_seeds.mean():.1f} ± {(interval.high - interval.low) / 2:.1f}"


def main(peers_python: Path | None) -> None:
    """Whatever is not there yet."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        sides = {"weights": {"snnlearn": weights_here}, "neurons": {"snnlearn": neurons_here}}
        if peers_python is not None:
            sides["weights"]["aihwkit"] = lambda: weights_there(peers_python, Path(name))
            sides["neurons"]["Rockpool"] = lambda: neurons_there(peers_python, Path(name))
        for case, makes in sides.items():
            for side, make in makes.items():
                if side not in known.setdefault(case, {}):
                    known[case][side] = make()
                    RESULTS.write_text(compact(known))
    if {"aihwkit", "Rockpool"} <= known["weights"].keys() | known["neurons"].keys():
        weight_table(known["weights"]["snnlearn"], known["weights"]["aihwkit"])
        neuron_table(known["neurons"]["snnlearn"], known["neurons"]["Rockpool"])


def compact(known: dict[str, Any]) -> str:
    """JSON of five digits, a chip a line."""
    rounded = json.loads(json.dumps(known), parse_float=lambda text: float(f"{float(text):.5g}"))
    return json.dumps(rounded, separators=(",", ":")).replace("],[", "],\n[") + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", type=Path, help="the interpreter of the peers' environment")
    main(**vars(parser.parse_args()))
