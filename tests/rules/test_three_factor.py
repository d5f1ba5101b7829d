"""Three-factor rules against the equations of their papers, and against derivatives of the network they stand for."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError
from snnlearn.losses import AlphaVanRossum, CrossEntropy, RateBand, StepwiseCrossEntropy, VanRossum
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import (
    ALIF,
    LI,
    LIF,
    CubaLIF,
    Delayed,
    FastSigmoid,
    Filtered,
    NextStep,
    Refractory,
    SilentRefractory,
    Subtract,
    ToValue,
    Triangle,
    UnitGain,
)
from snnlearn.rules import (
    BPTT,
    OTTT,
    EProp,
    RandomFeedback,
    StoredFeedback,
    SuperSpike,
    Symmetric,
    UniformFeedback,
    eligibility_traces,
    with_feedback,
)

pytestmark = pytest.mark.usefixtures("x64")

B, N_IN, N, N_OUT = 2, 3, 5, 2
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
TARGETS = jnp.array([0, 1])
TRIANGLE = Triangle(0.5, 0.6)


def inputs(num_steps, seed=1):
    return 8 * jax.random.normal(jax.random.key(seed), (B, num_steps, N_IN))


def recurrent(neuron, use_bias=True):
    sizes, readout = (N_IN, N, N_OUT), LI(12e-3)
    return feedforward(sizes, neuron=neuron, readout=readout, recurrent=True, use_bias=use_bias, key=KEY)


def run(rule, network, loss, xs, targets=TARGETS):
    return eqx.filter_jit(rule)(network, loss, xs, targets, key=KEY)


def assert_same(found, expected, rtol=1e-10):
    """Each array to `rtol` of its largest element; none of them is 0 throughout."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def differ(found, expected):
    """By how much the gradients of the first layer's weights differ, relative to the second."""
    a, b = (gradient.layers[0].synapses.weight for gradient in (found, expected))
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


# --- e-prop is the derivative of the network whose units do not feel each other's spikes (Bellec et al. 2020, eq. 4)


def stopped(network, xs):
    """The layers' outputs; no derivative passes the recurrent synapses (the reset blocks it by itself)."""

    def step(states, x):
        still = tuple(state._replace(lines=jax.lax.stop_gradient(state.lines)) for state in states)
        outputs, after = network.run_step(x, still)
        return after, tuple(outputs)

    return jax.lax.scan(step, network.initial_state(), xs)[1]


@eqx.filter_jit
@partial(eqx.filter_value_and_grad, has_aux=True)
def stop_gradient_form(network, loss, xs, targets):
    """The mean loss and the hidden layer's spikes; the derivative."""
    outputs = jax.vmap(lambda x: stopped(network, x))(xs)
    return jnp.mean(jax.vmap(loss)(outputs, targets)), outputs[0]


def adaptive(**others):
    return ALIF(tau_mem=9e-3, tau_adapt=40e-3, beta=0.3, v_th=0.6, surrogate=TRIANGLE, **others)


# Functions, since arrays are to be made in double precision.
NEURONS = {
    "LIF": lambda: LIF(tau_mem=9e-3, v_th=0.6, reset=NextStep(), refractory=SilentRefractory(3e-3)),
    "LIF, to value": lambda: LIF(tau_mem=9e-3, v_th=0.6, v_leak=0.1, reset=ToValue(-0.2), refractory=Refractory(2e-3)),
    "ALIF": lambda: adaptive(reset=NextStep(), refractory=SilentRefractory(3e-3), discretisation=UnitGain()),
    "ALIF, trained": lambda: ALIF(
        np.full(N, 9e-3), np.full(1, 40e-3), np.full(N, 0.3), np.full(N, 0.6), v_leak=np.full(N, 0.1)
    ),
    "CubaLIF": lambda: CubaLIF(tau_mem=9e-3, tau_syn=4e-3, v_th=0.6, resistance=0.3),
    "behind filter and delay": lambda: Delayed(Filtered(adaptive(resistance=0.3), tau_syn=4e-3)),
}
BANDS = 1e-4 * RateBand(20.0, 20.0)


# Of blocks of 128 steps one and a part, one, and only a part.
STEPS = {"LIF": 9, "LIF, to value": 128, "CubaLIF": 140, "ALIF": 140}


@pytest.mark.parametrize("name", NEURONS)
def test_eprop_is_its_stop_gradient_form(name):
    network, xs, loss = recurrent(NEURONS[name]()), inputs(STEPS.get(name, 52)), StepwiseCrossEntropy() + BANDS
    value, gradient = run(EProp(), network, loss, xs)
    (expected, spikes), derivative = stop_gradient_form(network, loss, xs, TARGETS)
    assert 0.05 < spikes.mean() < 0.8 and (spikes.mean(axis=(0, 1)) > 0).all()
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    assert_same(gradient, derivative)


def test_eprop_leaves_out_what_units_do_to_each_other():
    network, xs, loss = recurrent(NEURONS["LIF"]()), inputs(52), StepwiseCrossEntropy()
    assert differ(run(EProp(), network, loss, xs)[1], run(BPTT(), network, loss, xs)[1]) > 0.02


# --- The factorisation is exact with the total derivative of the loss by each spike (eq. 3)


@pytest.mark.parametrize(
    ("kind", "reset"),
    [(LIF, NextStep()), (ALIF, NextStep(Subtract(False))), (LIF, ToValue())],
    ids=["LIF, blocked", "ALIF, flows", "LIF, to value"],
)
def test_eligibility_and_the_total_derivative_are_bptt(kind, reset):
    strength = {"beta": 0.3, "tau_adapt": 40e-3} if kind is ALIF else {}
    network = feedforward(
        (N_IN, N, N_OUT),
        neuron=kind(tau_mem=9e-3, v_th=0.6, surrogate=TRIANGLE, reset=reset, **strength),
        recurrent=True,
        key=KEY,
    )
    xs, target, hidden = inputs(40)[0], TARGETS[0], network.layers[0]

    @jax.jit
    @jax.grad
    def total_derivative(push):
        """By each spike as the other units and the readout see it."""

        def step(states, now):
            x, push = now

            def fire(number, current, state):
                output, after = network.layers[number].neuron(current, state)
                return output + push if number == 0 else output, after

            outputs, after = network.run_step(x, states, fire)
            return after, outputs[-1]

        ys = jax.lax.scan(step, network.initial_state(), (xs, push))[1]
        return StepwiseCrossEntropy()((ys,), target)

    spikes, of_inputs, of_recurrent = jax.jit(lambda xs: eligibility_traces(hidden, xs))(xs)
    assert 0.05 < spikes.mean() < 0.8
    signal = total_derivative(jnp.zeros((40, N)))
    _, gradient = run(BPTT(), network, StepwiseCrossEntropy(), xs[None], target[None])
    assert_same(jnp.einsum("to,toi->oi", signal, of_inputs), gradient.layers[0].synapses.weight)
    assert_same(jnp.einsum("to,toi->oi", signal, of_recurrent), gradient.layers[0].recurrent.weight)


# --- The traces are those of the paper's closed forms


@pytest.mark.parametrize("beta", [0.0, 0.3], ids=["LIF", "ALIF"])
def test_traces_are_the_closed_forms(beta):
    """Bellec et al. 2020, eqs. 22–25: v = αv + Wx + Rz − θz, a = ρa + z, spike above θ + βa."""
    alpha, rho, theta, gamma, num_steps = np.exp(-1 / 9), np.exp(-1 / 40), 0.6, 0.3, 60
    common = {
        "tau_mem": 9e-3,
        "v_th": theta,
        "discretisation": UnitGain(),
        "reset": NextStep(),
        "refractory": SilentRefractory(3e-3),
        "surrogate": Triangle(gamma / theta, theta),
    }
    neuron = ALIF(beta=beta, tau_adapt=40e-3, **common) if beta else LIF(**common)
    layer = recurrent(neuron).layers[0]
    xs = np.asarray(inputs(num_steps)[0]) / 10
    w, r = np.asarray(layer.synapses.weight), np.asarray(layer.recurrent.weight)

    v, a, z, wait, x_bar, z_bar = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N_IN), np.zeros(N)
    eps_x, eps_z, expected = np.zeros((N, N_IN)), np.zeros((N, N)), []
    for x in xs:
        v = alpha * v + w @ x + r @ z - theta * z
        x_bar, z_bar = alpha * x_bar + x, alpha * z_bar + z
        u = v - theta - beta * a
        psi = np.where(wait > 0, 0, gamma / theta * np.maximum(0, 1 - np.abs(u) / theta))[:, None]
        z = np.where(wait > 0, 0, u > 0)
        wait = np.where(z > 0, 2, np.maximum(wait - 1, 0))
        e_x, e_z = psi * (x_bar - beta * eps_x), psi * (z_bar - beta * eps_z)
        eps_x, eps_z, a = rho * eps_x + e_x, rho * eps_z + e_z, rho * a + z
        expected.append((z, e_x, e_z))

    found = jax.jit(lambda xs: eligibility_traces(layer, xs))(jnp.asarray(xs))
    spikes, of_inputs, of_recurrent = (np.stack(each) for each in zip(*expected, strict=True))
    assert 0.05 < spikes.mean() < 0.5
    np.testing.assert_array_equal(found[0], spikes)
    assert_same(found[1:], (of_inputs, of_recurrent), rtol=1e-12)


def test_factored_traces_are_the_general_ones():
    """Time constants of each unit's own forbid the factored form."""
    loss, xs = StepwiseCrossEntropy() + BANDS, inputs(52)
    neuron, own = partial(CubaLIF, tau_syn=4e-3, v_th=0.6, refractory=SilentRefractory(2e-3)), np.full(N, 9e-3)
    assert neuron(9e-3).linear_through_spikes and not neuron(own).linear_through_spikes
    value, factored = run(EProp(), recurrent(neuron(9e-3)), loss, xs)
    other, general = run(EProp(), recurrent(neuron(own)), loss, xs)
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    for pick in (lambda layer: layer.synapses, lambda layer: layer.recurrent):
        assert_same(pick(factored.layers[0]), pick(general.layers[0]))
    assert_same(factored.layers[1], general.layers[1])


# --- How errors reach hidden units


def by_hand(network, xs, target, feedback, readout_decay):
    """Σ_t L^t ē^t for the weights of a hidden layer and of the readout, cross entropy in each step."""
    hidden, readout = network.layers
    spikes, of_inputs, of_recurrent = map(np.asarray, eqx.filter_jit(eligibility_traces)(hidden, xs))
    w_out, kappa = np.asarray(readout.synapses.weight), readout_decay
    y, z_bar, e_bar = np.zeros(N_OUT), np.zeros(N), [np.zeros((N, N_IN)), np.zeros((N, N))]
    gradients = [np.zeros_like(e) for e in e_bar] + [np.zeros((N_OUT, N))]
    for z, *e in zip(spikes, of_inputs, of_recurrent, strict=True):
        y = kappa * y + (1 - kappa) * (w_out @ z)
        z_bar, e_bar = kappa * z_bar + z, [kappa * bar + new for bar, new in zip(e_bar, e, strict=True)]
        error = (np.exp(y) / np.exp(y).sum() - np.eye(N_OUT)[target]) / len(spikes) * (1 - kappa)
        for gradient, bar in zip(gradients, e_bar, strict=False):
            gradient += (feedback @ error)[:, None] * bar
        gradients[2] += np.outer(error, z_bar)
    return gradients


B_GIVEN = RNG.normal(size=(N, N_OUT))


@pytest.mark.parametrize(
    "feedback",
    [Symmetric(), RandomFeedback(KEY, 0.5), UniformFeedback(), StoredFeedback(), StoredFeedback(learns=True)],
    ids=["symmetric", "random", "uniform", "stored", "learning"],
)
def test_learning_signals_are_feedback_times_the_error(feedback):
    network, xs = recurrent(NEURONS["LIF"](), use_bias=False), inputs(30)
    network = eqx.tree_at(lambda n: n.layers[0].feedback, network, jnp.asarray(B_GIVEN), is_leaf=lambda x: x is None)
    ones = jnp.ones(N), jnp.ones(N_OUT)
    weights = np.stack([feedback(network, error, ones)[0] for error in jnp.eye(N_OUT)], axis=1)
    match feedback:
        case Symmetric():
            np.testing.assert_array_equal(weights, network.layers[1].synapses.weight.T)
        case UniformFeedback():
            np.testing.assert_array_equal(weights, 1.0)
        case StoredFeedback():
            np.testing.assert_array_equal(weights, B_GIVEN)
    _, found = run(EProp(feedback), network, StepwiseCrossEntropy(), xs[:1], TARGETS[:1])
    expected = by_hand(network, xs[0], 0, weights, np.exp(-1 / 12))
    hidden, readout = found.layers
    arrays = [hidden.synapses.weight, hidden.recurrent.weight, readout.synapses.weight]
    if isinstance(feedback, UniformFeedback):  # the errors of a softmax sum to 0, so that hidden units hear nothing
        np.testing.assert_allclose(np.concatenate(arrays[:2], axis=1), 0.0, atol=1e-15)
        del arrays[:2], expected[:2]
    assert_same(arrays, expected)
    learnt = readout.synapses.weight.T if isinstance(feedback, StoredFeedback) and feedback.learns else 0.0
    np.testing.assert_array_equal(hidden.feedback, np.broadcast_to(learnt, (N, N_OUT)))


def test_random_feedback_is_fixed_of_any_shape_and_of_its_scale():
    network = feedforward((3, 400, 30, 20), key=KEY)
    feedback, responses = RandomFeedback(KEY, 0.3), (jnp.ones(400), jnp.ones(30), jnp.ones(20))
    columns = [eqx.filter_jit(feedback)(network, error, responses) for error in jnp.eye(20)]
    first, second = (np.stack(each, axis=1) for each in zip(*columns, strict=True))
    assert first.shape == (400, 20) and second.shape == (30, 20)
    assert abs(first.mean()) < 0.3 * 4 / np.sqrt(8000)
    assert abs(first.std() / 0.3 - 1) < 4 / np.sqrt(2 * 8000)
    assert np.abs(np.corrcoef(first[:30].ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(600)


def test_learning_feedback_aligns_with_the_readout():
    """Kolen & Pollack 1994: equal updates and equal decay leave of B − Wᵀ only (1 − ηλ) in each step."""
    network = with_feedback(recurrent(NEURONS["LIF"](), use_bias=False), key=KEY)
    optimizer, batch = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.2)), (inputs(20), TARGETS)

    @eqx.filter_jit
    def update(network):
        _, gradient = EProp(StoredFeedback(learns=True))(network, StepwiseCrossEntropy(), *batch, key=KEY)
        changes, _ = optimizer.update(gradient, optimizer.init(network), network)
        return eqx.apply_updates(network, changes)

    def difference(network):
        return np.asarray(network.layers[0].feedback - network.layers[1].synapses.weight.T)

    after = network
    for _ in range(20):
        after = update(after)
    np.testing.assert_allclose(difference(after), 0.9**20 * difference(network), rtol=1e-10)


# --- OTTT: each step's own path, and presynaptic traces (Xiao et al. 2022, eqs. 9–11)


@eqx.filter_jit
@eqx.filter_grad
def instantaneous(network, loss, xs, target):
    """Each layer's currents as they are, but with a derivative by its weights through the presynaptic traces and by its
    input through this step's alone; LIF with reset by subtraction, or LI."""
    stop = jax.lax.stop_gradient
    moments = loss.moments(target, len(xs))

    def step(carry, now):
        (traces, membranes), (x, moment) = carry, now
        after = [], []
        for layer, trace, v in zip(network.layers, traces, membranes, strict=True):
            neuron = layer.neuron
            alpha = jnp.exp(-1e-3 / neuron.tau_mem)
            frozen = stop(layer.synapses)
            trace = alpha * trace + (1 - alpha) * stop(x)
            v = alpha * v + (1 - alpha) * stop(frozen(x))
            u = v + layer.synapses(trace) - stop(layer.synapses(trace)) + (1 - alpha) * (frozen(x) - stop(frozen(x)))
            x = u if isinstance(neuron, LI) else neuron.surrogate(u - neuron.v_th)
            after[0].append(trace)
            after[1].append(v if isinstance(neuron, LI) else v - neuron.v_th * stop(x))
        return after, loss.at_step(x, moment)

    rest = (
        [jnp.zeros(layer.synapses.in_shape) for layer in network.layers],
        [jnp.zeros(layer.shape) for layer in network.layers],
    )
    return jnp.sum(jax.lax.scan(step, rest, (xs, moments))[1])


def convolutional():
    first, second = jax.random.split(KEY)
    return Network(
        (
            Layer(Conv2d((1, 5, 5), 2, 2, key=first), LIF(v_th=0.3)),
            Layer(Chain(AveragePool2d((2, 4, 4), 2), Dense(8, N_OUT, key=second)), LI(9e-3)),
        )
    )


@pytest.mark.parametrize("kind", ["two hidden", "spiking readout", "convolutional"])
def test_ottt_follows_each_steps_own_path(kind):
    neuron, xs = LIF(tau_mem=9e-3, v_th=0.4), inputs(30)
    match kind:
        case "convolutional":
            network, xs = convolutional(), 6 * jax.random.normal(KEY, (B, 30, 1, 5, 5))
        case "spiking readout":
            network = feedforward((N_IN, N, N_OUT), neuron=neuron, readout=LIF(v_th=0.05), key=KEY)
        case _:
            network = feedforward((N_IN, 8, 7, N_OUT), neuron=neuron, readout=LI(12e-3), key=KEY)
    network = eqx.tree_at(
        lambda n: n.layers[1].synapses, network, jax.tree.map(lambda w: 2 * w, network.layers[1].synapses)
    )
    outputs = jax.jit(jax.vmap(lambda xs: unroll(network, xs)[0].outputs))(xs)
    assert all(0.02 < float(jnp.mean(spikes)) < 0.9 for spikes in outputs[:-1])
    _, gradient = run(OTTT(), network, StepwiseCrossEntropy(), xs)
    each = [instantaneous(network, StepwiseCrossEntropy(), x, target) for x, target in zip(xs, TARGETS, strict=True)]
    assert_same(gradient, jax.tree.map(lambda a, b: (a + b) / 2, *each))
    # The negative control: the paths through other times, which OTTT leaves out.
    assert differ(gradient, run(BPTT(), network, StepwiseCrossEntropy(), xs)[1]) > 0.05


# --- SuperSpike: the rule of Zenke & Ganguli 2018, in the form of their simulation


@pytest.mark.parametrize("feedback", [Symmetric(), RandomFeedback(KEY)], ids=lambda f: type(f).__name__)
def test_superspike_is_its_rule(feedback):
    dt, tau_mem, tau_syn, v_th, slope, num_steps = 0.5e-3, 10e-3, 5e-3, 0.5, 4.0, 120
    neuron = CubaLIF(tau_mem, tau_syn, v_th, reset=ToValue(), surrogate=FastSigmoid(slope), dt=dt)
    network = feedforward((N_IN, N, N_OUT), neuron=neuron, readout=neuron, key=KEY)
    network = jax.tree.map(lambda leaf: 2.5 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    xs = np.asarray(RNG.random((num_steps, N_IN)) < 0.1, float)
    target = np.asarray(RNG.random((num_steps, N_OUT)) < 0.05, float)
    loss = AlphaVanRossum(5e-3, 10e-3, dt=dt)
    weights = [np.asarray(layer.synapses.weight) for layer in network.layers]
    through = [np.asarray(feedback(network, e, (jnp.ones(N), jnp.ones(N_OUT)))[0]) for e in jnp.eye(N_OUT)]
    if isinstance(feedback, Symmetric):
        np.testing.assert_array_equal(np.stack(through), weights[1])

    # ẽ ← r ẽ + (S − Ŝ), e ← d e + (1 − d) ẽ, normalised to unit area; the same filter for the eligibility.
    a_syn, a_mem, r, d = (np.exp(-dt / tau) for tau in (tau_syn, tau_mem, 5e-3, 10e-3))
    sizes = [(N, N_IN), (N_OUT, N)]
    x, psp = [np.zeros(k) for _, k in sizes], [np.zeros(k) for _, k in sizes]
    i, v = [np.zeros(n) for n, _ in sizes], [np.zeros(n) for n, _ in sizes]
    rise, trace = [np.zeros(s) for s in sizes], [np.zeros(s) for s in sizes]
    error_rise, error, value, fired = np.zeros(N_OUT), np.zeros(N_OUT), 0.0, []
    expected = [np.zeros(s) for s in sizes]
    for spikes, wanted in zip(xs, target, strict=True):
        for k in range(2):
            x[k] = a_syn * x[k] + spikes
            psp[k] = a_mem * psp[k] + (1 - a_mem) * x[k]
            i[k] = a_syn * i[k] + weights[k] @ spikes
            v[k] = a_mem * v[k] + (1 - a_mem) * i[k]
            sigma = 1 / (1 + slope * np.abs(v[k] - v_th)) ** 2
            rise[k] = r * rise[k] + np.outer(sigma, psp[k])
            trace[k] = d * trace[k] + (1 - d) * rise[k]
            spikes = (v[k] > v_th).astype(float)
            v[k] = (1 - spikes) * v[k]
            fired.append(spikes.sum())
        error_rise = r * error_rise + spikes - wanted
        error = d * error + (1 - d) * error_rise
        scale = (1 - r) / dt  # unit area: the sum over steps of e for one spike is 1 / (1 − r)
        value += 0.5 * dt * np.sum((scale * error) ** 2)
        for k, signal in enumerate([np.stack(through, axis=1) @ error, error]):
            expected[k] += dt * scale**2 * signal[:, None] * trace[k]

    assert min(sum(fired[0::2]), sum(fired[1::2])) > 0
    found, gradient = run(SuperSpike(feedback), network, loss, jnp.asarray(xs)[None], jnp.asarray(target)[None])
    assert float(found) == pytest.approx(value, rel=1e-10)
    assert_same([layer.synapses.weight for layer in gradient.layers], expected)


@pytest.mark.parametrize(("shift", "expected"), [(None, 16.666667), (5e-3, 5.160604), (20e-3, 24.921503)])
def test_alpha_van_rossum_of_one_spike(shift, expected):
    """Missing, 1/(4(a + b)); displaced by Δ, A(0) − A(Δ), A the kernel's autocorrelation; as dt → 0."""
    dt = 0.02e-3
    spikes = jnp.zeros((int(0.2 / dt), 1)).at[1000].set(1.0)
    other = jnp.zeros_like(spikes) if shift is None else jnp.roll(spikes, round(shift / dt))
    assert float(AlphaVanRossum(dt=dt)((spikes,), other)) == pytest.approx(expected, rel=1e-5)


# --- What they refuse, and what they send to


def spiking(neuron, readout=None):
    return feedforward((N_IN, N, N_OUT), neuron=neuron, readout=neuron if readout is None else readout, key=KEY)


@pytest.mark.parametrize(
    ("rule", "network", "loss", "sentence"),
    [
        (EProp(), lambda: spiking(LIF()), StepwiseCrossEntropy(), "the readout is LIF; use OTTT or SuperSpike"),
        (EProp(), lambda: recurrent(LIF()), AlphaVanRossum(), "use SuperSpike"),
        (EProp(), lambda: recurrent(LIF()), CrossEntropy(), "CrossEntropy is not, and BPTT trains any"),
        (EProp(), convolutional, StepwiseCrossEntropy(), "Conv2d; use OTTT"),
        (
            EProp(StoredFeedback(learns=True)),
            lambda: feedforward((N_IN, N, N, N_OUT), key=KEY),
            StepwiseCrossEntropy(),
            "one hidden layer; the network has 2; use RandomFeedback",
        ),
        (OTTT(), lambda: recurrent(ALIF()), StepwiseCrossEntropy(), "layer 1 is a ALIF of another kind; use EProp"),
        (OTTT(), lambda: recurrent(LIF(reset=ToValue())), StepwiseCrossEntropy(), "layer 1 is a LIF .* use EProp"),
        (OTTT(), lambda: spiking(LIF()), VanRossum(), "VanRossum is one of filtered spikes; use SuperSpike"),
        (SuperSpike(), lambda: spiking(ALIF()), VanRossum(), "layer 1 is ALIF; use EProp or BPTT"),
        (SuperSpike(), lambda: recurrent(LIF()), VanRossum(), "layer 2 is LI; use EProp or BPTT"),
        (SuperSpike(), lambda: spiking(LIF()), StepwiseCrossEntropy(), "use OTTT, EProp or BPTT"),
    ],
)
def test_they_refuse_and_name_the_rule_that_serves(rule, network, loss, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        rule.start(network(), loss, 1, key=KEY)


def test_stored_feedback_has_to_be_stored():
    with pytest.raises(SnnlearnError, match="layer 1 carries no feedback weights; make them by with_feedback"):
        run(EProp(StoredFeedback()), recurrent(LIF()), StepwiseCrossEntropy(), inputs(5))
