"""Networks on chips: error against mismatch and bits, for what can be done about it.

    python benchmarks/chips.py [--sets digits yin-yang fashion-mnist] [--figure]

One network for each of 5 seeds, trained side by side; 50 chips of each. Every neuron has a time constant, resistance
and threshold of its own, each log-normal with the given coefficient of variation; weights are rounded symmetrically to
b bits of one step for each layer (`QuantisedWeights`). `plain` is trained for no chip; `aware` for the kind of chip
(`ForChips`, a new chip in each batch); `calibrated` is plain on chips whose three parameters are trimmed by 6 bits, as
measured by readings of 8 bits (`calibrate`); `loop` is plain, trained on for some epochs on each chip by `InTheLoop`,
by readings of 8 bits, on 10 chips of each seed (4 of `fashion-mnist`). Weights are those of the last epoch, so that
nothing is selected; the test sample is used for these figures alone. `fashion-mnist` has part of the images and less
training, as `size` in the results says; `fashion-mnist-full` has all images, and takes hours. Every cell is written to
results/chips.json as soon as it is known, and one that is there is not computed again. At the end it draws
docs/images/chips.svg and prints the tables; with --figure it does only that.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import snnlearn as sl
from snnlearn.circuits import (
    Chip,
    Converter,
    ForChips,
    InTheLoop,
    LogNormal,
    Mismatch,
    QuantisedWeights,
    SimulatedDevice,
    Trim,
    calibrate,
    deploy,
    simulated,
)
from snnlearn.risk import t_interval

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "chips.json"
FIGURE = HERE.parent / "docs" / "images" / "chips.svg"
SEEDS, CHIPS = 5, 50
VARIATIONS = (0.1, 0.2, 0.3, 0.4)
BITS = (2, 3, 4, 5, 6, 7, 8)
PARAMETERS = ("tau_mem", "resistance", "v_th")


@dataclass(frozen=True)
class Case:
    """A set and what is trained on it; epochs, and in the loop epochs, chips of each seed and the relative step."""

    data: Any
    hidden: int
    num_steps: int
    epochs: int
    loop_epochs: int
    loop_chips: int = 10
    loop_rate: float = 0.03
    batch_size: int = 64

    def size(self) -> dict[str, int]:
        """How much was computed, as it stands in the results."""
        return {
            "training images": len(self.data.train.y),
            "test images": len(self.data.test.y),
            "epochs": self.epochs,
            "epochs in the loop": self.loop_epochs,
            "seeds": SEEDS,
            "chips of each seed": CHIPS,
            "chips of each seed in the loop": self.loop_chips,
        }


def small_fashion() -> Any:
    """The first 5,000 images of Fashion-MNIST's training sample and the first 2,000 of its test sample."""
    data = sl.data.fashion_mnist()
    train, test = (sl.data.Sample(of.x[:n], of.y[:n]) for of, n in ((data.train, 5_000), (data.test, 2_000)))
    return dataclasses.replace(data, train=train, test=test)


CASES = {
    "digits": lambda: Case(sl.data.digits(), 128, 20, 30, 10),
    "yin-yang": lambda: Case(sl.data.yin_yang(num_train=2000, num_validation=500, num_test=1000), 120, 30, 60, 10),
    "fashion-mnist": lambda: Case(small_fashion(), 256, 15, 5, 1, loop_chips=4),
    "fashion-mnist-full": lambda: Case(sl.data.fashion_mnist(), 256, 15, 5, 1),
}


def kind(variation: Any = None, bits: int | None = None) -> Chip:
    """The kind of chip; variations are arrays, so that all share compiled programs."""
    effects = [Mismatch(name, LogNormal(jnp.asarray(variation))) for name in PARAMETERS if variation is not None]
    return Chip("chip", effects=(*effects, *([QuantisedWeights(bits)] if bits else [])))


def trained(case: Case, rule: Any) -> Any:
    """Networks of all seeds, side by side, after the last epoch."""
    network = sl.network.feedforward(
        (math.prod(case.data.shape), case.hidden, case.data.num_classes), key=jax.random.key(0)
    )
    algorithm = sl.algorithms.GradientDescent(rule=rule, epochs=case.epochs, batch_size=case.batch_size)
    encoder = sl.coding.Current(num_steps=case.num_steps)
    experiment = sl.Experiment(case.data, encoder, network, algorithm, jax.random.split(jax.random.key(1), SEEDS))
    *_, last = experiment.epochs()
    return last.training.network


def chip_keys(number: int) -> Any:
    """The chips of each seed, `[SEEDS, number]`; the first are the same whatever the number."""
    return jax.vmap(
        lambda seed: jax.vmap(lambda n: jax.random.fold_in(jax.random.fold_in(jax.random.key(7), seed), n))(
            jnp.arange(number)
        )
    )(jnp.arange(SEEDS))


@eqx.filter_jit
def on_chips(networks: Any, chips: Any, keys: Any, xs: Any, ys: Any, num_steps: int) -> Any:
    """Test errors, `[SEEDS, chips]`, of each seed's network on its chips; `chips` may differ from chip to chip."""

    def one(network: Any, chip: Any, key: Any) -> Any:
        f = sl.Hypothesis(sl.coding.Current(num_steps), deploy(network, chip, key=key), sl.coding.MeanMembrane())
        scores = jax.vmap(lambda x: f(x, key=key))(xs)
        return jnp.mean(jnp.argmax(scores, axis=1) != ys)

    arrays, rest = eqx.partition(chips, eqx.is_array)

    def of_seed(each: Any) -> Any:
        network, arrays, keys = each
        return jax.lax.map(lambda c: one(network, eqx.combine(c[0], rest), c[1]), (arrays, keys))

    weights, structure = eqx.partition(networks, eqx.is_array)
    return jax.lax.map(lambda e: of_seed((eqx.combine(e[0], structure), *e[1:])), (weights, arrays, keys))


def same_on_all(chip: Chip, number: int) -> Chip:
    """A kind of chip, for all seeds and chips."""
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (SEEDS, number, *leaf.shape)) if eqx.is_array(leaf) else leaf, chip
    )


@eqx.filter_jit
def calibrated(network: Any, variation: Any, keys: Any) -> Chip:
    """The chips of each seed with their trims."""
    chip = kind(variation)
    trims = [Trim(name, bits=6, span=0.7) for name in PARAMETERS]

    def codes(key: Any) -> Any:
        found = calibrate(network, trims, simulated(chip, key, reading=Converter(8, -4.0, 4.0)), key=jax.random.key(9))
        return [trim.codes for trim in found]

    found = jax.lax.map(lambda of: jax.lax.map(codes, of, batch_size=10), keys)
    trimmed = (trim.with_codes(c) for trim, c in zip(trims, found, strict=True))
    return Chip("calibrated", (*same_on_all(chip, keys.shape[1]).effects, *trimmed))


@eqx.filter_jit
def in_the_loop(
    networks: Any, chip: Chip, keys: Any, readings: Any, case_steps: tuple, rate: Any, xs: Any, ys: Any
) -> Any:
    """Each seed's network trained on, on each of its chips: `[SEEDS, chips]` networks."""
    num_steps, epochs, batch_size = case_steps
    encoder, loss = sl.coding.Current(num_steps), sl.losses.CrossEntropy()
    per_epoch = len(ys) // batch_size
    optimizer = sl.algorithms.Optimizer(learning_rate=rate)

    def one(network: Any, key: Any) -> Any:
        rule = InTheLoop(SimulatedDevice(chip, key, readings))
        parameters, constants = eqx.partition(network, eqx.is_inexact_array)

        def update(carry: Any, batch: Any) -> Any:
            (parameters, state), (index, progress) = carry, batch
            inputs = jax.vmap(lambda x: encoder(x, key=key))(xs[index])
            _, gradient = rule(eqx.combine(parameters, constants), loss, inputs, ys[index], key=key)
            updates, state = optimizer.update(gradient, state, parameters, progress=progress)
            return (eqx.apply_updates(parameters, updates), state), None

        orders = jax.vmap(lambda k: jax.random.permutation(k, len(ys))[: per_epoch * batch_size])(
            jax.random.split(jax.random.fold_in(key, 3), epochs)
        )
        start = parameters, optimizer.init(parameters)
        batches = orders.reshape(-1, batch_size)
        progress = jnp.arange(len(batches)) / len(batches)
        (parameters, _), _ = jax.lax.scan(update, start, (batches, progress))
        return eqx.combine(parameters, constants)

    of_chips = eqx.filter_vmap(one, in_axes=(None, 0))
    return eqx.filter_vmap(of_chips)(networks, keys)


def readings(networks: Any, xs: Any, num_steps: int) -> tuple[Converter, ...]:
    """8 bits for each layer, whose range is that of the model on some of the training sample, and a quarter more."""
    code = jax.vmap(lambda x: sl.coding.Current(num_steps)(x, key=jax.random.key(0)))(xs[:200])

    def largest(network: Any) -> Any:
        records = jax.vmap(lambda x: sl.network.unroll(network, x, record=lambda s: s.v)[0].records)(code)
        return [jnp.max(jnp.abs(v)) for v in records]

    spans = [1.25 * float(jnp.max(span)) for span in eqx.filter_vmap(largest)(networks)]
    return tuple(Converter(8, -span, span) for span in spans)


@eqx.filter_jit
def each_on_its_chip(networks: Any, chip: Chip, keys: Any, xs: Any, ys: Any, num_steps: int) -> Any:
    """Test errors of networks `[SEEDS, chips]`, each on its own chip."""

    def one(network: Any, key: Any) -> Any:
        f = sl.Hypothesis(sl.coding.Current(num_steps), deploy(network, chip, key=key), sl.coding.MeanMembrane())
        return jnp.mean(jnp.argmax(jax.vmap(lambda x: f(x, key=key))(xs), axis=1) != ys)

    return eqx.filter_vmap(eqx.filter_vmap(one))(networks, keys)


def cells_of(name: str) -> dict[str, Any]:
    """What makes each cell of a set, by name, the most telling ones first."""
    case = CASES[name]()
    test, train = case.data.test, case.data.train
    xs, ys, xs_train = jnp.asarray(test.x), jnp.asarray(test.y), jnp.asarray(train.x)
    memory: dict[Any, Any] = {}

    def network(rule_name: str, rule: Any) -> Any:
        if rule_name not in memory:
            memory[rule_name] = trained(case, rule)
        return memory[rule_name]

    def plain() -> Any:
        return network("plain", sl.rules.BPTT())

    def errors(networks: Any, chip: Chip, number: int) -> Any:
        return on_chips(networks, same_on_all(chip, number), chip_keys(number), xs, ys, case.num_steps)

    def aware(chip: Chip, number: int) -> Any:
        return errors(trained(case, ForChips(sl.rules.BPTT(), chip)), chip, number)

    def loop(chip: Chip, number: int) -> Any:
        keys, steps = chip_keys(number), (case.num_steps, case.loop_epochs, case.batch_size)
        read = readings(plain(), xs_train, case.num_steps)
        rate = jnp.asarray(case.loop_rate)
        there = in_the_loop(plain(), chip, keys, read, steps, rate, xs_train, jnp.asarray(train.y))
        return each_on_its_chip(there, chip, keys, xs, ys, case.num_steps)

    def trimmed(variation: float) -> Any:
        one = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, plain())
        keys = chip_keys(CHIPS)
        return on_chips(plain(), calibrated(one, jnp.asarray(variation), keys), keys, xs, ys, case.num_steps)

    cells: dict[str, Any] = {"ideal": lambda: errors(plain(), Chip("ideal"), 1)}

    def against_mismatch(v: float) -> dict[str, Any]:
        return {
            f"mismatch plain {v}": lambda: errors(plain(), kind(v), CHIPS),
            f"mismatch aware {v}": lambda: aware(kind(v), CHIPS),
            f"mismatch loop {v}": lambda: loop(kind(v), case.loop_chips),
            f"mismatch calibrated {v}": lambda: trimmed(v),
        }

    def against_bits(b: int) -> dict[str, Any]:  # whose rounding is the same on all chips
        return {
            f"bits plain {b}": lambda: errors(plain(), kind(bits=b), 1),
            f"bits aware {b}": lambda: aware(kind(bits=b), 1),
            f"bits loop {b}": lambda: loop(kind(bits=b), 1),
        }

    cells |= against_mismatch(0.2) | against_bits(6)
    for b in BITS:
        cells |= against_bits(b)
    for v in VARIATIONS:
        cells |= against_mismatch(v)
    return cells


def measure(sets: list[str]) -> None:
    """Every cell that is not there yet, in turn for each set."""
    for rank in itertools.zip_longest(*([(name, *cell) for cell in cells_of(name).items()] for name in sets)):
        for name, cell, make in filter(None, rank):
            if cell in load().get(name, {}):
                continue
            start = time.time()
            found = np.round(np.asarray(make()), 5).tolist()
            results = load()
            results.setdefault(name, {})[cell] = found
            results[name]["size"] = CASES[name]().size()
            text = json.dumps(results, separators=(",", ":")).replace('],"', '],\n"') + "\n"
            part = RESULTS.with_suffix(".part")
            part.write_text(text)
            part.replace(RESULTS)
            print(f"{name}: {cell}: {np.mean(found):.4f}, {time.time() - start:.0f} s", flush=True)


def load() -> dict[str, dict[str, Any]]:
    """What is known."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


METHODS = {"plain": "#888888", "aware": "#1f77b4", "calibrated": "#2ca02c", "loop": "#d62728"}
AXES = {"mismatch": ("coefficient of variation", VARIATIONS), "bits": ("bits of a weight", BITS)}


def seeds_of(found: list) -> np.ndarray:
    """The mean over chips of each seed, in percent."""
    return 100 * np.mean(found, axis=1)


def figure() -> None:
    """A column for each set: above against mismatch, below against bits; means over seeds and 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    results = load()
    with matplotlib.rc_context({"svg.hashsalt": "snnlearn", "svg.fonttype": "none", "font.size": 9}):
        drawn, axes = plt.subplots(2, len(results), figsize=(3.4 * len(results), 5.4), squeeze=False, sharex="row")
        for column, (name, cells) in enumerate(results.items()):
            for row, (axis, (label, at)) in enumerate(AXES.items()):
                panel = axes[row, column]
                ideal = float(np.mean(seeds_of(cells["ideal"])))
                panel.axhline(ideal, color="black", linewidth=0.8, linestyle=":", label="no chip")
                for method, colour in METHODS.items():
                    there = [x for x in at if f"{axis} {method} {x}" in cells]
                    if not there:
                        continue
                    means, low, high = [], [], []
                    for x in there:
                        of_seeds = seeds_of(cells[f"{axis} {method} {x}"])
                        interval = t_interval(of_seeds)
                        means.append(of_seeds.mean())
                        low.append(max(interval.low, 0.1))  # the axis is logarithmic
                        high.append(min(interval.high, 100.0))
                    panel.plot(there, means, "o-", color=colour, markersize=3, linewidth=1.2, label=method)
                    panel.fill_between(there, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.set_visible(any(cell.startswith(axis) for cell in cells))
                panel.set(xlabel=label, yscale="log")
                panel.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
                panel.yaxis.set_minor_formatter(ticker.NullFormatter())
                panel.set_yticks([t for t in (1, 2, 5, 10, 20, 50) if t >= 0.5 * ideal])
                if row == 0:
                    panel.set_title(name)
                if column == 0:
                    panel.set_ylabel("test error, %")
        axes[0, 0].legend(frameon=False, fontsize=8)
        drawn.tight_layout()
        drawn.savefig(FIGURE, metadata={"Date": None})


def tables() -> None:
    """The numbers as Markdown: mean over seeds and 95 % interval; what the loop recovers is of the same chips."""
    for name, cells in load().items():
        for axis, (_, at) in AXES.items():
            if not any(cell.startswith(axis) for cell in cells):
                continue
            print(f"\n| {name}, {axis} | " + " | ".join(f"{x:g}" for x in at) + " |\n|---" + "|---" * len(at) + "|")
            for method in METHODS:
                if any(f"{axis} {method} {x}" in cells for x in at):
                    print(f"| {method} | " + " | ".join(shown(cells.get(f"{axis} {method} {x}")) for x in at) + " |")
            recovered = [share(cells, axis, x) for x in at]
            if any(recovered):
                print("| recovered by the loop | " + " | ".join(recovered) + " |")
        print(f"\n{name} without a chip: {shown(cells['ideal'])}")


def shown(found: list | None) -> str:
    """Mean and interval of a cell."""
    if found is None:
        return ""
    of_seeds = seeds_of(found)
    interval = t_interval(of_seeds)
    return f"{of_seeds.mean():.1f} ± {(interval.high - interval.low) / 2:.1f}"


def share(cells: dict[str, list], axis: str, x: float) -> str:
    """The share of what the plain network loses on chips that training in the loop wins back, on the same chips."""
    plain, loop = (cells.get(f"{axis} {method} {x}") for method in ("plain", "loop"))
    if plain is None or loop is None:
        return ""
    before = np.asarray(plain)[:, : len(loop[0])].mean()
    lost = before - np.mean(cells["ideal"])
    return f"{100 * (before - np.mean(loop)) / lost:.0f} %" if lost > 0.005 else "–"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=["digits", "yin-yang"])
    parser.add_argument("--figure", action="store_true", help="only draw what is there")
    options = parser.parse_args()
    if not options.figure:
        measure(options.sets)
    figure()
    tables()
