"""The time of evaluating one network on many chips, per chip beside an evaluation without one.

    python benchmarks/many_chips.py --out benchmarks/results/many_chips.json

A network of 64, 256 and 10 units over 20 steps, on the test sample of digits. Evaluations without a chip and on chips
take turns; what counts is the median of each. The first chip, with compilation, is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import jax
import numpy as np

import snnlearn as sl
from snnlearn.circuits import (
    Chip,
    DeadNeurons,
    LogNormal,
    Mismatch,
    QuantisedWeights,
    StuckDevices,
    SynapticMismatch,
    brainscales_2,
    ideal,
    scores_on_chips,
)
from snnlearn.hypothesis import scores
from snnlearn.network import why_not_compiled

FROZEN = (
    QuantisedWeights(6),
    SynapticMismatch(0.1, 0.2, 0.2),
    StuckDevices(0.01),
    DeadNeurons(0.01),
    *(Mismatch(name, LogNormal(0.2)) for name in ("tau_mem", "v_th", "resistance")),
)
KINDS = {
    "none": ideal(),
    "mismatch 20 %": ideal(mismatch=0.2),
    "seven frozen effects": Chip("frozen", FROZEN),
    "BrainScaleS-2": brainscales_2(),
}


def main(out: Path, chips: int) -> None:
    """Measure all kinds, and write what was found."""
    data = sl.data.digits()
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=20), data.low, data.high)
    network = sl.network.feedforward((64, 256, 10), key=jax.random.key(0))
    hypothesis = sl.Hypothesis(encoder, network, sl.coding.MeanMembrane())
    keys = jax.random.split(jax.random.key(2), chips)
    scores(hypothesis, data.test.x)
    found = {}
    for name, kind in KINDS.items():
        each, alone, with_chip = scores_on_chips(hypothesis, kind, data.test.x, keys=keys), [], []
        start = time.perf_counter()
        next(each)
        first = time.perf_counter() - start
        for _ in range(chips - 1):
            start = time.perf_counter()
            scores(hypothesis, data.test.x)
            middle = time.perf_counter()
            next(each)
            alone.append(middle - start)
            with_chip.append(time.perf_counter() - middle)
        found[name] = {
            "all_s": first + sum(with_chip),
            "first_s": first,
            "median_s": float(np.median(with_chip)),
            "alone_median_s": float(np.median(alone)),
            "ratio": float(np.median(with_chip) / np.median(alone)),
        }
        print(name, found[name], flush=True)
    machine = {"processors": os.cpu_count(), "system": platform.platform(terse=True), "load": os.getloadavg()}
    content = {**machine, "chips": chips, "samples": len(data.test.y), "kernels": why_not_compiled(network.layers)}
    out.write_text(json.dumps(content | {"kinds": found}, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chips", type=int, default=200)
    main(**vars(parser.parse_args()))
