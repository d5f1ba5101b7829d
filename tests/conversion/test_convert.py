"""Conversion against closed forms, and the complaints that users of other tools have about theirs."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from artificial_networks import residual

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.coding import Current, Rate
from snnlearn.conversion import (
    QCFS,
    Calibration,
    MaximumNormalisation,
    PercentileNormalisation,
    ThresholdBalancing,
    WeightNormBound,
    check_alive,
    compare_layers,
    convert,
)
from snnlearn.conversion.plan import Setting, Settings
from snnlearn.network import Conv2d, Dense, Layer, LayerNorm, Network, OneToOne, feedforward, unroll
from snnlearn.neurons import (
    IF,
    LIF,
    Charged,
    Identity,
    Logistic,
    NoReset,
    QuantisedRectifier,
    Rectifier,
    ToValue,
)

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (24, 4))
METHODS = (
    MaximumNormalisation(),
    PercentileNormalisation(99.0, charge=0.5),
    WeightNormBound(),
    ThresholdBalancing(),
    Calibration(MaximumNormalisation(charge=0.5)),
)


@eqx.filter_jit
def spikes_of(neuron, current, num_steps):
    """Spikes per step of a constant current."""
    state = neuron.initial_state(current.shape)
    _, spikes = jax.lax.scan(lambda state, _: neuron(current, state)[::-1], state, None, length=num_steps)
    return spikes.mean(axis=0)


@eqx.filter_jit
def means(encoder, network, xs):
    return jax.vmap(lambda x: network(encoder(x, key=KEY))[0].mean(axis=0))(xs)


def output(converted, xs=X):
    return means(converted.encoder, converted.network, xs)


@eqx.filter_jit
def artificial(network, xs=X):
    return jax.vmap(lambda x: network(x[None])[0][0])(xs)


# --- the equations


@pytest.mark.usefixtures("x64")
def test_the_identity_of_qcfs_has_no_exception():
    """Bu 2022: in T = L steps of a constant current, the rate from half a threshold is the quantised activation."""
    rng, mismatches, without, cases = np.random.default_rng(0), 0, 0, 0
    for levels in (1, 3, 8, 32):
        ceiling = rng.uniform(0.5, 9.0)
        z = jnp.asarray(rng.uniform(-1.5 * ceiling, 2.5 * ceiling, 25_000))
        expected = QuantisedRectifier(levels, ceiling).activation(z) / ceiling
        network = Network(
            (Layer(OneToOne(z.shape), QuantisedRectifier(levels, ceiling)), Layer(OneToOne(z.shape), Identity()))
        )
        plan = convert(network, QCFS(), encoder=Current(num_steps=levels))
        hidden = plan.network.layers[0]
        rates = spikes_of(hidden.neuron, hidden.synapses(z), levels)
        mismatches += int(jnp.sum(jnp.abs(rates - expected) > 1e-9))
        without += int(jnp.sum(jnp.abs(spikes_of(IF(), hidden.synapses(z), levels) - expected) > 1e-9))
        cases += len(z)
    assert (cases, mismatches) == (100_000, 0)
    assert without > 10_000  # it is the charge


def test_reset_by_subtraction_errs_by_at_most_one_spike_and_reset_to_zero_does_not():
    current = jnp.linspace(0.0, 1.0, 1001)
    worst = {}
    for steps in (10, 100, 1000):
        for reset in (sl.neurons.Subtract(), ToValue()):
            worst[steps, type(reset)] = float(jnp.abs(spikes_of(IF(reset=reset), current, steps) - current).max())
    assert all(worst[steps, sl.neurons.Subtract] <= 1 / steps + 1e-3 / steps for steps in (10, 100, 1000))
    assert worst[1000, ToValue] > 0.4  # a current of just below 1 spikes in every second step


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_no_error_exceeds_its_bound_and_its_parts_add_up(method):
    for seed in range(3):
        network = residual(jax.random.key(seed), contrast=3.0)
        converted = convert(network, method, X, encoder=Current(num_steps=16))
        layers = compare_layers(converted, X)
        assert [layer.name for layer in layers] == ["stem", "sum", "clipped", "layer 4"]
        for layer in layers:
            assert layer.largest <= layer.bound * (1 + 1e-5) + 1e-6
            parts = layer.inherited + layer.clipping + layer.quantisation + layer.unevenness
            assert layer.error <= parts + 1e-5
        assert layers[0].largest > 0.2 * layers[0].bound  # which is not far away


def test_the_first_layers_bound_is_a_spike():
    converted = convert(residual(KEY), MaximumNormalisation(), X, encoder=Current(num_steps=16))
    first = compare_layers(converted, X)[0]
    assert first.bound == pytest.approx(converted.settings.populations[0].scale / 16, rel=1e-5)
    assert first.unevenness == 0 and first.inherited < 1e-5


def test_a_smaller_scale_than_the_activations_clips():
    layers = compare_layers(convert(residual(KEY), PercentileNormalisation(30.0), X, encoder=Current(num_steps=16)), X)
    assert layers[0].cause == "clipping" and layers[0].largest <= layers[0].bound * (1 + 1e-5)


def test_the_error_vanishes_with_steps_unless_the_reset_is_to_zero():
    network = residual(KEY, contrast=3.0)
    size = float(jnp.abs(artificial(network)).max())

    def error(steps, reset):
        converted = convert(network, MaximumNormalisation(), X, encoder=Current(num_steps=steps), reset=reset)
        return float(jnp.abs(output(converted) - artificial(network)).max()) / size

    assert error(1024, sl.neurons.Subtract()) < 0.02 < 0.1 < error(1024, ToValue())
    assert compare_layers(convert(network, MaximumNormalisation(), X, reset=NoReset()), X)[0].bound is None


def test_calibration_takes_away_the_mean_error():
    network, before = residual(KEY), PercentileNormalisation(99.0, charge=0.5)
    means = {}
    for method in (before, Calibration(before)):
        errors = output(convert(network, method, X, encoder=Current(num_steps=6))) - artificial(network)
        means[type(method)] = float(jnp.abs(errors.mean(axis=0)).max())
    assert means[Calibration] < 1e-5 < 0.01 < means[PercentileNormalisation]


def test_a_percentile_that_is_not_given_is_that_of_the_smallest_bound():
    network = residual(KEY)

    def bound(percentile, steps):
        converted = convert(network, PercentileNormalisation(percentile), X, encoder=Current(num_steps=steps))
        found = sl.conversion.error_bound(converted.plan, converted.settings, X, converted.encoder)
        return float(found[-1].either.mean())

    chosen = {s: convert(network, PercentileNormalisation(), X, encoder=Current(num_steps=s)).method for s in (4, 4096)}
    assert chosen[4].percentile < chosen[4096].percentile == 100
    assert bound(chosen[4].percentile, 4) < bound(100.0, 4)


def test_a_code_of_spikes_may_take_the_place_of_the_current():
    network, num_steps = residual(KEY), 4000
    converted = convert(network, MaximumNormalisation(), X, encoder=Rate(num_steps=num_steps, max_rate=500.0))
    assert converted.plan.input_scale == pytest.approx(2.0, rel=0.02)  # half a spike per step for 1
    assert float(jnp.abs(output(converted) - artificial(network)).max()) < 0.1 * float(
        jnp.abs(artificial(network)).max()
    )
    for layer in compare_layers(converted, X):
        assert layer.largest <= layer.bound * (1 + 1e-5)


def test_a_code_of_spikes_tells_inputs_below_0():
    """They are mapped to the code's range, and its offset is a current, of a padded convolution one for each place."""
    key = jax.random.split(KEY)
    conv = Conv2d((1, 4, 4), 2, 3, padding=1, use_bias=True, key=key[0])
    network = Network((Layer(conv, Rectifier()), Layer(Dense(32, 3, key=key[1]), Identity())))
    xs = jax.random.normal(KEY, (12, 1, 4, 4))
    source = sl.Hypothesis(Current(num_steps=1), network, sl.coding.MeanMembrane())
    code = sl.coding.RegularRate(num_steps=512, max_rate=1000.0)
    spiking, converted = sl.conversion.convert_hypothesis(
        source, MaximumNormalisation(charge=0.5), xs, num_steps=512, code=code
    )
    assert converted.plan.input_offset == pytest.approx(float(xs.min()), rel=0.02)
    expected = sl.hypothesis.scores(source, xs)
    np.testing.assert_allclose(sl.hypothesis.scores(spiking, xs), expected, atol=0.03 * np.abs(expected).max())
    for layer in compare_layers(converted, xs):
        assert layer.largest <= layer.bound * (1 + 1e-5)
    clipped = convert(network, MaximumNormalisation(charge=0.5), xs, encoder=code)
    assert compare_layers(clipped, xs)[0].error > 5 * compare_layers(converted, xs)[0].error


# --- complaints about conversion elsewhere, and the right behaviour


def test_residual_additions_are_scaled_together():
    """Of branches of very different scales, too; and the layer that breaks is named (snn_toolbox#115)."""
    network = residual(KEY, contrast=40.0)
    converted = convert(network, MaximumNormalisation(charge=0.5), X, encoder=Current(num_steps=2048))
    assert max(layer.error / layer.size for layer in compare_layers(converted, X)) < 0.05
    # As if the path that is added had the scale of the branch:
    wrong = eqx.tree_at(
        lambda n: n.layers[1].connections[1].synapses.weight,
        converted.network,
        jnp.ones(()),
        is_leaf=lambda x: x is None,
    )
    layers = compare_layers(converted._replace(network=wrong), X)
    assert [layer.breaks for layer in layers][:2] == [False, True]


def test_the_error_of_the_input_code_is_told_apart():
    """snn_toolbox#88: batch normalisation was blamed for what random input did."""
    from snnlearn.conversion.run import coding_error

    few = Rate(num_steps=8, max_rate=1000.0)
    assert coding_error(few, 1.0, X) > 0.1
    assert coding_error(Current(num_steps=8), 1.0, X) == 0


def test_without_data_there_is_a_bound_or_a_sentence():
    """spikingjelly#410."""
    with pytest.raises(SnnlearnError, match=r"MaximumNormalisation .* inputs is None; .* WeightNormBound\(\)"):
        convert(residual(KEY), MaximumNormalisation())
    converted = convert(residual(KEY), WeightNormBound(), encoder=Current(num_steps=2048))
    shares = [layer.clipping for layer in compare_layers(converted, X)]
    assert max(shares) < 1e-6  # whatever the input in [0, 1]
    assert float(jnp.abs(output(converted) - artificial(residual(KEY))).max()) < 0.05


def test_layers_that_will_not_spike_are_known_before_they_run():
    """snn_toolbox#67, and spkeras#1: from 0.967 to 0.098 without a word."""
    converted = convert(residual(KEY), WeightNormBound(high=60.0), encoder=Current(num_steps=2))
    said = check_alive(converted, X)
    assert any("Layer stem will not spike within 2 steps" in sentence for sentence in said)
    assert eqx.filter_jit(unroll)(converted.network, converted.encoder(X[0], key=KEY))[0].outputs[0].sum() == 0
    needed = int(said[0].split("it needs ")[1].split()[0])
    enough = convert(residual(KEY), WeightNormBound(high=60.0), encoder=Current(num_steps=needed))
    assert not any("stem" in sentence for sentence in check_alive(enough, X))
    assert compare_layers(converted, X)[0].breaks


def test_dead_layers_are_refused():
    dead = eqx.tree_at(lambda n: n.layers[0].synapses.bias, residual(KEY), jnp.full(6, -100.0))
    for method in (MaximumNormalisation(), WeightNormBound(), ThresholdBalancing()):
        with pytest.raises(SnnlearnError, match="stem is dead"):
            convert(dead, method, X)


def test_a_negative_part_that_is_never_needed_is_no_dead_layer():
    positive = eqx.tree_at(lambda n: n.layers[1].connections[0].synapses.bias, residual(KEY), jnp.full(6, 9.0))
    for method in (MaximumNormalisation(), ThresholdBalancing()):
        converted = convert(positive, method, X, encoder=Current(num_steps=1024))
        assert not any("negative" in sentence for sentence in check_alive(converted, X))
        np.testing.assert_allclose(output(converted), artificial(positive), atol=0.1)


def test_the_output_is_in_the_unit_of_the_source_and_says_so():
    """spikingjelly#481, #558: regression reads membranes; what a spike stands for is a number."""
    network = residual(KEY)
    converted = convert(network, MaximumNormalisation(charge=0.5), X, encoder=Current(num_steps=2048))
    np.testing.assert_allclose(output(converted), artificial(network), atol=0.01)
    activity, _ = eqx.filter_jit(unroll)(converted.network, converted.encoder(X[0], key=KEY))
    stem, _ = eqx.filter_jit(unroll)(network, X[:1])
    scale = converted.settings.populations[0].scale
    np.testing.assert_allclose(scale * activity.outputs[0].mean(axis=0), stem.outputs[0][0], atol=scale / 2048)
    assert set(np.unique(activity.outputs[0])) <= {0, 1}


def test_predictions_keep_their_units():
    """The hypothesis decides by means of membranes, for the same task as the artificial one."""
    from snnlearn.coding import EachLabel, InUnits, LastMembrane, MeanMembrane

    units = InUnits(LastMembrane(), mean=jnp.array([5.0, -20.0, 0.0]), scale=jnp.array([0.1, 30.0, 1.0]))
    source = sl.Hypothesis(Current(num_steps=1), residual(KEY), units)
    spiking, _ = sl.conversion.convert_hypothesis(source, MaximumNormalisation(charge=0.5), X, num_steps=1024)
    np.testing.assert_allclose(sl.predict(spiking, X), sl.predict(source, X), rtol=0.01, atol=0.3)
    assert np.ptp(sl.predict(source, X)[:, 1]) > 3
    assert isinstance(spiking.decoder, InUnits) and isinstance(spiking.decoder.decoder, MeanMembrane)
    labels = sl.Hypothesis(Current(num_steps=1), residual(KEY), EachLabel(LastMembrane()))
    assert sl.conversion.convert_hypothesis(labels, WeightNormBound())[0].decoder.task == "multi-label"

    class Own(sl.coding.AbstractDecoder):
        task = "regression"

        def __call__(self, output):
            return output[0]

    with pytest.raises(SnnlearnError, match="Own does not say how it decides by means of membranes"):
        sl.conversion.convert_hypothesis(sl.Hypothesis(Current(num_steps=1), residual(KEY), Own()), WeightNormBound())


def test_an_output_of_rectifiers_is_read_as_well():
    network = Network(residual(KEY).layers[:3])
    converted = convert(network, MaximumNormalisation(), X, encoder=Current(num_steps=1024))
    np.testing.assert_allclose(output(converted), artificial(network), atol=0.02)


# --- the rest


def test_convolutions_and_pools_become_one_map_between_spikes():
    key = jax.random.split(KEY, 3)
    pool = sl.network.AveragePool2d((3, 6, 6), 2)
    network = Network(
        (
            Layer(Conv2d((1, 6, 6), 3, 3, padding=1, use_bias=True, key=key[0]), Rectifier()),
            Layer(sl.network.Chain(pool, Conv2d((3, 3, 3), 2, 2, use_bias=True, key=key[1])), Rectifier()),
            Layer(sl.network.Chain(sl.network.AveragePool2d((2, 2, 2), 2), Dense(2, 2, key=key[2])), Identity()),
        )
    )
    x = jax.random.uniform(KEY, (6, 1, 6, 6))
    converted = convert(network, MaximumNormalisation(), x, encoder=Current(num_steps=512))
    assert len(converted.network.layers) == 3
    np.testing.assert_allclose(output(converted, x), artificial(network, x), atol=0.02)


def test_a_conversion_is_an_algorithm(tmp_path):
    data = sl.data.yin_yang(num_train=200, num_validation=50, num_test=50)
    network = feedforward((4, 30, 3), neuron=Rectifier(), readout=Identity(), use_bias=True, key=KEY)
    training = sl.algorithms.GradientDescent(epochs=15, batch_size=20)
    algorithm = sl.conversion.Conversion(training, Calibration(), num_steps=16)
    encoder = sl.coding.Rescaled(Current(num_steps=1), 0.0, 2.0)
    hypothesis = sl.fit(algorithm, encoder, network, data, key=KEY)
    assert hypothesis.encoder.num_steps == 16 and hypothesis.encoder.low == 0.0
    assert hypothesis.network.layers[0].neuron.spikes
    source = sl.fit(training, encoder, network, data, key=KEY)
    agree = np.mean(sl.predict(hypothesis, data.test.x) == sl.predict(source, data.test.x))
    assert agree > 0.85
    sl.save(hypothesis, tmp_path / "model.npz")
    loaded, _ = sl.load(tmp_path / "model.npz")
    assert (sl.predict(loaded, data.test.x) == sl.predict(hypothesis, data.test.x)).all()
    again = sl.algorithms.GradientDescent(initialisation=sl.network.AsGiven(), epochs=1, batch_size=20)
    assert sl.fit(again, hypothesis.encoder, hypothesis.network, data, key=KEY).network.out_shape == (3,)


@pytest.mark.parametrize("rule", [sl.rules.OTTT(), sl.rules.EProp(), sl.rules.BPTT()], ids=lambda r: type(r).__name__)
def test_rules_take_converted_networks(rule):
    """A charge is what an input by itself would give in the first step, so that it changes no rule's gradient."""
    network, charge = feedforward((4, 6, 3), neuron=Rectifier(), readout=Identity(), use_bias=True, key=KEY), 0.4
    converted = convert(network, MaximumNormalisation(charge=charge), X, encoder=Current(num_steps=8))
    hidden = converted.network.layers[0]
    assert isinstance(hidden.neuron, Charged)
    more = Dense(5, 6, use_bias=True, key=KEY)
    weight = jnp.concatenate([hidden.synapses.weight, jnp.full((6, 1), charge)], axis=1)
    more = eqx.tree_at(lambda s: (s.weight, s.bias), more, (weight, hidden.synapses.bias))
    plain = Network((Layer(more, hidden.neuron.neuron, name=hidden.name), converted.network.layers[1]))
    inputs = jnp.broadcast_to(X[:6, None], (6, 8, 4))
    first = jnp.zeros((6, 8, 1)).at[:, 0].set(1.0)
    loss, targets = sl.losses.StepwiseCrossEntropy(), jnp.arange(6) % 3
    run = eqx.filter_jit(rule)
    value, found = run(converted.network, loss, inputs, targets, key=KEY)
    same, expected = run(plain, loss, jnp.concatenate([inputs, first], axis=2), targets, key=KEY)
    np.testing.assert_allclose(value, same, rtol=1e-5)
    gradient = expected.layers[0].synapses.weight[:, :4]
    np.testing.assert_allclose(found.layers[0].synapses.weight, gradient, atol=1e-5 * np.abs(gradient).max())
    assert np.abs(gradient).max() > 1e-3


def _chain(neuron, **layer):
    keys = jax.random.split(KEY)
    return Network((Layer(Dense(4, 3, key=keys[0]), neuron, **layer), Layer(Dense(3, 2, key=keys[1]), Identity())))


@pytest.mark.parametrize(
    ("network", "inputs", "match"),
    [
        (_chain(LIF()), X, r"layer 1 is LIF, which has time already; train the network with Rectifier"),
        (_chain(Logistic(), name="soft"), X, r"layer 1 \(soft\) is Logistic, which is not known to be a sum"),
        (
            Network((Layer(LayerNorm((4,)), Rectifier()), Layer(Dense(4, 2, key=KEY), Identity()))),
            X,
            "layer 1 is reached by LayerNorm, which is not linear, .* train the network without it",
        ),
        (_chain(Rectifier(), recurrent=Dense(3, 3, key=KEY)), X, "delayed or recurrent connection"),
        (Network((Layer(Dense(4, 2, key=KEY), Identity()),)), X, "nothing in it can spike; add a hidden layer"),
        (_chain(Rectifier()), X[:, :3], r"inputs has shape \(24, 3\); give \[B, 4\]"),
        (_chain(Rectifier()), X[:0], r"inputs has shape \(0, 4\)"),
        (_chain(Rectifier()), X.at[3, 1].set(jnp.nan), "inputs holds NaN"),
    ],
)
def test_bad_input(network, inputs, match):
    with pytest.raises(SnnlearnError, match=match):
        convert(network, MaximumNormalisation(), inputs)


def test_bad_methods():
    for make in (
        lambda: PercentileNormalisation(0.0),
        lambda: PercentileNormalisation(101.0),
        lambda: PercentileNormalisation(charge=float("nan")),
        lambda: WeightNormBound(low=1.0, high=1.0),
        lambda: QuantisedRectifier(0),
        lambda: QuantisedRectifier(ceiling=-1.0),
        lambda: sl.neurons.ClippedRectifier(jnp.array([1.0, 2.0])),
        lambda: sl.neurons.LeakyRectifier(-0.1),
        lambda: Charged(IF(), float("inf")),
        lambda: sl.conversion.Conversion(sl.algorithms.GradientDescent(), num_steps=0),
    ):
        with pytest.raises(SnnlearnError):
            make()
    with pytest.raises(SnnlearnError, match="QCFS: stem has no ceiling"):
        convert(residual(KEY), QCFS(), X)
    with pytest.raises(SnnlearnError, match="tells nothing of the inputs"):
        convert(residual(KEY), MaximumNormalisation(), -X, encoder=Rate(num_steps=4))


def test_settings_say_what_is_built():
    """Weights Wλ_j/λ_i and biases b/λ_i, and a bias only once where a source has two populations."""
    network = residual(KEY)
    converted = convert(network, MaximumNormalisation(), X)
    plan, scales = converted.plan, [1.0, 2.0, 0.5, 4.0]
    built = plan.build(Settings(tuple(Setting(scale) for scale in scales)), sl.neurons.Subtract())
    body = network.layers[2].connections[0].synapses
    positive, negative, _ = (connection.synapses for connection in built.layers[3].connections)
    np.testing.assert_allclose(positive.weight, body.weight * 2.0 / 4.0, rtol=1e-6)
    np.testing.assert_allclose(negative.weight, body.weight * (-0.2 * 0.5) / 4.0, rtol=1e-6)
    np.testing.assert_allclose(positive.bias, body.bias / 4.0, rtol=1e-6)
    np.testing.assert_allclose(negative.bias, 0, atol=1e-7)
