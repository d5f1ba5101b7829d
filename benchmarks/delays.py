"""Learned delays against none: `python benchmarks/delays.py --vowels FOLDER --fashion FOLDER`.

One hidden layer without recurrence, the same time constants, and as many parameters: where each pair of input and unit
has a delay there are fewer units. Coincidences say their class by the time between two spikes, and their Bayes risk is
known; JapaneseVowels (270 and 370 series of 7 to 29 frames, from aeon's package) is real, and was chosen before
anything was measured. So is Fashion-MNIST row by row, trained on the first 10,000 images: it was taken afterwards, for
its larger samples, with the first settings that were tried. Seeds are paired: differences are of the same seed. Each
seed's epoch is chosen by the validation sample; the test sample is used once. What is kept of the narrowing kernel has
rounded delays. Writes `benchmarks/results/delays.json` after each kind; what is there is not repeated.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import snnlearn as sl
from snnlearn import coding, losses
from snnlearn.data import Coincidences, Dataset, Sample
from snnlearn.network import DelayedSynapses, Dense, FluctuationDriven, GaussianDelay, InterpolatedDelay, Layer, Network
from snnlearn.neurons import LI, LIF, trained_part
from snnlearn.risk import t_interval

OUT = Path(__file__).resolve().parent / "results" / "delays.json"
KERNELS = {"interpolated": InterpolatedDelay(), "narrowing": GaussianDelay(wide=8.0)}
KINDS = ("none", "fixed", *KERNELS)
WIDTH = 32


def network(inputs: int, outputs: int, kind: str, most: int, tau: float) -> Network:
    """Of the same number of parameters, within one unit's: a unit has a weight and perhaps a delay for each input."""
    key, per_unit = jax.random.key(0), 2 * inputs + outputs
    units = WIDTH if kind in KERNELS else round(WIDTH * per_unit / (inputs + outputs))
    synapses = Dense(inputs, units, key=key)
    if kind == "fixed":
        delays = sl.neurons.Constant(jax.random.uniform(key, (units, inputs), maxval=float(most)))
        synapses = DelayedSynapses(synapses, delays, most)
    elif kind in KERNELS:
        synapses = DelayedSynapses(synapses, jnp.full((units, inputs), most / 2), most, KERNELS[kind])
    readout = Layer(Dense(units, outputs, use_bias=True, key=key), LI(tau_mem=20e-3))
    return Network((Layer(synapses, LIF(tau_mem=tau)), readout))


def measured(data: Dataset, encoder: coding.AbstractEncoder, kind: str, seeds: int, **settings: float) -> dict:
    """The test errors of the seeds."""
    start, most = time.process_time(), int(settings["most"])
    made = network(int(np.prod(encoder.out_shape(data.shape))), data.num_outputs, kind, most, settings["tau"])
    algorithm = sl.algorithms.GradientDescent(
        loss=losses.CrossEntropy(),
        optimizer=sl.algorithms.Optimizer(learning_rate=0.05),
        initialisation=FluctuationDriven(band=(0.005, 0.2)),
        epochs=int(settings["epochs"]),
        batch_size=int(settings["batch"]),
    )
    experiment = sl.Experiment(data, encoder, made, algorithm, jax.random.split(jax.random.key(1), seeds))
    training = experiment.run(lambda e: print(kind, e.number, e.metrics.validation_error, flush=True))
    wrong = [
        float(np.mean(np.asarray(sl.predict(f, data.test.x)) != data.test.y)) for f in experiment.hypotheses(training)
    ]
    found = {
        "kind": kind,
        "parameters": int(sum(a.size for a in jax.tree.leaves(trained_part(made)))),
        "test_errors": wrong,
        "mean": float(np.mean(wrong)),
        "interval": list(t_interval(np.asarray(wrong))[:2]),
    }
    if kind in KERNELS:
        cost = sl.algorithms.rounding(algorithm, encoder, training, data.learning, key=jax.random.key(2))
        found |= {"validation_as_learned": cost.error.tolist(), "validation_rounded": cost.error_rounded.tolist()}
    return found | {"cpu_seconds": time.process_time() - start}


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vowels", type=Path, help="folder of JapaneseVowels_TRAIN.ts and _TEST.ts")
    parser.add_argument("--fashion", type=Path, help="folder of the IDX files of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    task = Coincidences()
    tasks: dict[str, tuple[Dataset, coding.AbstractEncoder]] = {
        "coincidences": (task.dataset(4000, 500, 2000), coding.Spikes(num_steps=task.num_steps))
    }
    of = {"coincidences": {"most": 25, "tau": 3e-3, "epochs": 20, "batch": 50}}
    if options.vowels:
        vowels = sl.data.load(options.vowels / "JapaneseVowels_TRAIN.ts")
        frame = coding.StandardScaling().learned(coding.Current(num_steps=1), vowels.train.x, axis=(0, 1))
        tasks["JapaneseVowels"] = vowels, coding.Framewise(frame, vowels.shape[0])
        of["JapaneseVowels"] = {"most": 8, "tau": 3e-3, "epochs": 60, "batch": 27}
    if options.fashion:
        whole = sl.data.fashion_mnist(folder=options.fashion)
        some = dataclasses.replace(whole, train=Sample(*(part[:10_000] for part in whole.train)))
        rows = sl.data.sequential(some, by="rows")
        frame = coding.Framewise(coding.Current(num_steps=1), rows.shape[0])
        tasks["Fashion-MNIST by rows"] = rows, coding.Rescaled(frame, 0.0, float(np.max(rows.high)))
        of["Fashion-MNIST by rows"] = {"most": 27, "tau": 5e-3, "epochs": 10, "batch": 50}
    for name, (data, encoder) in tasks.items():
        rows = results.setdefault(name, {"bayes_risk": task.bayes_risk} if name == "coincidences" else {})
        for kind in KINDS:
            if kind not in rows:
                rows[kind] = measured(data, encoder, kind, options.seeds, **of[name])
                OUT.write_text(json.dumps(results, indent=1) + "\n")
        for of_what, base, kinds in (("gain", "none", KINDS[1:]), ("gain over fixed", "fixed", KERNELS)):
            for kind in kinds:
                gains = np.subtract(rows[base]["test_errors"], rows[kind]["test_errors"])
                rows[kind][of_what] = {"mean": float(gains.mean()), "interval": list(t_interval(gains)[:2])}
        OUT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
