"""Is the bound of a conversion ever below its error? In 1,000 random networks, by all methods, it is not.

    python benchmarks/conversion_bound.py --networks 1000 --out benchmarks/results/conversion_bound.json

Each network is a graph with a residual path, a branch from the input, and rectified, leaky and clipped units; its
weights, the number of steps, the code of the input and the method change. A bound that holds by being loose would say
nothing, so the ratio of error to bound is kept for each layer.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from snnlearn import conversion
from snnlearn.coding import Current, Rate
from snnlearn.network import INPUT, Connection, Dense, Layer, Network, OneToOne
from snnlearn.neurons import ClippedRectifier, Identity, LeakyRectifier, Rectifier

METHODS = (
    conversion.MaximumNormalisation(),
    conversion.PercentileNormalisation(95.0, charge=0.5),
    conversion.WeightNormBound(),
    conversion.ThresholdBalancing(),
    conversion.Calibration(conversion.PercentileNormalisation(99.0, charge=0.5)),
)
CODES = (Current(num_steps=8), Current(num_steps=64), Rate(num_steps=32, max_rate=800.0))


def random_network(key: jax.Array, strength: float) -> Network:
    """A graph with all kinds of units, whose added branch has weights of some strength."""
    keys = jax.random.split(key, 6)
    body = Dense(12, 12, use_bias=True, key=keys[1]).affine(1.0, strength)
    return Network(
        (
            Layer(Dense(8, 12, use_bias=True, key=keys[0]), Rectifier(), name="stem"),
            Layer([body, Connection(OneToOne((12,)), "stem")], LeakyRectifier(0.2), name="sum"),
            Layer(
                [Dense(12, 10, use_bias=True, key=keys[2]), Connection(Dense(8, 10, key=keys[3]), INPUT)],
                ClippedRectifier(1.5),
                name="clipped",
            ),
            Layer([Dense(10, 4, key=keys[4]), Connection(Dense(12, 4, key=keys[5]), "sum")], Identity(), name="output"),
        )
    )


def ratios(seed: int) -> dict[str, float]:
    """Of each layer of a random network, its largest error over its bound."""
    rng = np.random.default_rng(seed)
    network = random_network(jax.random.key(seed), float(np.exp(rng.normal())))
    inputs = rng.random((16, 8)).astype(np.float32)
    method, code = METHODS[seed % len(METHODS)], CODES[seed // len(METHODS) % len(CODES)]
    converted = conversion.convert(network, method, inputs, encoder=code)
    return {layer.name: layer.largest / layer.bound for layer in conversion.compare_layers(converted, inputs)}


def main(networks: int, out: Path | None) -> dict[str, object]:
    """Count the layers whose error exceeds their bound by more than rounding does."""
    found = [ratios(seed) for seed in range(networks)]
    by_layer = {name: np.array([one[name] for one in found]) for name in found[0]}
    result: dict[str, object] = {
        "networks": networks,
        "errors_above_the_bound": int(sum(np.sum(each > 1 + 1e-4) for each in by_layer.values())),
        "error_over_bound": {
            name: {"largest": float(each.max()), "median": float(np.median(each))} for name, each in by_layer.items()
        },
    }
    print(json.dumps(result, indent=1))
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    main(**vars(parser.parse_args()))
