"""Each effect has the law that it claims: distribution, moments, correlation, slope; and refuses what is none."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn import SnnlearnError, kernels
from snnlearn._parameters import value
from snnlearn.circuits import (
    Chip,
    Compensated,
    DeadNeurons,
    DifferentialPair,
    Drift,
    EachChip,
    EachSample,
    EachStep,
    Flicker,
    LogNormal,
    Mismatch,
    NoisyReads,
    Normal,
    PcmRead,
    Polynomial,
    ProgrammingError,
    StuckDevices,
    SynapticMismatch,
    deploy,
    pelgrom,
)
from snnlearn.network import Conv2d, Dense, Layer, Network, OneToOne, feedforward, unroll, why_not_compiled
from snnlearn.neurons import LI, LIF, AdEx, Refractory, ToValue

KEY = jax.random.key(0)


def single(synapses) -> Network:
    """A network of one layer."""
    return Network((Layer(synapses, LI()),))


def dense(weight) -> Network:
    weight = jnp.asarray(weight)
    made = Dense(weight.shape[1], weight.shape[0], key=KEY)
    return single(eqx.tree_at(lambda s: s.weight, made, weight))


def weight_of(network: Network) -> np.ndarray:
    return np.asarray(network.layers[0].synapses.carrier.weight)  # pyright: ignore[reportAttributeAccessIssue]


def chips(effect, network: Network, number: int) -> np.ndarray:
    """The weights of many chips."""
    made = eqx.filter_jit(eqx.filter_vmap(lambda key: effect(network, key=key)))(jax.random.split(KEY, number))
    return weight_of(made)


def share_of(interval_of: int, successes: int, probability: float) -> bool:
    """Whether a share is within its interval of 99.9 %."""
    return bool(scipy.stats.binomtest(int(successes), interval_of, probability).pvalue > 1e-3)


# --- Mismatch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effect",
    [
        SynapticMismatch(0.2, unit_share=0.3, input_share=0.3),
        ProgrammingError(Polynomial.pcm()),
        Drift(100.0),
        StuckDevices(0.4),
        NoisyReads(Polynomial.pcm(), EachChip()),
    ],
    ids=lambda effect: type(effect).__name__,
)
def test_a_device_is_the_same_in_a_larger_network(effect):
    small, large = (weight_of(effect(dense(jnp.ones(shape)), key=KEY)) for shape in [(2, 3), (4, 5)])
    np.testing.assert_allclose(small, large[:2, :3], rtol=1e-6)
    assert np.ptp(large) > 0


def test_a_device_is_the_same_in_a_larger_layer_and_within_wrappers():
    effect = Mismatch("tau_mem", LogNormal(0.2))
    small, large = (effect(feedforward((2, units, 2), key=KEY), key=KEY).layers[0].neuron.tau_mem for units in (3, 7))
    np.testing.assert_array_equal(value(small), value(large)[:3])
    dead = effect(DeadNeurons(0.5)(feedforward((2, 3, 2), key=KEY), key=KEY), key=KEY)
    np.testing.assert_array_equal(value(dead.layers[0].neuron.neuron.tau_mem), value(small))
    network, programming = dense(jnp.ones((2, 3))), ProgrammingError(Polynomial.pcm())
    read = programming(NoisyReads(Polynomial.pcm())(network, key=KEY), key=KEY)
    np.testing.assert_array_equal(weight_of(read), weight_of(programming(network, key=KEY)))


def test_membranes_differ_by_their_distance_from_rest():
    """So that the law of a neuron does not depend on which voltage is called 0."""
    law = LogNormal(0.2)
    zeros = {
        "shifted": LIF(v_th=-55.0, v_leak=-70.0, reset=ToValue(-75.0)),
        "zero": LIF(v_th=15.0, reset=ToValue(-5.0)),
    }
    for name in ("v_th", None):
        shifted, zero = (
            Mismatch(name, law)(Network((Layer(Dense(1, 400, key=KEY), n),)), key=KEY).layers[0].neuron
            for n in zeros.values()
        )
        np.testing.assert_allclose(value(shifted.v_th) + 70, value(zero.v_th), rtol=1e-4)
        np.testing.assert_allclose(value(shifted.reset.v_reset) + 70, value(zero.reset.v_reset), rtol=1e-4)
        np.testing.assert_array_equal(value(shifted.v_leak), -70.0)
    adex = Mismatch("v_th", law)(Network((Layer(Dense(1, 900, key=KEY), AdEx()),)), key=KEY).layers[0].neuron
    distance = np.asarray(value(adex.v_th)) + 70.6
    assert scipy.stats.kstest(distance / 30.2, scipy.stats.lognorm(np.sqrt(np.log1p(0.04))).cdf).pvalue > 0.01
    trained = Network((Layer(Dense(1, 2, key=KEY), LIF(v_th=jnp.array([-55.0, -50.0]), v_leak=-70.0)),))
    made = Mismatch("v_th", law)(trained, key=KEY).layers[0].neuron.v_th
    assert isinstance(made, jax.Array) and not np.array_equal(made, [-55.0, -50.0])
    with pytest.raises(SnnlearnError, match=r"Mismatch: parameter is 'v_leak', from which all other membranes"):
        Mismatch("v_leak", law)


def test_small_transistors_differ_more():
    """Pelgrom: exp(κ ΔV / U_T) of a normal ΔV, drawn independently of the library."""
    law = pelgrom(3.5e-9, 1e-6, 0.5e-6, kappa=0.7, u_t=25e-3)
    dv = np.random.default_rng(0).normal(scale=3.5e-3 / np.sqrt(0.5), size=5000)
    drawn = np.asarray(law.draw((5000,), key=KEY))
    assert scipy.stats.ks_2samp(drawn, np.exp(0.7 * dv / 25e-3)).pvalue > 0.01
    assert scipy.stats.ks_2samp(drawn, np.exp(0.7 * dv / np.sqrt(2) / 25e-3)).pvalue < 1e-6
    with pytest.raises(SnnlearnError, match=r"pelgrom: width is -1e-06; give a finite number above 0"):
        pelgrom(3.5e-9, -1e-6, 1e-6)


def test_refractory_periods_differ_and_bound_the_rate():
    network = Network((Layer(Dense(1, 60, key=KEY), LIF(refractory=Refractory(10e-3))),))
    strong = eqx.tree_at(lambda n: n.layers[0].connections[0].synapses.weight, network, jnp.full((60, 1), 1e3))
    chip = Mismatch("period", LogNormal(0.3))(strong, key=KEY)
    periods = np.asarray(value(chip.layers[0].neuron.refractory.period))
    assert scipy.stats.kstest(periods / 10e-3, scipy.stats.lognorm(np.sqrt(np.log1p(0.09))).cdf).pvalue > 0.01
    spikes = np.asarray(chip(jnp.ones((50, 1)))[0])
    for unit, period in enumerate(periods):
        assert set(np.diff(np.flatnonzero(spikes[:, unit]))) == {round(period / 1e-3) + 1}
    with pytest.raises(SnnlearnError, match=r"Refractory: period is .*; give a number"):
        Refractory(jnp.ones(3))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "synapses", [Dense(3, 4, key=KEY), Conv2d((2, 3, 3), 3, 2, key=KEY), OneToOne((4,), jnp.ones(4))]
)
def test_synaptic_mismatch_has_the_covariance_that_it_claims(synapses):
    """Of all pairs of weights, against the exact one, within five standard errors."""
    cv, unit, row, number = 0.4, 0.5, 0.2, 3000
    made = chips(SynapticMismatch(cv, unit, row), single(synapses), number) / np.asarray(synapses.weight)
    logs = np.log(made).reshape(number, -1)
    places = list(itertools.product(*map(range, synapses.weight.shape)))

    def covariance(unit, row):
        shared = [
            [unit * (a[0] == b[0]) + row * (a[:2][-1] == b[:2][-1]) + (1 - unit - row) * (a == b) for b in places]
            for a in places
        ]
        return np.log1p(cv**2) * np.array(shared)

    def fits(exact):
        error = np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / number)
        return (np.abs(np.cov(logs.T) - exact) < 5 * error).all()

    assert fits(covariance(unit, row))
    assert synapses.weight.ndim == 1 or not fits(covariance(row, unit))
    assert scipy.stats.kstest(logs[:, 0] / np.sqrt(np.log1p(cv**2)), scipy.stats.norm.cdf).pvalue > 1e-3


# --- Conductances -----------------------------------------------------------------------------------------------------


def rectified(mean, std):
    """Mean and variance of max(0, normal)."""
    ratio = mean / std
    first = mean * scipy.stats.norm.cdf(ratio) + std * scipy.stats.norm.pdf(ratio)
    second = (mean**2 + std**2) * scipy.stats.norm.cdf(ratio) + mean * std * scipy.stats.norm.pdf(ratio)
    return first, second - first**2


@pytest.mark.parametrize("g_max", [25e-6, 12.5e-6])
def test_programming_error_is_the_published_polynomial(g_max):
    """Mean and deviation at five conductances; with another largest conductance by the reference of the fit."""
    number, targets = 4000, np.array([0.5, 2.0, 5.0, 8.0, 12.0])  # µS
    pair = DifferentialPair(g_max=g_max, w_max=1.0)
    drawn = chips(ProgrammingError(Polynomial.pcm(), pair), dense(targets[None] * 1e-6 / g_max), number)[:, 0]

    def sigma(g, reference=25.0):
        return 0.26348 + 1.9650 * g / reference - 1.1731 * (g / reference) ** 2

    plus, minus = rectified(targets, sigma(targets)), rectified(0.0, sigma(0.0))
    mean, std = plus[0] - minus[0], np.sqrt(plus[1] + minus[1])
    drawn = drawn * g_max * 1e6
    assert (np.abs(drawn.mean(axis=0) - mean) < 4.5 * std / np.sqrt(number)).all()
    assert (np.abs(drawn.std(axis=0) / std - 1) < 0.06).all()
    wrong = sigma(targets, 12.5 if g_max == 25e-6 else 6.25)
    assert (np.abs(drawn.std(axis=0) / wrong - 1) > 0.06).any()


def test_weights_go_to_conductances_and_back():
    weight = jnp.array([[-2.0, -0.5, 0.0, 1.0]])
    pair = DifferentialPair(g_max=20e-6, g_min=2e-6)
    plus, minus = pair.conductances(weight)
    np.testing.assert_allclose(1e6 * np.stack([plus, minus])[:, 0], [[2, 2, 2, 11], [20, 6.5, 2, 2]], rtol=1e-5)
    np.testing.assert_allclose(pair.changed(weight, lambda g: g), weight, atol=1e-6)
    clipped = DifferentialPair(w_max=1.0)
    np.testing.assert_allclose(clipped.changed(weight, lambda g: g), [[-1, -0.5, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda w: clipped.changed(w, lambda g: g).sum())(weight[:, [0, 1, 3]]), 1.0)


def test_phase_change_memory_reads_as_published():
    """Against the formula in NumPy; the limits of Q and a small conductance."""
    g, t, read = np.array([0.01, 1.0, 10.0, 25.0]), 3600.0, 250e-9
    q = np.minimum(0.0088 / (g / 25) ** 0.65, 0.2)
    expected = g * q * np.sqrt(np.log((t + read) / (2 * read)))
    np.testing.assert_allclose(1e6 * PcmRead(time=t)(jnp.array(1e-6 * g)), expected, rtol=1e-4)
    assert q[0] == 0.2 and q[1] < 0.2


# --- Read noise -------------------------------------------------------------------------------------------------------

SPREAD = Polynomial((1e-6,), 1.0)
PAIR = DifferentialPair(g_max=10e-6, w_max=1.0)  # a deviation of √2 × 0.1 in weights


def noise_of(course, *, seeds, inputs=400, num_steps=3, chip=0):
    """What is read of weights of 0, `[samples, T, inputs]`, each by an input of its own."""
    network = single(OneToOne((inputs,), jnp.zeros(inputs)))
    made = NoisyReads(SPREAD, course, PAIR)(network, key=jax.random.key(chip))
    synapses, xs = made.layers[0].synapses, jnp.ones((num_steps, inputs))

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(0, None))
    def read(key, synapses):
        state = made.initial_state(key=key)[0].synapses[0]
        return jax.lax.scan(lambda state, x: synapses.step(x, state)[::-1], state, xs)[1]

    return np.asarray(read(jnp.stack([jax.random.key(seed) for seed in seeds]), synapses))


@pytest.mark.parametrize(
    ("course", "between_steps", "between_samples", "between_chips"),
    [(EachStep(), False, False, False), (EachSample(), True, False, False), (EachChip(), True, True, False)],
    ids=["step", "sample", "chip"],
)
def test_noise_is_drawn_when_it_says(course, between_steps, between_samples, between_chips):
    """The same numbers, or independent ones: with the same key the same whatever the chip, but for the chip's own."""
    one, other = noise_of(course, seeds=[1, 2])
    again, elsewhere = noise_of(course, seeds=[1, 3], chip=1)
    for a, b, is_same in [
        (one[0], one[1], between_steps),
        (one[0], other[0], between_samples),
        (one[0], elsewhere[0], between_chips),
    ]:
        assert np.array_equal(a, b) if is_same else abs(np.corrcoef(a, b)[0, 1]) < 0.2
    assert np.array_equal(one, again) == (not between_samples)
    assert scipy.stats.kstest(one[0] / (0.1 * np.sqrt(2)), scipy.stats.norm.cdf).pvalue > 0.01


def test_flicker_has_the_autocorrelation_of_its_bands():
    course = Flicker(fastest=2e-3, slowest=50e-3, bands=3)
    noise = noise_of(course, seeds=range(10), num_steps=30, inputs=300) / (0.1 * np.sqrt(2))
    noise = np.moveaxis(noise, 1, 0).reshape(30, -1)
    lags = np.arange(30)
    exact = np.mean([np.exp(-lags * 1e-3 / tau) for tau in course.times], axis=0)
    measured = (noise[:1] * noise).mean(axis=1)  # from the first step on
    assert np.abs(measured - exact).max() < 5 / np.sqrt(3000)
    assert np.abs(measured - np.exp(-lags * 1e-3 / 2e-3)).max() > 0.2
    np.testing.assert_allclose(noise.std(axis=1), 1, rtol=0.08)


@pytest.mark.parametrize(
    ("course", "slope"), [(Flicker(1e-3, 0.3, bands=6), -1.0), (EachStep(), 0.0)], ids=["1/f", "white"]
)
def test_the_spectrum_has_its_slope(course, slope):
    noise = noise_of(course, seeds=[0], num_steps=1024, inputs=150)[0]
    power = np.mean(np.abs(np.fft.rfft(noise * np.hanning(1024)[:, None], axis=0)) ** 2, axis=1)
    frequency = np.fft.rfftfreq(1024, 1e-3)
    between = (frequency > 3) & (frequency < 100)
    measured = np.polyfit(np.log(frequency[between]), np.log(power[between]), 1)[0]
    assert measured == pytest.approx(slope, abs=0.12)


# --- Drift ------------------------------------------------------------------------------------------------------------


def test_drift_is_a_power_law_of_time():
    """Slope −ν on a log–log scale, of each device its own, with the law of ν."""
    times, nu = np.array([20.0, 60.0, 600.0, 86400.0]), 0.06
    network, law = dense(jnp.ones((40, 50))), LogNormal(0.25)
    logs = np.array([np.log(weight_of(Drift(t, nu, law)(network, key=KEY))).ravel() for t in times])
    slopes = (logs / np.log(times / 20.0)[:, None].clip(1e-9))[1:]
    np.testing.assert_allclose(logs[0], 0, atol=1e-6)
    np.testing.assert_allclose(slopes, slopes[:1].repeat(3, 0), rtol=1e-3)
    exact = scipy.stats.lognorm(np.sqrt(np.log1p(0.25**2)), scale=nu)
    assert scipy.stats.kstest(-slopes[-1], exact.cdf).pvalue > 0.01
    assert scipy.stats.kstest(-slopes[-1], scipy.stats.norm(exact.mean(), exact.std()).cdf).pvalue < 1e-3


def test_compensation_is_exact_for_one_common_exponent():
    network = single(Dense(6, 5, key=KEY))
    common = Compensated(Drift(1e5, law=LogNormal(0.0)))(network, key=KEY)
    np.testing.assert_allclose(weight_of(common), weight_of(network), rtol=1e-5)
    drift = Drift(1e5, law=LogNormal(0.5))
    uncorrected, corrected = (weight_of(effect(network, key=KEY)) for effect in (drift, Compensated(drift)))
    factors = corrected / uncorrected
    np.testing.assert_allclose(factors, factors[0, 0], rtol=1e-5)  # one number, which leaves the spread
    assert np.abs(corrected / weight_of(network) - 1).max() > 0.05
    assert np.abs(corrected).sum() == pytest.approx(np.abs(weight_of(network)).sum(), rel=1e-5)
    kinds = (Chip("compensated", effects=(Compensated(drift),)), Chip("not", effects=(drift,)))
    corrected, uncorrected = (weight_of(deploy(network, kind, key=KEY)) for kind in kinds)
    assert np.ptp(corrected / uncorrected) < 1e-5  # the same chip


# --- Defects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.0, 4e-6, 10e-6])
def test_stuck_devices_are_where_they_are_in_their_share(at):
    """Each device by itself: the pair of a weight of ½ gives one of four weights."""
    network = dense(jnp.full((60, 50), 0.5))
    weight = weight_of(StuckDevices(0.2, at, PAIR)(network, key=KEY)).ravel()
    left = {(False, False): 0.5, (True, False): at * 1e5, (False, True): 0.5 - at * 1e5, (True, True): 0.0}
    shares: dict[float, float] = {}
    for (plus, minus), expected in left.items():
        shares[expected] = shares.get(expected, 0.0) + (0.2 if plus else 0.8) * (0.2 if minus else 0.8)
    for expected, share in shares.items():
        found = np.isclose(weight, expected, atol=1e-5).sum()
        assert share_of(3000, found, share) and not share_of(3000, found, share / 2)


def test_dead_neurons_never_spike_in_their_share():
    network = feedforward((4, 500, 3), key=KEY)
    chip = DeadNeurons(0.3)(network, key=KEY)
    dead = np.asarray(chip.layers[0].neuron.dead.value) == 1
    assert share_of(500, dead.sum(), 0.3) and not share_of(500, dead.sum(), 0.5)
    assert isinstance(chip.layers[1].neuron, LI)
    xs = 100 * jnp.ones((10, 4))
    spikes, designed = (np.asarray(unroll(n, xs)[0].outputs[0]) for n in (chip, network))
    assert designed[:, dead].any() and not spikes[:, dead].any()
    np.testing.assert_array_equal(spikes[:, ~dead], designed[:, ~dead])
    more = DeadNeurons(0.5)(network, key=KEY).layers[0].neuron.dead.value
    assert (np.asarray(more)[dead] == 1).all()


# --- Kernels ----------------------------------------------------------------------------------------------------------

FROZEN = (Mismatch("tau_mem", LogNormal(0.2)), Mismatch("v_th", Normal(0.1)), StuckDevices(0.1), DeadNeurons(0.2))


@pytest.mark.parametrize("image", [False, True], ids=["dense", "convolution"])
def test_the_kernels_run_what_is_frozen(image):
    """And give what the plain scan does, and its gradient; what draws in each step they leave to it."""
    network = feedforward((9, 12, 3), recurrent=not image, neuron=LIF(v_th=0.2), key=KEY)
    if image:
        first = Layer(Conv2d((1, 3, 3), 3, 2, key=KEY), LIF(v_th=0.2))
        network = Network((first, network.layers[1]))
    chip = eqx.filter_jit(deploy)(network, Chip("frozen", effects=FROZEN), key=KEY)
    assert why_not_compiled(chip.layers) is None
    xs = (jax.random.uniform(jax.random.key(1), (20, 9)) < 0.5).astype(jnp.float32)

    def run():
        def activity(chip):
            outputs = unroll(chip, xs)[0].outputs
            return outputs[1].mean(), outputs

        return eqx.filter_jit(eqx.filter_grad(activity, has_aux=True))(chip)

    slope, outputs = run()
    with kernels.plain():
        plain_slope, plain = run()
    assert outputs[0].any()
    for one, other in zip(jax.tree.leaves((slope, outputs)), jax.tree.leaves((plain_slope, plain)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    noisy = NoisyReads(Polynomial.pcm())(network, key=KEY)
    assert "Read synapses" in str(why_not_compiled(noisy.layers))


# --- What is none -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SynapticMismatch(-0.1), "SynapticMismatch: cv is -0.1; give a finite number, 0 or more"),
        (lambda: SynapticMismatch(0.1, 1.5), "unit_share is 1.5; give a number from 0 to 1"),
        (lambda: SynapticMismatch(0.1, 0.7, 0.7), "unit_share . input_share is 1.4"),
        (lambda: Drift(10.0), "Drift: time is 10.0; give at least t0 = 20.0 s"),
        (lambda: Drift(float("inf")), "Drift: time is inf"),
        (lambda: Drift(float("nan")), "Drift: time is nan"),
        (lambda: Drift(100.0, nu=-0.1), "Drift: nu is -0.1"),
        (lambda: Drift(100.0, t0=0.0), "Drift: t0 is 0.0"),
        (lambda: StuckDevices(1.2), "StuckDevices: probability is 1.2; give a probability, from 0 to 1"),
        (lambda: StuckDevices(0.1, 30e-6), "StuckDevices: at is 3e-05; give a conductance from 0 to g_max"),
        (lambda: DeadNeurons(-0.1), "DeadNeurons: probability is -0.1"),
        (lambda: Polynomial((), 1.0), "Polynomial: coefficients is empty"),
        (lambda: Polynomial((float("nan"),), 1.0), r"Polynomial: coefficients\[0\] is nan"),
        (lambda: Polynomial((1.0,), 0.0), "Polynomial: reference is 0.0"),
        (lambda: PcmRead(time=1e-9), "PcmRead: time is 1e-09; give at least read_time"),
        (lambda: DifferentialPair(g_max=1e-6, g_min=2e-6), "g_min is 2e-06 S, not below g_max"),
        (lambda: DifferentialPair(w_max=-1.0), "DifferentialPair: w_max is -1.0"),
        (lambda: Flicker(0.1, 0.1), "Flicker: fastest is 0.1 s, not below slowest"),
        (lambda: Flicker(bands=1), "Flicker: bands is 1; give at least 2"),
        (lambda: DeadNeurons(0.1)(dense(jnp.ones((2, 2))), key=KEY), "no neuron of the network spikes"),
    ],
)
def test_what_is_none_is_refused_by_name(make, said):
    with pytest.raises(SnnlearnError, match=said):
        make()
