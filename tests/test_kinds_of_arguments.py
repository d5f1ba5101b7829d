"""Whatever is given to a public function in place of what belongs there: one sentence that names the argument.

The cases are drawn from the annotations: each argument of each function below, times all that is not of its kind.
Without jaxtyping's checks, which no user has.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn import risk, rules
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import GradientDescent
from snnlearn.hypothesis import scores
from snnlearn.losses import CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import AsGiven, diagnose, feedforward, unroll
from snnlearn.neurons import LIF

KEY = jax.random.key(0)
NETWORK = feedforward((4, 3, 2), key=KEY)
HYPOTHESIS = sl.Hypothesis(sl.coding.Current(10), NETWORK, sl.coding.MeanMembrane())
X, Y = jnp.ones((5, 10, 4)), jnp.zeros(5, int)
DATA = sl.data.yin_yang(num_train=20, num_validation=10, num_test=10)
PRIOR = risk.prior_around(NETWORK)
ONE = jnp.ones(1, int)
TRAINING = sl.algorithms.Training(NETWORK, (), KEY[None], ONE, NETWORK, ONE, jnp.ones(1), ONE)
THINGS = [
    *(
        HYPOTHESIS,
        HYPOTHESIS.encoder,
        NETWORK,
        HYPOTHESIS.decoder,
        DATA,
        DATA.learning,
        DATA.train,
        GradientDescent(),
        rules.BPTT(),
    ),
    *(StepwiseCrossEntropy(), LIF(), AsGiven(), PRIOR, PRIOR.weights, risk.risk_of_errors(1, 2), "model.npz"),
    *(sl.data.GaussianPair(), TRAINING, sl.circuits.Chip("ideal"), rules.WeightPerturbation()),
    sl.circuits.SimulatedDevice(sl.circuits.Chip("ideal"), KEY),
]
PARTS = HYPOTHESIS.encoder, NETWORK
RULES = [rule for rule in vars(rules).values() if inspect.isclass(rule) and issubclass(rule, rules.AbstractRule)]
NOTHING = [None, "seven", LIF, LIF(), {}, 1j, [[1.0, 2.0], [3.0]], np.array(["a", "b"])]


class NoEpochs(sl.algorithms.AbstractAlgorithm):
    def __call__(self, encoder, network, data, *, key):
        return HYPOTHESIS


def of_kind(kind):
    """Something that an annotation allows."""
    kind = getattr(kind, "__bound__", kind)
    parts = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return of_kind(parts[0])
    if typing.get_origin(kind) is Callable:
        return lambda *_: None
    if typing.get_origin(kind) in (Sequence, tuple):
        return (of_kind(parts[0]),) * 2
    if kind in (int, float):
        return 1
    if hasattr(kind, "dim_str"):
        shape = [1 for axis in kind.dim_str.split() if axis != "..."]
        return next(a for a in (np.ones(shape), np.ones(shape, int), np.ones(shape, bool), KEY) if like(kind, a))
    if kind in (np.ndarray, jax.Array, typing.Any):
        return np.ones((1, 1))
    return next(thing for thing in THINGS if isinstance(thing, kind))


def like(kind, array):
    """Whether an array's type is one that jaxtyping allows."""
    allowed = kind.dtypes if isinstance(kind.dtypes, tuple) else (str(array.dtype),)
    return str(array.dtype) in allowed or ("prng_key" in allowed and array is KEY)


def belongs(kind, thing):
    """Whether a thing may stand for an annotation, told by other means than the library's."""
    kind = getattr(kind, "__bound__", kind)
    parts = typing.get_args(kind)
    if kind is typing.Any:
        return True
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(belongs(part, thing) for part in parts)
    if typing.get_origin(kind) is Callable:
        return callable(thing)
    if typing.get_origin(kind) in (Sequence, tuple):
        return isinstance(thing, np.ndarray) and all(belongs(parts[0], item) for item in thing)
    return (
        isinstance(kind, type) and not hasattr(kind, "dim_str") and kind is not np.ndarray and isinstance(thing, kind)
    )


def needed(call, kinds):
    """An argument for each parameter that has no default."""
    parameters = inspect.signature(call).parameters.values()
    return {
        p.name: of_kind(kinds[p.name]) for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    }


def made(rule):
    return rule(**needed(rule, typing.get_type_hints(rule)))


CALLS = [
    *(feedforward, unroll, diagnose, sl.Hypothesis, sl.predict, scores, GradientDescent, sl.fit, sl.save),
    *(sl.load, sl.Experiment, GradientDescent().start, GradientDescent().epoch, HYPOTHESIS.__call__),
    *(sl.circuits.ForChips, sl.circuits.InTheLoop, sl.circuits.BlackBox),
    *(made(rule).__call__ for rule in RULES if not inspect.isabstract(rule)),
    *(function for function in vars(risk).values() if inspect.isfunction(function)),
]


@pytest.fixture(autouse=True)
def as_a_user():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__qualname__)
def test_what_is_no_argument_is_refused_in_one_sentence_that_names_it(call):
    kinds = typing.get_type_hints(call)
    right = needed(call, kinds)
    for name, parameter in inspect.signature(call).parameters.items():
        for wrong in NOTHING:
            if belongs(kinds[name], wrong) or parameter.kind is parameter.VAR_POSITIONAL:
                continue
            with pytest.raises(SnnlearnError) as refused:
                call(**{**right, name: wrong})
            message = str(refused.value)
            assert f": {name} is " in message or f": {name}[" in message, (name, wrong, message)
            assert "; give " in message and "\n" not in message


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: feedforward((4, 2), neuron="lif", key=KEY), "neuron is the string 'lif'; give .* such as LIF()"),
        (lambda: feedforward((4, 2), neuron=LIF, key=KEY), r"neuron is the class LIF; give an instance, LIF\(\)"),
        (lambda: feedforward((4, 2), key=0), r"key is 0; give a random key, such as jax.random.key\(0\)"),
        (lambda: feedforward((4, 2.5), key=KEY), r"sizes\[1\] is 2.5"),
        (lambda: GradientDescent(rule="bptt"), r"rule is the string 'bptt'; give .* such as BPTT\(\)"),
        (lambda: GradientDescent(rule=rules.BPTT), r"rule is the class BPTT; give an instance, BPTT\(\)"),
        (lambda: unroll("lif", X[0]), r"network is the string 'lif'; give a Network, such as feedforward\(...\)"),
        (lambda: unroll(NETWORK, X), r"unroll: xs has shape \(5, 10, 4\); give \[T, 4\]; of a batch .* jax.vmap"),
        (lambda: unroll(NETWORK, X[0, :, :3]), r"unroll: xs has shape \(10, 3\); give \[T, 4\]$"),
        (lambda: diagnose(NETWORK, X[0]), r"inputs has shape \(10, 4\); give \[B, T, 4\]; .* inputs\[None\]"),
        (lambda: HYPOTHESIS(X[:, 0], key=KEY), r"x has shape \(5, 4\).* give one sample"),
        (lambda: sl.predict(HYPOTHESIS, X[0, 0]), r"xs is one sample, of shape \(4,\); give .* xs\[None\]"),
        (lambda: sl.predict(HYPOTHESIS, jnp.ones(())), r"xs is one sample, of shape \(\)"),
        (lambda: sl.predict(NETWORK, X[:, 0]), "hypothesis is a Network; give a Hypothesis"),
        (lambda: sl.fit(GradientDescent(), *PARTS, DATA.train, key=KEY), r"data is a Sample; give a Dataset"),
        (
            lambda: GradientDescent().start(*PARTS, DATA, keys=KEY[None]),
            r"data is a Dataset; give .*yin_yang\(\).learning",
        ),
        (
            lambda: sl.Experiment(DATA, *PARTS, NoEpochs(), KEY[None]),
            "Experiment: algorithm is a NoEpochs; give .*Desc",
        ),
        (lambda: rules.BPTT()(NETWORK, CrossEntropy(), X, Y[:3], key=KEY), "inputs has B = 5, but targets has B = 3"),
        (lambda: rules.BPTT()(NETWORK, CrossEntropy(), X, Y + 2, key=KEY), "targets goes from 2 to 2.* 2 classes"),
        (lambda: rules.BPTT()(NETWORK, CrossEntropy(), X, Y - 1, key=KEY), "targets goes from -1 to -1"),
        (
            lambda: rules.BPTT()(NETWORK, CrossEntropy(), X, Y / 2, key=KEY),
            "targets is an array of float32; give class",
        ),
        (lambda: rules.BPTT()(NETWORK, CrossEntropy(), X[..., :3], Y, key=KEY), r"inputs has shape \(5, 10, 3\)"),
        (lambda: sl.data.split(sl.data.Sample([1, 2], np.zeros(2, int))), "has x that is a list; give an array"),
        (lambda: risk.brier_score(np.ones((2, 1)), np.ones(2)), "labels is an array of float64; give .* whole numbers"),
        (lambda: risk.brier_score(np.ones((2, 1)), [0, 1]), "labels goes from 0 to 1; expected 0 to 0"),
    ],
)
def test_the_sentence_says_what_to_write(call, said):
    with pytest.raises(SnnlearnError, match=said):
        call()


def test_what_becomes_an_array_as_it_stands_is_taken():
    assert sl.predict(HYPOTHESIS, [[1.0, 2.0, 3.0, 4.0]]).shape == (1,)
    assert risk.brier_score([[0.9, 0.1]], [1]) == pytest.approx(1.62)
    assert feedforward(np.array([4, 2]), key=jax.random.PRNGKey(0)).in_shape == (4,)


def test_images_over_time_serve_a_dense_layer():
    """As they do in training: nothing tells them from a batch whose samples have as many numbers."""
    activity, _ = unroll(feedforward((40, 2), key=KEY), jnp.ones((6, 4, 10)))
    assert activity.outputs[-1].shape == (6, 2)


def test_labels_are_looked_at_where_they_are_known_alone():
    """Also inside of a traced function, which others than they may be traced by."""
    rule = rules.BPTT()
    loss = jax.jit(lambda y: rule(NETWORK, CrossEntropy(), X, y, key=KEY)[0])(Y)
    assert loss == jax.jit(lambda xs: rule(NETWORK, CrossEntropy(), xs, Y, key=KEY)[0])(X)
    with pytest.raises(SnnlearnError, match="targets goes from 2 to 2"):
        jax.jit(lambda xs: rule(NETWORK, CrossEntropy(), xs, np.asarray(Y) + 2, key=KEY)[0])(X)


def test_an_optimiser_of_another_kind_serves_if_it_can():
    assert GradientDescent(optimizer=optax.MultiSteps(optax.sgd(0.1), 2)).epochs == 30
