"""Measure trained hypotheses: everything that a report needs."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._parameters import trained_part
from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis, decisions, encode, predict, scores, ties
from snnlearn.network import Diagnosis, Layer, Network, diagnose, fresh_state, never_reset, rounded, unroll, with_reset
from snnlearn.network.delays import all_delays
from snnlearn.network.operations import operations
from snnlearn.neurons import Subtract, core
from snnlearn.report.baseline import Baseline, advice
from snnlearn.report.flow import doubts, flow_of, time_constants
from snnlearn.report.summary import Example, LayerSummary, RunSummary, WithReset, WithRoundedDelays
from snnlearn.risk import chance_level, compare_losses

# Enough for rates and costs to two digits, little enough to be quick.
_PROBE = 128
# Norms that rise while the loss falls are usual, up to this factor.
_EXPLODED = 100


class History(NamedTuple):
    """How a training of K seeds went.

    Args:
        training_loss: after each epoch, as are the next two, `[K, epochs]`.
        gradient_norm: mean norm of an epoch's gradients.
        validation_loss: mean loss on the validation sample.
        validation_error: share of its samples decided wrongly, in [0, 1].
        best_epoch: the epoch that each seed kept, from 1, `[K]`.
        seconds: that each epoch took, all seeds together, `[epochs]`.
    """

    training_loss: np.ndarray
    gradient_norm: np.ndarray
    validation_loss: np.ndarray
    validation_error: np.ndarray
    best_epoch: np.ndarray
    seconds: np.ndarray


def summarise(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    history: History,
    *,
    title: str,
    config: dict[str, object],
    why_plain: str | None,
    reproduce: str = "",
    baselines: Callable[[Dataset, np.ndarray], tuple[Baseline, ...]] | None = None,
) -> RunSummary:
    """Measure the hypotheses of one training, one for each random seed; the test sample is used here, once.

    Args:
        hypotheses: one for each seed.
        data: what they were trained on.
        history: how the training went.
        title: what the run is called.
        config: the run's options.
        why_plain: why the training ran as plain JAX; None if it ran by kernels.
        reproduce: a command that repeats the run.
        baselines: puts other methods beside the chosen hypothesis, given whether that errs on each test sample.
    """
    selected = select(history)
    scored = [scores(hypothesis, data.test.x) for hypothesis in hypotheses]
    wrong = [decisions(one) != data.test.y for one in scored]
    decided, tied = decisions(scored[selected]), int(ties(scored[selected]).sum())
    names = data.output_names
    confusion = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(confusion, (data.test.y, decided), 1)
    others = () if baselines is None else baselines(data, wrong[selected])
    said = [*advice(others), *_tied(tied, len(decided))]
    common = in_common(hypotheses, data, history, lambda one: predict(one, data.test.x) != data.test.y, said=said)
    right = decided == data.test.y
    return RunSummary(
        **common,
        title=title,
        confusion=confusion,
        class_names=names,
        test_errors=np.array([int(w.sum()) for w in wrong]),
        train_errors=np.array([int(np.sum(predict(h, data.train.x) != data.train.y)) for h in hypotheses]),
        chance=chance_level(data.train, data.test),
        examples=tuple(
            example(hypotheses[selected], data, index, names[int(data.test.y[index])], names[int(decided[index])])
            for index in _some(right)
        ),
        config=config,
        why_plain=why_plain,
        reproduce=reproduce,
        baselines=others,
    )


def in_common(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    history: History,
    losses: Callable[[Hypothesis], np.ndarray],
    *,
    said: Sequence[str],
) -> dict[str, Any]:
    """What a summary of a training has whatever was learned.

    Args:
        hypotheses: one for each seed.
        data: what they were trained on.
        history: how the training went.
        losses: of a hypothesis on each test sample.
        said: warnings that come first.
    """
    selected = select(history)
    chosen = hypotheses[selected]
    probe = jnp.asarray(data.test.x[:_PROBE])
    inputs, lengths = encode(chosen.encoder, probe, key=jax.random.key(0)), jax.vmap(chosen.encoder.length)(probe)
    counted = operations(chosen.network, chosen.encoder, inputs, lengths)
    layers = tuple(_layers(chosen.network, diagnosed(chosen.network, inputs, lengths)))
    # The first epoch also compiles, and so does the first after a run was resumed.
    typical = np.median(history.seconds[1:]) if len(history.seconds) > 1 else history.seconds[0]
    curves = {
        "training loss": history.training_loss,
        "gradient norm": history.gradient_norm,
        "validation loss": history.validation_loss,
    }
    decides = data.task != "regression"
    return {
        "curves": curves | ({"validation error": history.validation_error} if decides else {}),
        "selected_epoch": history.best_epoch - 1,
        "test_size": len(data.test.y),
        "train_size": len(data.train.y),
        "selected_seed": selected,
        "layers": layers,
        "dt": chosen.network.dt,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained_part(chosen.network))),
        "synops": float(counted.synops),
        "macs": float(counted.macs),
        "dense": dense_network(chosen.network),
        "dense_macs": float(multiply_accumulates(chosen.network)),
        "num_steps": inputs.shape[1],
        "wall_time": float(np.sum(history.seconds)),
        "samples_per_second": float(len(hypotheses) * len(data.train.y) / max(typical, 1e-9)),
        "notes": data.notes,
        "warnings": (*said, *data.doubts, *warnings(layers), *growth(history), *_flow(chosen, data, layers)),
        "environment": environment(),
        "left_out": data.left_out,
        "all_seen": data.all_seen,
        "with_reset": _with_reset(chosen, losses),
        "with_rounded_delays": _with_rounded_delays(chosen, losses),
    }


def _with_reset(hypothesis: Hypothesis, losses: Callable[[Hypothesis], np.ndarray]) -> WithReset | None:
    """What a hypothesis loses with resets, if it has spiking units without."""
    if not never_reset(hypothesis.network):
        return None
    reset = Subtract()
    deployed = losses(replace(hypothesis, network=with_reset(hypothesis.network, reset)))
    comparison = compare_losses(deployed, losses(hypothesis), resamples=1999)
    return WithReset(type(reset).__name__, float(np.mean(deployed)), comparison)


def _with_rounded_delays(
    hypothesis: Hypothesis, losses: Callable[[Hypothesis], np.ndarray]
) -> WithRoundedDelays | None:
    """What a hypothesis loses if its delays are whole time steps, if it has delays."""
    steps = all_delays(hypothesis.network)
    if not len(steps):
        return None
    learned = losses(hypothesis)
    if np.array_equal(steps, np.round(steps)):
        return WithRoundedDelays(float(np.mean(learned)), None)
    deployed = losses(replace(hypothesis, network=rounded(hypothesis.network)))
    return WithRoundedDelays(float(np.mean(deployed)), compare_losses(deployed, learned, resamples=1999))


def _tied(tied: int, n: int) -> list[str]:
    """The number of random decisions, in a sentence."""
    if not tied:
        return []
    return [
        f"{tied:,} of {n:,} test decisions ({tied / n:.1%}) are between classes of equal scores, of which chance takes "
        "one: a network whose output tells more apart would do better."
    ]


def select(history: History) -> int:
    """The seed whose kept epoch has the fewest validation errors, and among those the lowest validation loss."""
    kept = np.arange(len(history.best_epoch)), history.best_epoch - 1
    return int(np.lexsort((history.validation_loss[kept], history.validation_error[kept]))[0])


@eqx.filter_jit
def diagnosed(
    network: Network, inputs: Float[Array, "B T ..."], lengths: Int[Array, " B"] | None = None
) -> tuple[Diagnosis | None, ...]:
    """`diagnose`, compiled."""
    return diagnose(network, inputs, lengths)


def dense_network(network: Network) -> str:
    """The name of an artificial network of the same layers, by its numbers of units, such as ``"64-256-10"``."""
    return "-".join(str(math.prod(shape)) for shape in (network.in_shape, *(layer.shape for layer in network.layers)))


def _spikes(layer: Layer) -> bool:
    return layer.neuron.spikes


def multiply_accumulates(network: Network) -> int:
    """Multiply-accumulates of one time step of the same network computed densely."""
    return sum(c.synapses.multiply_accumulates() for layer in network.layers for c in layer.connections)


def warnings(layers: Sequence[LayerSummary]) -> list[str]:
    """Which layers are unhealthy, and what to change."""
    found = []
    for layer in layers:
        if not layer.spiking:
            continue
        if layer.silent > 0.25:
            found.append(
                f"Layer {layer.name}: {layer.silent:.0%} of its units never spike. Use fewer units, lower xi (larger "
                "initial weights), more time steps, or a rate band whose lower edge is above 0 Hz."
            )
        if layer.saturated > 0.05:
            found.append(
                f"Layer {layer.name}: {layer.saturated:.0%} of its units spike in nearly every step, so they carry "
                "little. Raise xi (smaller initial weights), lower the input rate, or set a rate band's upper edge."
            )
        if layer.surrogate_mass < 0.01:
            found.append(
                f"Layer {layer.name}: its mean surrogate derivative is {layer.surrogate_mass:.2%} of the peak, so "
                "hardly any gradient passes. Use a wider surrogate (smaller slope), or lower xi (larger initial "
                "weights)."
            )
    return found


def growth(history: History) -> list[str]:
    """Whether gradients have grown too large for the step size, and what to change."""
    first, largest = np.min(history.gradient_norm[:, 0]), np.max(history.gradient_norm)
    if largest <= _EXPLODED * first:
        return []
    return [
        f"The norm of the gradient grew from {first:.2g} in the first epoch to {largest:.2g}, so that errors grow on "
        "their way back through time. Use a surrogate that is zero far from the threshold (triangle or boxcar), clip "
        "the gradient, or lower the learning rate."
    ]


def _flow(hypothesis: Hypothesis, data: Dataset, layers: Sequence[LayerSummary]) -> list[str]:
    """Which layers' errors vanish or explode, and what to change."""
    if (found := flow_of(hypothesis, data)) is None:
        return []
    taus = [time_constants(layer.neuron) for layer in hypothesis.network.layers]
    return doubts(found, [f"Layer {layer.name}" for layer in layers], taus)


def environment() -> dict[str, str]:
    """Versions of the software that computed the result."""
    packages = ("snnlearn", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "device": jax.devices()[0].device_kind,
    }


def _layers(network: Network, diagnoses: Sequence[Diagnosis | None]) -> list[LayerSummary]:
    summaries = []
    for number, (layer, diagnosis) in enumerate(zip(network.layers, diagnoses, strict=True), start=1):
        summaries.append(
            LayerSummary(
                name=_name(number, layer),
                units=int(np.prod(layer.shape)),
                spiking=diagnosis is not None,
                firing_rate=np.zeros(0) if diagnosis is None else np.ravel(diagnosis.firing_rate),
                silent=0.0 if diagnosis is None else float(diagnosis.silent),
                saturated=0.0 if diagnosis is None else float(diagnosis.saturated),
                surrogate_mass=0.0 if diagnosis is None else float(diagnosis.surrogate_mass),
                delays=layer.neuron.dt * all_delays(layer),
                longest_delay=layer.neuron.dt * max(c.synapses.longest_delay for c in layer.connections),
            )
        )
    return summaries


def _name(number: int, layer: Layer) -> str:
    units = "×".join(map(str, layer.shape))
    return (
        f"{number} · {type(core(layer.neuron)).__name__} {units}{' recurrent' if layer.recurrent is not None else ''}"
    )


@eqx.filter_jit
def _activity(network: Network, xs: Array, key: PRNGKeyArray):
    return unroll(network, xs, fresh_state(network, key=key), record=lambda state: state.v)[0]


def _some(right: np.ndarray) -> list[int]:
    """Three samples, a wrong decision among them if there is one."""
    wrong = np.flatnonzero(~right)[:1]
    return [*np.flatnonzero(right)[: 3 - len(wrong)].tolist(), *wrong.tolist()]


def example(hypothesis: Hypothesis, data: Dataset, index: int, label: str, predicted: str) -> Example:
    """A test sample on its way through the network.

    Args:
        hypothesis: the hypothesis.
        data: the data.
        index: of the sample in the test part.
        label: the truth, in words.
        predicted: the decision, in words.
    """
    key, x = jax.random.key(index), jnp.asarray(data.test.x[index])
    xs = hypothesis.encoder(x, key=key)
    activity, end = _activity(hypothesis.network, xs, key), hypothesis.encoder.length(x)
    if end is not None:
        xs, activity = jax.tree.map(lambda a: a[: int(end)], (xs, activity))
    layers = [("input", _flat(xs), hypothesis.encoder.gives_spikes)]
    membranes = []
    for number, (layer, output, v) in enumerate(
        zip(hypothesis.network.layers, activity.outputs, activity.records, strict=True), start=1
    ):
        spiking = _spikes(layer)
        layers.append((_name(number, layer), _flat(output), spiking))
        if spiking:
            membranes.append((_name(number, layer), _flat(v)[:, :: max(1, math.prod(layer.shape) // 5)][:, :5]))
    return Example(
        image=_image(data, np.asarray(data.test.x[index])),
        label=label,
        predicted=predicted,
        layers=tuple(layers),
        membranes=tuple(membranes),
    )


def _flat(values: Array) -> np.ndarray:
    """`[T, units]`."""
    return np.reshape(np.asarray(values), (len(values), -1))


def _image(data: Dataset, x: np.ndarray) -> np.ndarray | None:
    if data.kind != "values" or x.ndim not in (2, 3):
        return None
    image = x if x.ndim == 2 else x[0]
    span = np.where(data.high > data.low, np.subtract(data.high, data.low), 1.0)
    return np.clip((image - data.low) / span, 0, 1)
