"""Rockpool 3.1: the firing rates of DYNAP-SE2 neurons with mismatch, as `circuits_peers.py` measures snnlearn's.

    python rockpool_mismatch.py TASK RESULT

`mismatch_generator` draws normal factors, here with the task's deviation, for three parameters of which snnlearn's
neuron has each: the membrane's capacitance, its gain current and the threshold. Rockpool's membrane always feeds back a
power of itself times the dark current. Once the dark current is Rockpool's own, once so small that nothing is fed back,
which makes it the neuron that snnlearn simulates.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rockpool.devices.dynapse import DynapSim
from rockpool.transform.mismatch import mismatch_generator, module_registery

DEVIATING = ("C_mem", "Igain_mem", "Ispkthr")


def rates(task: dict, dark: float, current: float, seed: int, deviation: float) -> list[float]:
    """The rate of each neuron of a chip, from the mean interval of its spikes, 1/s; 0 for fewer than two spikes."""
    neurons, dt = task["neurons"], task["dt"]
    chip = DynapSim(shape=neurons, dt=dt, Io=dark, Idc=1e-12 * current)
    if deviation:
        prototype = {name: name in DEVIATING for name in module_registery(chip)}
        draw = mismatch_generator(prototype, percent_deviation=3 * deviation, sigma_rule=3.0)
        for name, drawn in draw(chip, jax.random.PRNGKey(seed)).items():
            if name in DEVIATING:
                setattr(chip, name, drawn)
    steps = round(task["seconds"] / dt)
    spikes = np.asarray(chip(jnp.zeros((1, steps, neurons)), record=False)[0])[0] > 0
    return [rate(np.flatnonzero(train), dt) for train in spikes.T]


def rate(times: np.ndarray, dt: float) -> float:
    """One over the mean interval."""
    return float((len(times) - 1) / (dt * (times[-1] - times[0]))) if len(times) > 1 else 0.0


def main(task_file: Path, result: Path) -> None:
    """All currents and chips."""
    task = json.loads(task_file.read_text())
    found = {"version": version("rockpool"), "seconds": [], "own": {}, "same": {}}
    for current in task["currents"]:
        found["own"][str(current)] = rates({**task, "neurons": 1}, 5e-13, current, 0, 0.0)[0]
        found["same"][str(current)] = {
            "nominal": rates({**task, "neurons": 1}, 1e-12 * task["dark"], current, 0, 0.0)[0],
            "rates": [],
        }
        for seed in range(task["seeds"]):
            start = time.process_time()
            measured = rates(task, 1e-12 * task["dark"], current, seed, task["deviation"])
            found["seconds"].append(time.process_time() - start)
            found["same"][str(current)]["rates"].append(measured)
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
