"""Rules on networks that are no chains: random graphs with skips, branches, delays, feedback and several sensors."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.coding import FirstSpike, pack_spikes
from snnlearn.losses import AlphaVanRossum, CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import INPUT, Chain, Connection, Dense, Layer, Network, Part, unroll
from snnlearn.neurons import ALIF, LI, LIF, AbstractNeuron, CubaLIF, EscapeNoise, LIState, Sigmoid
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    EProp,
    EventProp,
    EvolutionStrategy,
    ForwardGradient,
    NodePerturbation,
    RandomFeedback,
    SuperSpike,
    TruncatedBPTT,
    UniformFeedback,
    WeightPerturbation,
    XieSeung,
)
from snnlearn.rules.conformance import check_rule
from snnlearn.rules.local import linearise

B, T, INPUTS, UNITS, CLASSES = 2, 12, 5, 4, 3
KEYS = jax.random.split(jax.random.key(5), 4)
INPUT_SPIKES = 3 * jax.random.bernoulli(KEYS[0], 0.5, (B, T, INPUTS)).astype(float)
LABELS = jnp.array([0, 2])
NEURONS = [
    LIF(tau_mem=6e-3, v_th=0.3),
    CubaLIF(tau_mem=8e-3, tau_syn=3e-3, v_th=0.5),
    ALIF(tau_mem=7e-3, tau_adapt=20e-3, beta=0.2, v_th=0.3),
]


class TwoPort(AbstractNeuron):
    """A leaky integrator of its current, which another current multiplies; somebody else's, with two ports."""

    dt: float = 1e-3

    @property
    def ports(self):
        return ("drive", "gain")

    def initial_state(self, shape):
        return LIState(jnp.zeros(shape))

    def __call__(self, current, state):
        v = 0.8 * state.v + current["drive"] * (1 + 0.3 * current["gain"])
        return v, LIState(v)

    def free(self):
        return self


def dense(in_size, out_size, key, gain=2.0):
    return jax.tree.map(lambda w: gain * w, Dense(in_size, out_size, use_bias=True, key=key))


def random_graph(seed):
    """Three hidden layers and a readout: each reached by the one before and, by chance, by any other, now or later."""
    rng, keys = np.random.default_rng(seed), iter(jax.random.split(jax.random.key(seed), 40))
    names = ["a", "b", "c"]
    layers = []
    for number, name in enumerate(names):
        size = INPUTS if number == 0 else UNITS
        reached = [Connection(dense(size, UNITS, next(keys)), delay=int(rng.integers(0, 2)))]
        if number and rng.random() < 0.6:  # a skip
            reached.append(Connection(dense(INPUTS, UNITS, next(keys)), INPUT, delay=int(rng.integers(0, 3))))
        if number == 2 and rng.random() < 0.6:  # a branch
            reached.append(Connection(dense(UNITS, UNITS, next(keys)), "a"))
        for other in names[number:]:  # from itself, or back from later ones
            if rng.random() < 0.5:
                loop = dense(UNITS, UNITS, next(keys), gain=1.0)
                reached.append(Connection(loop, other, delay=int(rng.integers(0, 3))))
        layers.append(Layer(reached, NEURONS[rng.integers(len(NEURONS))], name=name))
    readout = [dense(UNITS, CLASSES, next(keys))]
    if rng.random() < 0.5:
        readout.append(Connection(dense(UNITS, CLASSES, next(keys)), "a"))
    return Network((*layers, Layer(readout, LI(tau_mem=5e-3))))


# Between them they have each kind of connection that there is, and each neuron.
GRAPHS = {f"random {seed}": random_graph(seed) for seed in (1, 2)}


def branching(*, crossed, delay=0):
    """Two hidden layers beside each other on two sensors, and the input itself, into one readout."""
    keys = iter(jax.random.split(KEYS[1], 9))
    left = Layer(Chain(Part(INPUTS, 0, 3), dense(3, UNITS, next(keys))), NEURONS[0], name="left")
    ways = [Connection(Chain(Part(INPUTS, 2, INPUTS), dense(3, UNITS, next(keys))), INPUT, delay=1)]
    crossing = [Connection(dense(UNITS, UNITS, next(keys)), "left")] if crossed else []
    right = Layer(ways + crossing, NEURONS[2], name="right")
    readout = [
        Connection(dense(UNITS, CLASSES, next(keys)), "left", delay=delay),
        Connection(dense(UNITS, CLASSES, next(keys)), "right"),
        Connection(dense(INPUTS, CLASSES, next(keys)), INPUT),
    ]
    return Network((left, right, Layer(readout, LI(tau_mem=5e-3))))


def two_ports():
    keys = jax.random.split(KEYS[2], 3)
    first = Layer(dense(INPUTS, UNITS, keys[0]), NEURONS[0], name="hidden")
    ports = [
        Connection(dense(UNITS, CLASSES, keys[1]), port="drive"),
        Connection(dense(INPUTS, CLASSES, keys[2]), INPUT, "gain"),
    ]
    return Network((first, Layer(ports, TwoPort())))


GRAPHS |= {"branching": branching(crossed=False), "two ports": two_ports()}


def in_doubles(tree):
    """In double precision, to be called where this is enabled."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float) if eqx.is_inexact_array(leaf) else leaf, tree)


def gradient(rule, network):
    xs = in_doubles(INPUT_SPIKES)
    _, found = eqx.filter_jit(rule)(network, StepwiseCrossEntropy(), xs, LABELS, key=KEYS[3])
    return jax.tree.leaves(found)


def distance(found, expected):
    found, expected = (np.concatenate([np.ravel(leaf) for leaf in each[1:]]) for each in (found, expected))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def run_by_hand(network, xs, weights_of):
    """What each layer gives, by plain NumPy: connection by connection, from the history of what was sent."""
    names = {layer.name: number for number, layer in enumerate(network.layers)}
    sent = [[] for _ in network.layers]
    states = [layer.neuron.initial_state(layer.shape) for layer in network.layers]
    for t in range(len(xs)):
        for number, layer in enumerate(network.layers):
            total = {}
            for connection in layer.connections:
                source = {"input": -1, "before": number - 1, "itself": number}.get(
                    connection.source, names.get(connection.source)
                )
                when = t - connection.delay - (source >= number)
                at = xs if source < 0 else sent[source]
                if when < 0:
                    x = np.zeros(connection.synapses.in_shape)
                else:
                    x = np.asarray(at[when])
                total[connection.port] = total.get(connection.port, 0) + weights_of(connection.synapses, x)
            current = total["current"] if set(total) == {"current"} else total
            output, states[number] = layer.neuron(jax.tree.map(jnp.asarray, current), states[number])
            sent[number].append(np.asarray(output))
    return [np.stack(each) for each in sent]


def by_weights(synapses, x):
    if isinstance(synapses, Chain):
        part, last = synapses.stages
        return by_weights(last, x[part.start : part.start + part.out_shape[0]])
    return np.asarray(synapses.weight) @ x + np.asarray(synapses.bias)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_does_what_its_connections_say(name):
    with jax.enable_x64(True):
        network = in_doubles(GRAPHS[name])
        xs = np.asarray(INPUT_SPIKES[0], float)
        expected = run_by_hand(network, xs, by_weights)
        outputs = eqx.filter_jit(unroll)(network, jnp.asarray(xs))[0].outputs
    assert all(output.any() for output in expected)
    for output, by_hand in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, by_hand, atol=1e-9)


@pytest.mark.parametrize("name", ["random 2", "two ports"])
def test_rtrl_and_unbroken_truncation_are_bptt(name):
    with jax.enable_x64(True):
        network = in_doubles(GRAPHS[name])
        expected = gradient(BPTT(), network)
        assert distance(gradient(RTRL(), network), expected) < 1e-10
        assert distance(gradient(TruncatedBPTT(T), network), expected) < 1e-10
        assert distance(gradient(TruncatedBPTT(3), network), expected) > 1e-3


def test_eprop_is_bptt_where_no_spike_reaches_another_units_and_differs_where_one_does():
    with jax.enable_x64(True):
        for crossed in (False, True):
            network = in_doubles(branching(crossed=crossed))
            error = distance(gradient(EProp(), network), gradient(BPTT(), network))
            assert error > 1e-4 if crossed else error < 1e-10


@pytest.mark.parametrize("name", ["random 2", "branching"])
def test_true_learning_signals_times_eligibility_are_bptt(name):
    """The factorisation of Bellec et al. 2020, eq. 1, on a graph: dE/dz in full, each trace along its own unit."""
    with jax.enable_x64(True):
        network = in_doubles(GRAPHS[name])
        xs, label, loss = in_doubles(INPUT_SPIKES[0]), LABELS[0], StepwiseCrossEntropy()

        def run(disturbance):
            def step(states, now):
                x, added = now
                local, arriving = [], []

                def fire(number, current, state):
                    output, after, derivatives = linearise(network.layers[number].neuron, current, state)
                    local.append(derivatives)
                    return output + added[number], after

                outputs, after = network.run_step(x, states, fire)
                for number, layer in enumerate(network.layers):
                    sources = [known.get(c.source, number - 1) for c in layer.connections]
                    arriving.append(
                        [
                            (x if s < 0 else outputs[s]) if line is None else line[0]
                            for s, line in zip(sources, states[number].lines, strict=True)
                        ]
                    )
                return after, (tuple(outputs), local, arriving)

            known = {"input": -1} | {layer.name: n for n, layer in enumerate(network.layers) if layer.name}
            outputs, *found = jax.lax.scan(step, network.initial_state(), (xs, disturbance))[1]
            return loss(outputs, label), found

        still = [jnp.zeros((T, *layer.shape)) for layer in network.layers]
        signals, (local, arriving) = jax.jit(jax.grad(run, has_aux=True))(still)
        twice = jnp.stack([xs, xs]), jnp.stack([label, label])  # The program of the other tests.
        _, expected = eqx.filter_jit(BPTT())(network, loss, *twice, key=KEYS[3])
    local, arriving = jax.tree.map(np.asarray, (local, arriving))
    for number, layer in enumerate(network.layers):
        derivatives, signal = local[number], np.asarray(signals[number])
        for n, connection in enumerate(layer.connections):
            pre = np.asarray(arriving[number][n])
            trace = np.zeros((derivatives.state_state.shape[1], *layer.shape, pre.shape[-1]))
            total = np.zeros((*layer.shape, pre.shape[-1]))
            for t in range(T):
                e = np.einsum("qj,qji->ji", derivatives.output_state[t], trace)
                e += derivatives.output_current[t][:, None] * pre[t]
                trace = np.einsum("rqj,qji->rji", derivatives.state_state[t], trace)
                trace += derivatives.state_current[t][..., None] * pre[t]
                total += signal[t][:, None] * e
            part = expected.layers[number].connections[n].synapses
            if isinstance(part, Chain):
                start = connection.synapses.stages[0].start
                total, part = total[:, start : start + connection.synapses.stages[0].out_shape[0]], part.stages[1]
            np.testing.assert_allclose(total, part.weight, atol=1e-10)


# BPTT, RTRL and truncation are compared above. Of any graph the last three see its loss or the derivative of the whole.
RULES = {
    "EProp": EProp(),
    "EProp, random": EProp(RandomFeedback(KEYS[1])),
    "OTTT": OTTT(UniformFeedback()),
    "NodePerturbation": NodePerturbation(2.0, 2),
    "ForwardGradient": ForwardGradient(2),
    "WeightPerturbation": WeightPerturbation(0.5, 2),
    "EvolutionStrategy": EvolutionStrategy(0.5, 3),
}
REFUSES = {
    ("EProp", "two ports"): "EProp filters eligibility as a leaky integrator",
    ("EProp, random", "two ports"): "EProp filters eligibility as a leaky integrator",
    ("OTTT", "two ports"): "use EProp",
}
STOCHASTIC = (ForwardGradient, NodePerturbation, WeightPerturbation, EvolutionStrategy)

TAKEN = [
    ("EProp", "random 2"),
    ("EProp, random", "branching"),
    ("NodePerturbation", "random 2"),
    *((rule, "two ports") for rule in list(RULES)[3:]),
]


@pytest.mark.parametrize(("rule", "name"), [*TAKEN, *REFUSES])
def test_every_rule_takes_a_graph_or_refuses_in_one_sentence(rule, name):
    arguments = GRAPHS[name], StepwiseCrossEntropy(), INPUT_SPIKES, LABELS
    if (rule, name) in TAKEN:
        check_rule(RULES[rule], *arguments, deterministic=not isinstance(RULES[rule], STOCHASTIC), key=KEYS[3])
    else:
        with pytest.raises(SnnlearnError, match=REFUSES[rule, name]) as refusal:
            eqx.filter_eval_shape(RULES[rule], *arguments, key=KEYS[3])
        assert "use " in str(refusal.value) and "\n" not in str(refusal.value)


def spiking(neuron):
    """A graph of one kind of neuron: a skip with delay, and feedback from a later layer."""
    keys = iter(jax.random.split(KEYS[2], 9))
    first = Layer(
        [dense(INPUTS, UNITS, next(keys)), Connection(dense(CLASSES, UNITS, next(keys)), "b")], neuron, name="a"
    )
    last = Layer(
        [dense(UNITS, CLASSES, next(keys)), Connection(dense(INPUTS, CLASSES, next(keys)), INPUT, delay=2)],
        neuron,
        name="b",
    )
    return Network((first, last))


def test_rules_of_spiking_outputs_take_graphs():
    signal = jax.random.bernoulli(KEYS[3], 0.2, (B, T, CLASSES)).astype(float)
    check_rule(SuperSpike(), spiking(NEURONS[1]), AlphaVanRossum(), INPUT_SPIKES, signal, key=KEYS[3])
    check_rule(OTTT(), spiking(NEURONS[0]), StepwiseCrossEntropy(), INPUT_SPIKES, LABELS, key=KEYS[3])
    noisy = spiking(EscapeNoise(LIF(v_th=0.3, surrogate=Sigmoid(5.0))))
    check_rule(XieSeung(), noisy, StepwiseCrossEntropy(), INPUT_SPIKES, LABELS, deterministic=False, key=KEYS[3])
    with pytest.raises(SnnlearnError, match="use the stepped network with BPTT"):
        arguments = spiking(NEURONS[1]), CrossEntropy(FirstSpike()), INPUT_SPIKES, LABELS
        eqx.filter_eval_shape(EventProp(), *arguments, key=KEYS[3])


def test_eprop_refuses_what_reaches_the_readout_later_and_layers_that_no_error_comes_back_to():
    arguments = StepwiseCrossEntropy(), INPUT_SPIKES, LABELS
    with pytest.raises(SnnlearnError, match="no delay, or use TruncatedBPTT or BPTT"):
        eqx.filter_eval_shape(EProp(), branching(crossed=False, delay=1), *arguments, key=KEYS[3])
    keys = jax.random.split(KEYS[1], 4)
    late = Layer([dense(UNITS, UNITS, keys[1])], NEURONS[0], name="late")
    first = Layer(
        [dense(INPUTS, UNITS, keys[0]), Connection(dense(UNITS, UNITS, keys[2]), "late")], NEURONS[0], name="a"
    )
    readout = Layer(Connection(dense(UNITS, CLASSES, keys[3]), "a"), LI())
    with pytest.raises(SnnlearnError, match="no error comes back to it; use RandomFeedback, or BPTT"):
        eqx.filter_eval_shape(EProp(), Network((first, late, readout)), *arguments, key=KEYS[3])
    check_rule(EProp(RandomFeedback(KEYS[0])), Network((first, late, readout)), *arguments, key=KEYS[3])


@pytest.mark.parametrize("rule", [EProp(), OTTT()], ids=lambda rule: type(rule).__name__)
def test_packed_images_reach_each_layer_as_numbers_do(rule):
    """The input goes to several layers, of which one gets a part later; with and without event-driven products."""
    network = branching(crossed=True)
    if isinstance(rule, OTTT):
        network = eqx.tree_at(lambda n: n.layers[1].neuron, network, NEURONS[0])
    images = jax.random.bernoulli(KEYS[0], 0.5, (B, T, INPUTS, 1)).astype(jnp.float32)
    run = eqx.filter_jit(rule)
    dense_value, dense_gradient = run(network, StepwiseCrossEntropy(), images, LABELS, key=KEYS[3])
    value, found = run(network, StepwiseCrossEntropy(), jax.vmap(pack_spikes)(images), LABELS, key=KEYS[3])
    assert float(value) == pytest.approx(float(dense_value), rel=1e-5)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(dense_gradient), strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-5 * float(np.abs(other).max()))
