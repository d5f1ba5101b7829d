"""What the page shows of a network with its knobs turned, and what it saves."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically
from snnlearn.cli.config import write_config
from snnlearn.cli.manual.knobs import Knobs
from snnlearn.cli.manual.presets import Presets
from snnlearn.cli.options import Train
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, decisions, scores
from snnlearn.model_file import save
from snnlearn.network import fresh_state, unroll
from snnlearn.risk import risk_of_errors

_SAMPLES = 512
"""The most validation samples that a move is measured on."""
_TRACES = 6
_RASTER = 200
"""The most units of a layer that are drawn."""


class Desk:
    """A hypothesis under its knobs, on the validation sample of its data.

    It has no state but the files that it has saved: each page tells all its numbers with each question, so several
    pages do not disturb each other.

    Args:
        hypothesis: as given.
        data: whose validation sample judges; the test sample is not looked at.
        title: what it is.
        options: of the training that it comes from, for a configuration.
        out: the folder that files are saved to; it is made with the first.

    Raises:
        SnnlearnError: if the presets in this folder are damaged.
    """

    def __init__(self, hypothesis: Hypothesis, data: Dataset, *, title: str, options: Train, out: Path):
        self.knobs, self._title, self._options, self._out = Knobs(hypothesis), title, options, out
        self._presets = Presets(out / "presets.json", self.knobs)
        self._sample = Sample(data.validation.x[:_SAMPLES], data.validation.y[:_SAMPLES])
        assert data.num_classes is not None
        self._names = data.class_names or tuple(map(str, range(data.num_classes)))
        self._xs = jnp.asarray(self._sample.x)
        # Those that `scores` gives to the samples, so that the picture is of the decision.
        self._keys = jax.random.split(jax.random.key(0), len(self._xs))
        self._shown = tuple(_spread(layer.shape, _RASTER) for layer in hypothesis.network.layers)
        # XLA runs a program on all processors, so that two questions at once would only wait for each other.
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Compile what moves need."""
        loud = {knob.name: 1.0 for knob in self.knobs.all if knob.name.endswith(".noise")}
        for numbers in ({}, loud):
            self.look(numbers, 0)

    def page(self) -> dict[str, Any]:
        """What the page is made of."""
        return {
            "title": self._title,
            "knobs": [knob._asdict() for knob in self.knobs.all],
            "presets": self.knobs.presets() | self._presets.all(),
            "samples": len(self._sample.y),
            "classes": list(self._names),
        }

    def look(self, numbers: dict[str, Any], sample: Any) -> dict[str, Any]:
        """The activity of one validation sample, and the errors on all of them.

        Args:
            numbers: of some knobs; the others are as given.
            sample: the number of the validation sample.

        Raises:
            SnnlearnError: for an unknown knob, or a number out of its range.
        """
        found, number = self.knobs.checked(numbers), self._number(sample)
        start = time.perf_counter()
        with self._lock:
            hypothesis = self.knobs.hypothesis(found)
            scored = scores(hypothesis, self._sample.x)
            activity = _activity(hypothesis, self._xs[number], self._keys[number])
            rates = np.asarray(_rates(hypothesis, self._xs, self._keys), float)
        decided = decisions(scored)
        error = risk_of_errors(int(np.sum(decided != self._sample.y)), len(decided))
        low, high, confidence = error.interval
        return {
            "risk": {"errors": error.errors, "n": error.n, "low": low, "high": high, "confidence": confidence},
            "sample": {
                "number": number,
                "class": int(self._sample.y[number]),
                "decided": int(decided[number]),
                "scores": _rounded(scored[number]),
            },
            "layers": self._layers(hypothesis, activity, rates),
            "dt": hypothesis.network.dt,
            "milliseconds": 1e3 * (time.perf_counter() - start),
        }

    def _number(self, sample: Any) -> int:
        most = len(self._sample.y) - 1
        if isinstance(sample, bool) or not isinstance(sample, int | float) or sample not in range(most + 1):
            raise SnnlearnError(f"sample is no whole number from 0 to {most}; give one")
        return int(sample)

    def _layers(self, hypothesis: Hypothesis, activity: Any, rates: np.ndarray) -> list[dict[str, Any]]:
        layers, found = hypothesis.network.layers, []
        for number, (layer, units) in enumerate(zip(layers, self._shown, strict=True)):
            outputs, v = (np.asarray(part[number]).reshape(len(part[number]), -1) for part in activity)
            spikes = outputs[:, units] if layer.neuron.spikes else np.zeros((len(outputs), 0))
            # Those that spike most say most; of a readout those of the largest output, which are classes.
            order = np.argsort(-outputs.mean(axis=0), kind="stable") if layer.neuron.spikes else np.arange(v.shape[1])
            traced = np.sort(order[: _TRACES if layer.neuron.spikes else 10])
            step, unit = np.nonzero(spikes)
            found.append(
                {
                    "name": next(k.group for k in self.knobs.all if k.name.startswith(f"{number}.")),
                    "spikes": bool(layer.neuron.spikes),
                    "units": int(v.shape[1]),
                    "shown": len(units),
                    "steps": len(v),
                    "raster": np.stack([step, unit], axis=1).ravel().tolist(),
                    "traced": traced.tolist(),
                    "traces": [_rounded(v[:, n]) for n in traced],
                    "rate": float(rates[number, 0] / hypothesis.network.dt),
                    "silent": float(rates[number, 1]),
                }
            )
        return found

    def save_network(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Write the hypothesis of these numbers.

        Raises:
            SnnlearnError: as `look`, or if the file cannot be written.
        """
        found = self.knobs.checked(numbers)
        with self._lock:
            path = self._free("network", "npz")
            save(self.knobs.hypothesis(found), path, class_names=self._names)
        return {"saved": str(path), "note": ""}

    def save_configuration(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Write the options of `train` with those of these numbers that are options.

        Raises:
            SnnlearnError: as `look`, or if the file cannot be written.
        """
        settings, left_out = self.knobs.settings(self.knobs.checked(numbers))
        options = dataclasses.replace(self._options, **settings)
        options.check()
        with self._lock:
            path = self._free("configuration", "toml")
            write_atomically(path, write_config(options).encode())
        note = f"Not part of a configuration, as training starts anew: {', '.join(left_out)}." if left_out else ""
        return {"saved": str(path), "note": note}

    def keep(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Keep the numbers as a preset.

        Raises:
            SnnlearnError: as `look`, or if the file cannot be written.
        """
        return {"kept": self._presets.keep(self.knobs.checked(numbers)), "presets": self._presets.all()}

    def _free(self, stem: str, suffix: str) -> Path:
        """A path that no file has yet."""
        number = 1
        while (path := self._out / f"{stem}-{number}.{suffix}").exists():
            number += 1
        return path


def _spread(shape: tuple[int, ...], most: int) -> np.ndarray:
    """The units of a layer, or as many of them, evenly."""
    size = int(np.prod(shape))
    return np.arange(size) if size <= most else np.linspace(0, size - 1, most).astype(int)


def _rounded(values: Any) -> list[float]:
    """Numbers to draw."""
    return [float(f"{number:.4g}") for number in np.nan_to_num(np.asarray(values, float))]


@eqx.filter_jit
def _activity(hypothesis: Hypothesis, x: Array, key: Key[Array, ""]) -> Any:
    """Outputs and membranes of one sample, each layer's `[T, *units]`."""
    network = hypothesis.network
    xs, state = hypothesis.encoder(x, key=key), fresh_state(network, key=key)
    activity = unroll(network, xs, state, record=lambda state: state.v)[0]
    return activity.outputs, activity.records


@eqx.filter_jit
def _rates(hypothesis: Hypothesis, xs: Array, keys: Key[Array, " m"]) -> Array:
    """Of each layer the mean output of a unit and step, and the share of units that never spike, on many samples."""
    network = hypothesis.network

    def one(sample: tuple[Array, Array]) -> list[Array]:
        inputs, state = hypothesis.encoder(sample[0], key=sample[1]), fresh_state(network, key=sample[1])
        return [output.mean(axis=0) for output in unroll(network, inputs, state)[0].outputs]

    means = [jnp.mean(rate, axis=0) for rate in jax.lax.map(one, (xs, keys), batch_size=256)]
    return jnp.stack([jnp.stack([jnp.mean(rate), jnp.mean(rate == 0)]) for rate in means])
