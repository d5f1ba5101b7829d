"""EventProp and time-to-first-spike on Yin-Yang: `python benchmarks/reproductions/yin_yang_ttfs.py`.

A network of first spikes in continuous time, 5 inputs → 200 hidden → 3 outputs, learns by the exact gradient of its
spike times; the output that spikes first decides. The four coordinates are latencies, the fifth input spikes at the
start. Each seed keeps the epoch with the fewest validation errors; the test sample is used once, at the end, on what
was kept. All seeds train side by side in one program. Writes `benchmarks/results/yin_yang_ttfs.json`.

Sources: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z (rule, sizes, neurons, latencies, initial weights,
batch), Göltz et al. 2021, doi:10.1038/s42256-021-00388-x (task, loss, weight bump). Not theirs: hidden units count by
their first spike alone; the number of epochs and the learning rate; gradients are clipped, since that of a spike which
is about to be lost has no bound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnlearn.coding import FirstSpike, LinearLatency
from snnlearn.data import yin_yang
from snnlearn.losses import CrossEntropy
from snnlearn.network import Dense, Layer, Network, spike_times
from snnlearn.neurons import CubaLIF
from snnlearn.rules import EventProp

OUT = Path(__file__).resolve().parents[1] / "results" / "yin_yang_ttfs.json"
SETTINGS = {
    "tau_mem": 20e-3,
    "tau_syn": 5e-3,
    "dt": 0.05e-3,  # of the input's latencies; all other times are exact
    "latest_input": 30e-3,
    "window": 60e-3,
    "hidden": 200,
    "weight_means": (1.5, 0.93),
    "weight_stds": (0.78, 0.1),
    "scale": 0.5e-3,
    "batch_size": 32,
    "epochs": 60,
    "learning_rate": 2e-3,
    "final_learning_rate": 1e-4,
    "clip": 0.1,
    "bump": 5e-3,
}
RULE = EventProp(max_spikes=1)


def initial(s: dict, key: jax.Array) -> Network:
    """Normal weights, of a mean that makes units spike."""
    neuron = CubaLIF(tau_mem=s["tau_mem"], tau_syn=s["tau_syn"], dt=s["dt"])
    layers, sizes = [], (5, s["hidden"], 3)
    for k, weight_key in enumerate(jax.random.split(key, 2)):
        weight = s["weight_means"][k] + s["weight_stds"][k] * jax.random.normal(weight_key, (sizes[k + 1], sizes[k]))
        dense = Dense(sizes[k], sizes[k + 1], key=weight_key)
        layers.append(Layer(eqx.tree_at(lambda d: d.weight, dense, weight), neuron))
    return Network(tuple(layers))


def spikes_of(points: jax.Array, s: dict) -> jax.Array:
    """Input `[B, T, 5]` of points `[B, 4]`: the larger a coordinate, the earlier its spike."""
    encoder = LinearLatency(round(s["window"] / s["dt"]), dt=s["dt"])
    coordinates = jnp.pad(points, ((0, 0), (0, 1)), constant_values=1.0)
    return jax.vmap(encoder)(1 - (1 - coordinates) * s["latest_input"] / s["window"])


def first_spikes(network: Network, inputs: jax.Array) -> list[jax.Array]:
    """Of each layer's units, `[B, N]`."""
    return [times[:, 0] for times in jax.vmap(lambda xs: spike_times(network, xs))(inputs)]


def wrong(network: Network, sample: tuple[jax.Array, jax.Array], s: dict) -> jax.Array:
    """How many samples another output decides than the right one."""
    points, labels = sample
    return jnp.sum(jnp.argmin(first_spikes(network, spikes_of(points, s))[-1], axis=1) != labels)


def bumped(network: Network, inputs: jax.Array, labels: jax.Array, bump: float) -> Network:
    """Raise the weights of units that no gradient can wake.

    These are hidden units that are silent on all of a batch, and outputs by as much as they are silent on their class.
    """
    hidden, output = (jnp.isinf(times).astype(jnp.float32) for times in first_spikes(network, inputs))
    shares = jnp.min(hidden, axis=0), jnp.mean(output * jax.nn.one_hot(labels, output.shape[1]), axis=0)
    return eqx.tree_at(
        lambda n: [layer.synapses.weight for layer in n.layers],
        network,
        [layer.synapses.weight + bump * share[:, None] for layer, share in zip(network.layers, shares, strict=True)],
    )


def train(s: dict, data, keys: jax.Array) -> tuple[Network, list[dict]]:
    """Train one network for each key: what was kept of them, along each array's first axis, and the learning curves."""
    x, y, *validation = (jnp.asarray(a) for a in (*data.train, *data.validation))
    num_batches = len(y) // s["batch_size"]
    decay = optax.exponential_decay(
        s["learning_rate"], s["epochs"] * num_batches, s["final_learning_rate"] / s["learning_rate"]
    )
    optimizer = optax.chain(optax.clip_by_global_norm(s["clip"]), optax.adam(decay))
    loss = CrossEntropy(FirstSpike(scale=s["scale"], dt=s["dt"]))
    constants = eqx.filter(initial(s, keys[0]), eqx.is_array, inverse=True)

    def start(key):
        weights = eqx.filter(initial(s, key), eqx.is_array)
        return weights, optimizer.init(weights), weights, jnp.array(len(validation[1]), jnp.int32)

    def epoch(training, key):
        def update(carry, members):
            weights, state = carry
            network, inputs, labels = eqx.combine(weights, constants), spikes_of(x[members], s), y[members]
            value, gradient = RULE(network, loss, inputs, labels, key=key)
            updates, state = optimizer.update(gradient, state)
            network = bumped(eqx.apply_updates(network, updates), inputs, labels, s["bump"])
            return (eqx.filter(network, eqx.is_array), state), value

        weights, state, kept, fewest = training
        order = jax.random.permutation(key, len(y))[: num_batches * s["batch_size"]]
        (weights, state), values = jax.lax.scan(update, (weights, state), order.reshape(num_batches, -1))
        errors = wrong(eqx.combine(weights, constants), tuple(validation), s)
        kept = jax.tree.map(lambda new, old: jnp.where(errors < fewest, new, old), weights, kept)
        metrics = {"training_loss": jnp.mean(values), "validation_error": errors / len(validation[1])}
        return (weights, state, kept, jnp.minimum(errors, fewest)), metrics

    training, curves, begun = jax.vmap(start)(keys), [], time.perf_counter()
    epoch = jax.jit(jax.vmap(epoch))
    for number in range(s["epochs"]):
        keys = jax.vmap(lambda key: jax.random.split(key, 1)[0])(keys)
        training, metrics = epoch(training, keys)
        curves.append({name: np.asarray(values).astype(float).round(4).tolist() for name, values in metrics.items()})
        print(f"epoch {number + 1:3d}, {time.perf_counter() - begun:5.0f} s: {curves[-1]}", flush=True)
    return eqx.combine(training[2], constants), curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="networks trained side by side")
    parser.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    settings, data, begun = {**SETTINGS, "epochs": options.epochs}, yin_yang(), time.perf_counter()
    networks, curves = train(settings, data, jax.random.split(jax.random.key(0), options.seeds))

    test = jnp.asarray(data.test.x), jnp.asarray(data.test.y)
    errors = eqx.filter_jit(eqx.filter_vmap(lambda network: wrong(network, test, settings)))(networks)
    accuracy = 1 - np.asarray(errors) / len(data.test.y)
    result = {
        "command": "python benchmarks/reproductions/yin_yang_ttfs.py",
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        "seconds": round(time.perf_counter() - begun, 1),
        "settings": settings,
        "test_accuracy": accuracy.round(4).tolist(),
        "test_accuracy_mean": round(float(accuracy.mean()), 4),
        "test_accuracy_std": round(float(accuracy.std(ddof=1)), 4) if options.seeds > 1 else None,
        "validation_error_kept": np.min([curve["validation_error"] for curve in curves], axis=0).tolist(),
        "curves": curves,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"test accuracy {accuracy}, mean {accuracy.mean():.4f}")


if __name__ == "__main__":
    main()
