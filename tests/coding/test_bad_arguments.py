"""Whatever is given to a code in place of what belongs there: one sentence that names it, no error of JAX or NumPy.

The cases are drawn from the signatures: each argument of each instance or call below, times all that does not belong
there. Without jaxtyping's checks, which no user has.
"""

from __future__ import annotations

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import snnlearn.coding as coding
from snnlearn._errors import SnnlearnError

X, SPIKES, SIGNAL = jnp.array([0.2, 0.8]), jnp.zeros((12, 2)), jnp.linspace(0, 1, 12)
TUNING = coding.GaussianTuning(jnp.array([0.0, 1.0]), 0.5)
TRAIN, CHANNEL = np.array([0.1, 0.2]), np.array([[0.5, 0.5], [0.2, 0.8]])
KEY = jax.random.key(0)

INSTANCES = [
    coding.QuantileScaling(0.02),
    coding.HoldLast(coding.Current(12)),
    coding.InUnits(coding.MeanMembrane()),
    coding.EachLabel(coding.MeanMembrane()),
    coding.Rate(12),
    coding.PoissonRate(12),
    coding.RegularRate(12),
    coding.Latency(12),
    coding.LinearLatency(12),
    coding.RankOrder(12),
    coding.Phase(12),
    coding.Burst(12),
    coding.Delta(12),
    coding.SendOnDelta(12),
    coding.Population(coding.Rate(12)),
    coding.TunedPopulation(coding.LinearLatency(12), TUNING),
    coding.Current(12),
    coding.Spikes(12),
    coding.Framewise(coding.Rate(3), 2),
    coding.Rescaled(coding.Rate(12), 0.0, 1.0),
    coding.LastSteps(),
    coding.FilteredRate(),
    coding.FirstSpike(),
    coding.Exponential(),
    coding.DoubleExponential(),
    coding.NearestTemplate(jnp.zeros((2, 12, 2))),
    coding.InverseRate(),
    coding.InversePoissonRate(),
    coding.InverseRegularRate(),
    coding.InverseLatency(),
    coding.InverseLinearLatency(),
    coding.InverseRankOrder(),
    coding.InversePhase(),
    coding.InverseBurst(),
    coding.InverseDelta(),
    coding.InverseRescaled(coding.InverseRate(), jnp.zeros(2), jnp.ones(2)),
    coding.InverseFramewise(coding.InverseRate(), 3),
    TUNING,
    coding.CosineTuning(X),
    coding.VonMisesTuning(X),
    coding.MaximumLikelihood(TUNING, jnp.linspace(0, 1, 4)),
    coding.LeastSquares(coding.InverseRate(), TUNING, jnp.linspace(0, 1, 4)),
    coding.PosteriorMean(TUNING, jnp.linspace(0, 1, 4)),
    coding.PopulationVector(X),
    coding.CentreOfMass(X),
]
CALLS = [
    (coding.latency, {"x": X, "tau": 0.02, "threshold": 0.2}),
    (coding.linear_latency, {"x": X, "t_max": 0.01, "threshold": 0.1}),
    (coding.spike_at, {"times": X, "num_steps": 5, "dt": 1e-3}),
    (coding.ranks, {"x": X}),
    (coding.delta_events, {"x": SIGNAL, "threshold": 0.1, "initial": 0.0}),
    (coding.send_on_delta_events, {"x": SIGNAL, "threshold": 0.1, "initial": 0.0}),
    (coding.bernoulli_spikes, {"p": X, "num_steps": 5, "key": KEY}),
    (coding.packed_spikes, {"p": X, "num_steps": 5, "key": KEY}),
    (coding.unpack_spikes, {"packed": jnp.zeros((1, 2), jnp.uint32), "num_steps": 5}),
    (coding.pack_spikes, {"spikes": SPIKES}),
    (coding.hold_values, {"xs": SPIKES, "steps": 1}),
    (coding.gaussian_activations, {"x": X, "centres": X, "sigma": 0.1}),
    (coding.learn_range, {"x": np.ones((3, 2))}),
    (coding.inverse_of, {"encoder": coding.Rate(5)}),
    (coding.van_rossum_distance, {"times": X, "others": X, "kernel": coding.Exponential()}),
    (coding.victor_purpura_distance, {"times": TRAIN, "others": TRAIN, "cost": 1.0}),
    (coding.isi_distance, {"times": TRAIN, "others": TRAIN, "window": (0.0, 1.0)}),
    (coding.spike_distance, {"times": TRAIN, "others": TRAIN, "window": (0.0, 1.0)}),
    (coding.fisher_information, {"tuning": TUNING, "s": jnp.array(0.3), "duration": 0.5}),
    (coding.gaussian_fisher_information, {"response": TUNING, "covariance": lambda s: jnp.eye(2), "s": jnp.array(0.3)}),
    (coding.cramer_rao_bound, {"information": jnp.array(2.0)}),
    (coding.poisson_log_likelihood, {"tuning": TUNING, "counts": X, "s": jnp.array(0.3), "duration": 0.5}),
    (coding.poisson_channel, {"means": np.array([1.0, 2.0]), "tail": 1e-9}),
    (coding.binomial_channel, {"num_steps": 5, "chance": np.array([0.1, 0.2])}),
    (coding.mutual_information, {"channel": CHANNEL, "prior": np.array([0.5, 0.5])}),
    (coding.bayes_error, {"channel": CHANNEL, "prior": np.array([0.5, 0.5])}),
    (coding.bayes_error_estimate, {"log_joint": jnp.zeros((4, 2))}),
    (coding.mutual_information_estimate, {"log_joint": jnp.zeros((4, 2))}),
    (coding.pattern_information, {"spikes": np.zeros((4, 3))}),
    (coding.LogLikelihood.poisson, {"rates": jnp.ones((3, 2)), "prior": jnp.ones(3) / 3, "dt": 1e-3}),
    (coding.LogLikelihood.bernoulli, {"chance": jnp.ones((3, 2)) / 2, "prior": jnp.ones(3) / 3}),
]
NOTHING = ["seven", [[1.0, 2.0], [3.0]], coding.Rate, {}, np.array(["a", "b"])]
NO_NUMBER = [*NOTHING, np.nan, np.inf, np.float32(np.nan), jnp.array(np.nan), 1j, jnp.ones((2, 2, 2))]
NO_COUNT = [*NO_NUMBER, 0.5, -1, np.float32(-1), True]


def arguments(instance):
    """What an instance was made from: its fields have the arguments' names."""
    return {name: getattr(instance, name) for name in inspect.signature(type(instance)).parameters}


def wrong_for(argument):
    if isinstance(argument, bool) or argument is None:
        return []
    if isinstance(argument, int):
        return NO_COUNT
    return NO_NUMBER if isinstance(argument, float) else NOTHING


@pytest.fixture(autouse=True)
def as_a_user():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("make", "right"),
    [*((type(instance), arguments(instance)) for instance in INSTANCES), *CALLS],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_is_no_argument_is_refused_in_one_sentence(make, right):
    if inspect.isclass(make):
        make(**right)
    for name, argument in right.items():
        for wrong in wrong_for(argument):
            with pytest.raises(SnnlearnError) as refused:
                make(**{**right, name: wrong})
            assert "\n" not in str(refused.value), (name, wrong)


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_what_is_no_sample_and_no_spikes_is_refused_in_one_sentence(instance):
    if isinstance(instance, coding.AbstractEncoder):
        use = partial(instance, key=KEY)
    elif isinstance(instance, coding.AbstractScaling):
        use = instance.bounds
    else:
        use = instance.autocorrelation if isinstance(instance, coding.AbstractKernel) else instance
    for wrong in (*NOTHING, None, jnp.ones(2, jnp.complex64)):
        with pytest.raises(SnnlearnError) as refused:
            use(wrong)
        assert "\n" not in str(refused.value)


def test_every_public_class_of_numbers_is_tried():
    """A new code that is missing above is found here."""
    tried = {type(instance) for instance in INSTANCES}
    modules = {thing for thing in vars(coding).values() if inspect.isclass(thing) and hasattr(thing, "__check_init__")}
    spikes_themselves = {coding.PackedSpikes, coding.HeldValues}  # no code; tests/kernels says what it refuses
    assert {cls for cls in modules if not inspect.isabstract(cls)} - spikes_themselves <= tried


def test_a_number_may_have_any_real_type():
    for two in (2, 2.0, np.float32(2), np.int64(2), np.array(2.0), jnp.array(2.0)):
        assert coding.Current(3, gain=two).gain == 2.0
        assert type(coding.GaussianTuning(X, sigma=two).sigma) is float
