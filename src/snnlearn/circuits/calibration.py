"""Calibration: each neuron's parameters are trimmed by codes of a few bits until measurements hit their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import parameters
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.chip import Chip
from snnlearn.circuits.device import AbstractDevice, Measured, SimulatedDevice
from snnlearn.circuits.mismatch import changed
from snnlearn.network import Connection, Dense, Layer, Network

MEASURABLE = ("resistance", "tau_mem", "v_th")
"""The parameters that the measurements tell."""


@final
class Trim(AbstractEffect):
    r"""A parameter of every neuron times a factor that a code sets, $1+s\left(\frac{2c}{2^b-1}-1\right)$.

    Without codes, every unit has the middle one.

    Args:
        parameter: `"resistance"`, `"tau_mem"` or `"v_th"`; layers without it are left as they are.
        bits: b, from 1 to 16.
        span: s, the largest relative change, above 0 and below 1.
        codes: c of each layer, `[*shape]`, from 0 to 2ᵇ − 1, or None for a layer without the parameter, as `calibrate`
            gives them; None of all for the middle.

    Raises:
        SnnlearnError: for a part of another kind, or a number out of range.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> trimmed = Trim("v_th", bits=1, span=0.5)(network, key=jax.random.key(0))
    >>> trimmed.layers[0].neuron.v_th.value
    Array([1.5, 1.5, 1.5], dtype=float32)
    """

    parameter: str = eqx.field(static=True)
    bits: int = eqx.field(static=True, default=6)
    span: float = 0.5
    codes: tuple[Int[Array, "..."] | None, ...] | None = None

    def __check_init__(self):
        check_fields(self, "parameter", "bits", "span")
        if self.parameter not in MEASURABLE:
            raise SnnlearnError(
                f"Trim: parameter is {self.parameter!r}; give one that can be measured: {', '.join(MEASURABLE)}"
            )
        if not 1 <= self.bits <= 16:
            raise SnnlearnError(f"Trim: bits is {self.bits}; give a number from 1 to 16")
        if not 0 < self.span < 1:
            raise SnnlearnError(f"Trim: span is {self.span}; give a number above 0 and below 1")

    @property
    def label(self) -> str:
        """See the base."""
        return f"trim of {self.parameter}"

    @property
    def lsb(self) -> float:
        """The change of the factor from one code to the next."""
        return 2 * self.span / (2**self.bits - 1)

    def has(self, layer: Layer) -> bool:
        """Whether a layer's neurons have the parameter."""
        return any(place.rpartition(".")[2] == self.parameter for place in parameters(layer.neuron))

    def with_codes(self, codes: Sequence[Int[Array, "..."] | None]) -> Trim:
        """The same circuits with other codes, one array for each layer."""
        return Trim(self.parameter, self.bits, self.span, tuple(codes))

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base; nothing is drawn."""
        if not any(map(self.has, network.layers)):
            raise SnnlearnError(
                f"Trim: no neuron of the network has a parameter {self.parameter!r}; give another network or another "
                "parameter"
            )
        layers = []
        for number, layer in enumerate(network.layers):
            code = None if self.codes is None else self.codes[number]
            code = jnp.full(layer.shape, 2 ** (self.bits - 1)) if code is None else code
            factor = 1 - self.span + self.lsb * code.astype(jnp.result_type(float))
            neuron, _ = changed(layer.neuron, self.parameter, lambda _, factor=factor: factor)
            layers.append(layer.with_parts([c.synapses for c in layer.connections], neuron, layer.feedback))
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


@checked
def calibrate(
    network: Network,
    trims: Sequence[Trim],
    device: Callable[[tuple[Trim, ...]], AbstractDevice],
    *,
    current: float = 4.0,
    num_steps: int = 300,
    trials: int = 64,
    key: PRNGKeyArray,
) -> tuple[Trim, ...]:
    """Find each neuron's codes from what a device measures alone, so that it does what the model does.

    Every neuron gets, from the input directly, currents below rest, whose response at the end and the time that it
    takes tell resistance and time constant, and rising ones, of which the membrane just before the first spike tells
    the threshold. Targets are the same measurements of the model. The codes are found bit by bit (successive
    approximation), which needs no more than that the measurement rises with the code, and of the last two the nearer
    one is taken: the rest is at most half a step, and the noise of the measurement.

    Args:
        network: the network as designed; its layers' units are in one axis.
        trims: the circuits that there are.
        device: the device with codes set.
        current: the largest current of the measurements; times the resistance it should be well above the threshold.
        num_steps: of a measurement, 10 time constants or more.
        trials: currents of different size, ≥ 2, so that readings average out: of 8 bits, 16 leave up to 1.3 steps of
            a trim of 6 bits, 64 up to 0.84.
        key: of the device's noise.

    Returns:
        the circuits with their codes: effects of this one chip, after its own.

    Raises:
        SnnlearnError: for a number out of range, or a layer that cannot be measured.

    >>> from snnlearn.circuits import LogNormal, Mismatch, deploy
    >>> from snnlearn.network import feedforward
    >>> network, chip = feedforward((4, 3, 2), key=jax.random.key(0)), jax.random.key(1)
    >>> kind = Chip("mine", effects=(Mismatch("v_th", LogNormal(0.2)),))
    >>> trims = calibrate(network, [Trim("v_th", bits=7)], simulated(kind, chip), trials=4, key=jax.random.key(2))
    >>> calibrated = deploy(network, Chip("calibrated", (*kind.effects, *trims)), key=chip)
    >>> bool(abs(calibrated.layers[0].neuron.v_th.value - 1).max() < 0.02)
    True
    """
    if trials < 2 or num_steps < 10 or not 0 < current < float("inf"):
        raise SnnlearnError(
            f"calibrate: trials is {trials}, num_steps {num_steps} and current {current}; give at least 2, at least 10 "
            "and a finite number above 0"
        )
    probe, inputs = _probe(network), _currents(current, num_steps, trials)
    model = measured(probe, inputs, SimulatedDevice(Chip("model"), key, None), key=key)
    has = [[trim.has(layer) for layer in network.layers] for trim in trims]

    def errors(codes: Any) -> Any:
        there = device(tuple(trim.with_codes(each) for trim, each in zip(trims, codes, strict=True)))
        found = measured(probe, inputs, there, key=key)
        return [
            [
                found[number][trim.parameter] - model[number][trim.parameter] if code is not None else None
                for number, code in enumerate(each)
            ]
            for trim, each in zip(trims, codes, strict=True)
        ]

    def searched(codes: Any, bit: Int[Array, ""]) -> tuple[Any, None]:
        """Set one bit of every code where the measurement is still not above its target."""
        tried = [_map(lambda c, t=trim: c + _power(t.bits, bit), each) for trim, each in zip(trims, codes, strict=True)]
        return jax.tree.map(lambda e, t, c: jnp.where(e <= 0, t, c), errors(tried), tried, codes), None

    codes = [
        [jnp.zeros(layer.shape, jnp.int32) if there else None for layer, there in zip(network.layers, of, strict=True)]
        for of in has
    ]
    codes, _ = jax.lax.scan(searched, codes, jnp.arange(max((trim.bits for trim in trims), default=0)))
    above = [_map(lambda c, t=trim: jnp.minimum(c + 1, 2**t.bits - 1), e) for trim, e in zip(trims, codes, strict=True)]
    both = jax.tree.map(lambda c, a: jnp.stack([c, a]), codes, above)
    nearest = jax.tree.map(
        lambda left, code: jnp.where(jnp.abs(left[1]) < jnp.abs(left[0]), code[1], code[0]),
        jax.lax.map(errors, both),
        both,
    )
    return tuple(trim.with_codes(each) for trim, each in zip(trims, nearest, strict=True))


def simulated(chip: Chip, key: PRNGKeyArray, **fields: Any) -> Callable[[tuple[Trim, ...]], AbstractDevice]:
    """A simulated chip as `calibrate` takes it: with its own effects, and then the trims.

    Args:
        chip: the kind of chip.
        key: which chip it is.
        fields: others of `SimulatedDevice`.
    """
    return lambda trims: SimulatedDevice(Chip(chip.name, (*chip.effects, *trims)), key, **fields)


def measured(
    probe: Network, inputs: Float[Array, "B T 1"], device: AbstractDevice, *, key: PRNGKeyArray
) -> list[dict[str, Float[Array, " units"]]]:
    """What the currents tell of each layer's neurons: quantities that rise with the parameters of these names."""
    found: Measured = device.run(probe, inputs, key=key)
    half = len(inputs) // 2
    quantities = []
    for number, (layer, output, v) in enumerate(zip(probe.layers, *found, strict=True), start=1):
        if v is None:
            raise SnnlearnError(f"calibrate: the device reads no membrane of layer {number}; give one that does")
        down, drive = v[:half], inputs[:half, :1]
        response = jnp.sum(drive * down, axis=0) / jnp.sum(drive * drive, axis=0)  # to a current of 1
        settled = jnp.mean(response[len(response) // 2 :], axis=0)
        # Of the first fifth: later steps would add more noise than they tell of the time constant.
        slowness = jnp.mean(1 - response[: len(response) // 5] / settled[None], axis=0)
        quantities.append({"resistance": settled, "tau_mem": slowness})
        if layer.neuron.spikes:
            first = jnp.argmax(output[half:] > 0, axis=1)  # 0 if it never spikes: then the last is the highest
            before = jnp.where(first > 0, first - 1, output.shape[1] - 1)
            highest, earlier = (
                jnp.take_along_axis(v[half:], jnp.maximum(before - back, 0)[:, None], axis=1)[:, 0] for back in (0, 4)
            )
            quantities[-1]["v_th"] = jnp.mean(highest + (highest - earlier) / 8, axis=0)  # half a step later
    return quantities


def _probe(network: Network) -> Network:
    """The same neurons, each driven by the input alone with a weight of 1."""
    layers = []
    for number, layer in enumerate(network.layers, start=1):
        if len(layer.shape) != 1 or len(layer.neuron.ports) != 1:
            raise SnnlearnError(
                f"calibrate: layer {number} has units of shape {list(layer.shape)} and {len(layer.neuron.ports)} "
                "ports; give layers of units in one axis, with one port"
            )
        synapses = Dense(1, *layer.shape, key=jax.random.key(0))
        synapses = eqx.tree_at(lambda s: s.weight, synapses, jnp.ones_like(synapses.weight))
        layers.append(Layer([Connection(synapses, "input")], layer.neuron, name=layer.name))
    return Network(tuple(layers))


def _currents(current: float, num_steps: int, trials: int) -> Float[Array, "B T 1"]:
    """Constant currents below rest, and then rising ones, of `trials` sizes each; all sizes differ, as dither."""
    sizes = current * (0.5 + 0.5 * (jnp.arange(trials, dtype=jnp.result_type(float)) + 0.5) / trials)
    down = -0.5 * sizes[:, None] * jnp.ones((1, num_steps))
    up = sizes[:, None] * jnp.linspace(0, 1, num_steps)[None]
    return jnp.concatenate([down, up])[..., None]


def _power(bits: int, number: Int[Array, ""]) -> Int[Array, ""]:
    """The bit of this number, from the highest; 0 once there are no more."""
    return jnp.where(number < bits, 2 ** jnp.maximum(bits - 1 - number, 0), 0).astype(jnp.int32)


def _map(function: Callable[[Array], Array], codes: Sequence[Array | None]) -> list[Array | None]:
    return [None if code is None else function(code) for code in codes]
