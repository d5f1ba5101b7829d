"""Calibration finds, from measurements alone, codes that leave half a step of the trims, and the noise."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn import SnnlearnError
from snnlearn._parameters import value
from snnlearn.circuits import (
    AbstractDevice,
    Chip,
    Converter,
    LogNormal,
    Measured,
    Mismatch,
    SimulatedDevice,
    Trim,
    calibrate,
    deploy,
    simulated,
)
from snnlearn.network import Conv2d, Layer, Network, feedforward

KEY = jax.random.key(3)
PARAMETERS = ("tau_mem", "resistance", "v_th")
NETWORK = feedforward((4, 60, 40), key=KEY)
KIND = Chip("kind", effects=tuple(Mismatch(name, LogNormal(0.1)) for name in PARAMETERS))
TRIMS = [Trim(name, bits=5, span=0.5) for name in PARAMETERS]


def errors(chip, key, layer, name):
    """Relative errors of a layer's parameter, in steps of the trim of each neuron."""
    bare, design = (deploy(NETWORK, kind, key=key) for kind in (KIND, Chip("ideal")))
    found = deploy(NETWORK, chip, key=key)
    bare, design, found = (value(getattr(n.layers[layer].neuron, name)) for n in (bare, design, found))
    return np.asarray((found / design - 1) / (TRIMS[0].lsb * bare / design))


@eqx.filter_jit
def calibrated(reading, key):
    return Chip(
        "calibrated",
        (*KIND.effects, *calibrate(NETWORK, TRIMS, simulated(KIND, key, reading=reading), trials=16, key=KEY)),
    )


def test_what_is_left_is_uniform_over_a_step_of_the_trim():
    chips = {key: calibrated(None, jax.random.key(key)) for key in range(2)}
    pooled = []
    for key, chip in chips.items():
        for layer, name in ((0, "tau_mem"), (0, "resistance"), (0, "v_th"), (1, "tau_mem"), (1, "resistance")):
            left = errors(chip, jax.random.key(key), layer, name)
            assert np.abs(left).max() < 0.6, (layer, name)
            pooled.append(left)
    pooled = np.concatenate(pooled)
    assert scipy.stats.kstest(pooled, scipy.stats.uniform(-0.5, 1).cdf).pvalue > 0.01
    assert pooled.std() == pytest.approx(1 / np.sqrt(12), rel=0.06)
    # Negative controls: without codes, and with those of another chip.
    for other in (Chip("middle", (*KIND.effects, *TRIMS)), chips[1]):
        assert np.abs(errors(other, jax.random.key(0), 0, "v_th")).max() > 2


def test_readings_of_few_bits_cost_less_than_another_step():
    chip = calibrated(Converter(8, -4.0, 4.0), jax.random.key(0))
    for layer, name in ((0, "tau_mem"), (0, "resistance"), (0, "v_th"), (1, "tau_mem"), (1, "resistance")):
        left = errors(chip, jax.random.key(0), layer, name)
        assert np.sqrt(np.mean(left**2)) < 1.5 / np.sqrt(12), (layer, name)
        assert np.abs(left).max() < 1.5


class Blind(AbstractDevice):
    """A device that reads no membranes."""

    device: AbstractDevice

    def run(self, network, inputs, *, key):
        measured = self.device.run(network, inputs, key=key)
        return Measured(measured.outputs, (None,) * len(measured.membranes))


def test_what_cannot_be_calibrated_is_named():
    image = Network((Layer(Conv2d((1, 4, 4), 2, 3, key=KEY), NETWORK.layers[0].neuron),))
    readout = feedforward((4, 3), key=KEY)
    device = simulated(KIND, KEY)
    for wrong, message in (
        (lambda: Trim("v_leak"), "parameter is 'v_leak'; give one that can be measured: resistance, tau_mem, v_th"),
        (lambda: Trim("v_th", bits=0), "bits is 0; give a number from 1 to 16"),
        (lambda: Trim("v_th", span=1.0), "span is 1.0; give a number above 0 and below 1"),
        (lambda: Trim("v_th")(readout, key=KEY), "Trim: no neuron of the network has a parameter 'v_th'"),
        (lambda: calibrate(NETWORK, TRIMS, device, trials=1, key=KEY), "trials is 1, num_steps 300 and current 4.0"),
        (lambda: calibrate(image, TRIMS, device, key=KEY), r"layer 1 has units of shape \[2, 2, 2\] and 1 ports"),
        (
            lambda: calibrate(NETWORK, TRIMS, lambda _: Blind(SimulatedDevice(KIND, KEY)), num_steps=10, key=KEY),
            "the device reads no membrane of layer 1",
        ),
    ):
        with pytest.raises(SnnlearnError, match=message):
            wrong()


def test_codes_set_factors():
    trim = Trim("v_th", bits=2, span=0.3).with_codes([jnp.arange(60) % 4, None])
    found = value(trim(NETWORK, key=KEY).layers[0].neuron.v_th)
    np.testing.assert_allclose(found[:4], [0.7, 0.9, 1.1, 1.3], rtol=1e-6)
