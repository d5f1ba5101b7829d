"""Temperature changes circuits by the laws of transistors below threshold."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn._parameters import trained_part, value
from snnlearn.circuits import (
    AbstractThermalLaw,
    Activated,
    Doubling,
    ProportionalToTemperature,
    Steady,
    Temperature,
)
from snnlearn.network import Dense, Layer, Network, feedforward
from snnlearn.neurons import DPI, IF, LI, LIF, AdEx, AxonHillock, CubaLIF, DPISynapse, Filtered, ResonateAndFire

KEY = jax.random.key(0)
PTAT, STEADY = ProportionalToTemperature(), Steady()
x64 = pytest.mark.usefixtures("x64")


def at(neuron: Any, kelvin: float, **fields: Any) -> Any:
    """One neuron at another temperature."""
    network = Network((Layer(Dense(1, 1, key=KEY), neuron),))
    return Temperature(kelvin, **fields)(network, key=KEY).layers[0].neuron


def course(neuron: Any, current: float, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and membranes under a constant current."""

    def step(state, _):
        spikes, state = neuron(jnp.array([current]), state)
        return state, (spikes[0], state.v[0])

    found = jax.jit(lambda: jax.lax.scan(step, neuron.initial_state((1,)), None, length=num_steps)[1])()
    return np.asarray(found[0]), np.asarray(found[1])


@pytest.mark.parametrize(
    ("law", "kelvin", "factor"),
    [
        (Steady(), 350.0, 1.0),
        (PTAT, 360.0, 1.2),
        (Doubling(), 330.0, 8.0),
        (Doubling(8.0), 292.0, 0.5),
        (Activated(0.7), 320.0, np.exp(0.7 * 1.602176634e-19 / 1.380649e-23 * (1 / 300 - 1 / 320))),
    ],
)
def test_currents_follow_their_laws(law, kelvin, factor):
    assert law.factor(kelvin, 300.0) == pytest.approx(factor, rel=1e-9)
    assert law.factor(300.0, 300.0) == 1.0


def test_a_doubling_every_ten_kelvin_is_an_activation_of_half_an_electron_volt():
    """Where they agree to first order; elsewhere they do not."""
    energy = np.log(2) / 10 * 300**2 * 8.617333262e-5
    law = Activated(energy)
    assert law.factor(301.0, 300.0) == pytest.approx(Doubling().factor(301.0, 300.0), rel=1e-3)
    assert law.factor(390.0, 300.0) < 0.5 * Doubling().factor(390.0, 300.0)


def test_a_dpi_has_the_thermal_voltage_of_its_temperature():
    designed, warm = DPI.dynap_se1(), at(DPI.dynap_se1(), 310.0)
    assert warm.u_t == pytest.approx(1e3 * 1.380649e-23 * 310 / 1.602176634e-19)  # mV
    for name, tau in warm.time_constants().items():
        assert float(value(tau)) == pytest.approx(float(value(designed.time_constants()[name])) * warm.u_t / 25.0)
    assert warm.i_0 == pytest.approx(2 ** ((310 - 25e-3 / 8.617333262e-5) / 10))
    assert (warm.v_th, warm.unit, warm.capacitance, warm.kappa) == (2000.0, 500.0, 2.0, 0.705)


def test_a_synapse_jumps_as_its_pulse_makes_it():
    parts = {"capacitance": 24.5, "gain": 100.0, "pulse": 10e-6, "kappa": 0.705}
    synapse = DPISynapse.of_pulse(tau=10e-3, i_w=1000.0, u_t=25.0, **parts)
    warm = at(DPI(ampa=synapse), 350.0, reference=300.0, biases=PTAT, dark=STEADY).ampa
    cold = at(DPI(ampa=synapse), 250.0, reference=300.0).ampa
    u, v = 350 / 300, 250 / 300
    # In the formula for a pulse, the current of the weight and the time constant are those of the temperature.
    expected = DPISynapse.of_pulse(tau=10e-3, i_w=1000.0 * u, u_t=25.0 * u, **parts)
    assert warm.jump == pytest.approx(expected.jump, rel=1e-3)
    assert warm.i_tau == pytest.approx(expected.i_tau)
    assert cold.jump == pytest.approx(DPISynapse.of_pulse(tau=10e-3 * v, i_w=1000.0, u_t=25.0 * v, **parts).jump, 1e-3)


@x64
def test_all_currents_in_proportion_change_nothing_but_their_size():
    """Of a DPI, whose equation is homogeneous in currents: with dark currents out of proportion it differs."""
    designed = course(DPI(), 2.5, 300)
    spikes, v = course(at(DPI(), 330.0, reference=300.0, biases=PTAT, dark=PTAT), 2.5, 300)
    assert designed[0].sum() > 20
    np.testing.assert_array_equal(spikes, designed[0])
    np.testing.assert_allclose(v, 1.1 * designed[1], rtol=1e-9)
    leaky = course(at(DPI(), 330.0, reference=300.0, biases=PTAT, dark=Doubling()), 2.5, 300)
    assert leaky[0].sum() > 1.1 * spikes.sum()  # the reset, through a transistor that is off, ends higher up


def test_an_axon_hillock_circuit_knows_currents_and_no_thermal_voltage():
    neuron, rate = AxonHillock(), 1 / (AxonHillock().t_low(200.0) + AxonHillock().t_high(200.0))
    steady, warm = at(neuron, 360.0), at(neuron, 360.0, reference=300.0, biases=PTAT)
    assert steady == neuron
    assert 1 / (warm.t_low(2 * warm.unit) + warm.t_high(2 * warm.unit)) == pytest.approx(1.2 * rate)


def test_an_adex_is_of_conductances_and_a_transistor():
    neuron, u = AdEx(), 360.0 / 300.0
    steady, warm = at(neuron, 360.0, reference=300.0), at(neuron, 360.0, reference=300.0, biases=PTAT)
    for name in ("tau_mem", "tau_w"):
        assert getattr(steady, name) == pytest.approx(u * getattr(neuron, name))
        assert getattr(warm, name) == pytest.approx(getattr(neuron, name))
    assert (steady.delta, warm.delta) == pytest.approx((2 * u, 2 * u))
    assert (warm.unit, warm.b) == pytest.approx((u * neuron.unit, u * neuron.b))
    assert (steady.v_th, steady.v_leak) == (neuron.v_th, neuron.v_leak)


def test_a_membrane_takes_longer_in_proportion():
    steps = np.arange(1, 6)
    for kelvin, biases, tau in ((330.0, STEADY, 11e-3), (270.0, STEADY, 9e-3), (330.0, PTAT, 10e-3)):
        _, v = course(at(LI(tau_mem=10e-3), kelvin, reference=300.0, biases=biases), 1.0, 5)
        np.testing.assert_allclose(v, 1 - np.exp(-steps * 1e-3 / tau), rtol=1e-5)


def test_wrapped_and_trained_time_constants_are_trained_still():
    neuron = Filtered(ResonateAndFire(tau_mem=jnp.array([0.02]), frequency=10.0), tau_syn=5e-3)
    network = Network((Layer(Dense(1, 1, key=KEY), neuron),))
    warm = Temperature(330.0, reference=300.0)(network, key=KEY)
    made = warm.layers[0].neuron
    assert value(made.tau_syn) == pytest.approx(5.5e-3)
    assert float(value(made.neuron.tau_mem)[0]) == pytest.approx(0.022)
    assert float(value(made.neuron.frequency)) == pytest.approx(10 / 1.1)
    assert len(jax.tree.leaves(trained_part(warm))) == len(jax.tree.leaves(trained_part(network))) == 2


def test_somebody_elses_law_and_neuron_are_as_ours():
    class Frozen(AbstractThermalLaw):
        def factor(self, kelvin, reference):
            return 0.25

    assert at(DPI(), 300.0, biases=Frozen()).i_tau == pytest.approx(1.25)
    assert at(CubaLIF(tau_syn=4e-3), 300.0, reference=300.0, biases=Frozen()).tau_syn == pytest.approx(16e-3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Temperature(0.0), "Temperature: kelvin is 0.0; give a temperature in kelvin from 218.15 to 398.15"),
        (lambda: Temperature(-10.0), "kelvin is -10.0"),
        (lambda: Temperature(25.0), "kelvin is 25.0"),  # in degrees Celsius
        (lambda: Temperature(500.0), "kelvin is 500.0"),
        (lambda: Temperature(float("nan")), "kelvin is nan"),
        (lambda: Temperature(float("inf")), "kelvin is inf"),
        (lambda: Temperature("warm"), "Temperature: kelvin is the string 'warm'"),
        (lambda: Temperature(300.0, reference=0.0), "reference is 0.0"),
        (lambda: Doubling(0.0), "Doubling: every is 0.0; give a finite number above 0"),
        (lambda: Activated(-1.0), "Activated: energy is -1.0"),
        (lambda: at(IF(), 300.0), "Temperature: no neuron of the network depends on temperature"),
        (lambda: at(LIF(), 350.0, biases=Doubling()), "LIF: dt = 0.001 s is longer than tau_mem"),
    ],
)
def test_refuses_what_is_no_temperature(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence.replace("(", r"\(")):
        make()


def test_says_whether_it_applies():
    assert Temperature(300.0).applies(feedforward((4, 3, 2), key=KEY))
    assert not Temperature(300.0).applies(Network((Layer(Dense(1, 1, key=KEY), IF()),)))
