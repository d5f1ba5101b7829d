"""The scikit-learn estimators: scikit-learn's own checks, and what users of it do."""

from __future__ import annotations

import pickle
import subprocess
import sys
from copy import deepcopy
from typing import Any

import jax
import numpy as np
import optax
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.sklearn import SpikingClassifier, SpikingRegressor

X, Y = load_iris(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(Y))
TRAIN, TEST = ORDER[:100], ORDER[100:]
NAMES = np.array(["setosa", "versicolor", "virginica"])
CODE, SHORT = (sl.coding.Current(num_steps=steps) for steps in (8, 4))


def small(**kwargs):
    return SpikingClassifier(16, **{"encoder": CODE, "epochs": 8, "random_state": 0} | kwargs)


def fitted(**kwargs):
    return small(**kwargs).fit(X[TRAIN], NAMES[Y[TRAIN]])


@pytest.fixture(scope="module")
def iris():
    return fitted()


def _checks(kind) -> list[Any]:
    return list(estimator_checks_generator(kind(16, encoder=SHORT, epochs=10)))


def _of(check) -> str:
    return getattr(check, "func", check).__name__


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_the_classifier():
    results = check_estimator(SpikingClassifier(16, encoder=SHORT, epochs=10), on_fail=None)
    failed = [(check["check_name"], check["exception"]) for check in results if check["status"] == "failed"]
    assert len(results) > 50 and not failed
    assert {check["check_name"] for check in results if check["status"] == "skipped"} <= {"check_array_api_input"}
    assert "check_sample_weight_equivalence_on_dense_data" in {check["check_name"] for check in results}


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_the_regressor():
    """What it checks of regressors alone; the rest concerns what both inherit, and is checked of the classifier."""
    done = {_of(check) for _, check in _checks(SpikingClassifier)}
    own = [(estimator, check) for estimator, check in _checks(SpikingRegressor) if _of(check) not in done]
    assert {"check_regressors_train", "check_regressors_int"} <= {_of(check) for _, check in own}
    for estimator, check in own:
        check(clone(estimator))


def test_importing_snnlearn_imports_no_scikit_learn():
    code = "import sys, snnlearn, snnlearn.algorithms; print('sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


# --- what is learned


def test_classes_of_any_type_and_their_probabilities(iris):
    assert iris.classes_.tolist() == NAMES.tolist() and iris.score(X[TEST], NAMES[Y[TEST]]) > 0.9
    scores, proba = iris.decision_function(X[TEST]), iris.predict_proba(X[TEST])
    np.testing.assert_allclose(proba, np.exp(scores) / np.exp(scores).sum(1, keepdims=True), rtol=1e-6)
    assert (iris.predict(X[TEST]) == NAMES[scores.argmax(1)]).all()
    two = small().fit(X[:100], Y[:100] == 1)
    assert two.decision_function(X[:100]).shape == (100,) and two.score(X[:100], Y[:100] == 1) == 1


def test_the_hypothesis_is_the_librarys(iris, tmp_path):
    decided = sl.predict(iris.hypothesis_, X[TEST].astype(np.float32))
    assert (NAMES[decided] == iris.predict(X[TEST])).all()
    sl.save(iris.hypothesis_, tmp_path / "iris.npz", class_names=tuple(map(str, iris.classes_)))
    loaded, names = sl.load(tmp_path / "iris.npz")
    assert (np.array(names)[sl.predict(loaded, X[TEST].astype(np.float32))] == iris.predict(X[TEST])).all()


def test_a_seed_repeats_and_another_does_not(iris):
    again, other = fitted(), fitted(random_state=1)
    np.testing.assert_array_equal(iris.predict_proba(X), again.predict_proba(X))
    assert (iris.predict_proba(X) != other.predict_proba(X)).any()
    drawn = small(random_state=np.random.RandomState(3))
    first, second = (drawn.fit(X[TRAIN], Y[TRAIN]).predict_proba(X) for _ in range(2))
    assert (first != second).any()


def test_weights_are_repetitions_bit_for_bit(iris):
    weights = np.random.default_rng(1).integers(0, 4, len(TRAIN))
    weighted = small().fit(X[TRAIN], Y[TRAIN], sample_weight=weights)
    rows = np.random.default_rng(2).permutation(np.repeat(TRAIN, weights))
    repeated = small().fit(X[rows], Y[rows])
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert (weighted.predict_proba(X) != iris.predict_proba(X)).any()


def test_weights_decide_where_classes_overlap():
    x, y = np.zeros((60, 2)), np.arange(60) % 3
    x[:, 0] = np.arange(60) // 30
    for heavy in range(3):
        weights = np.where(y == heavy, 5.0, 1.0)
        model = small().fit(x, y, sample_weight=weights)
        assert (model.predict(x) == heavy).all()
        np.testing.assert_allclose(model.predict_proba(x)[:, heavy], 5 / 7, atol=0.1)


def test_validation_chooses_and_patience_stops():
    noise = np.random.default_rng(0).integers(0, 3, len(TRAIN))  # which cannot be learned for long
    held_out = small(epochs=30, validation_fraction=0.2)
    free, patient = (clone(held_out).set_params(patience=steps).fit(X[TRAIN], noise) for steps in (None, 3))
    assert free.n_iter_ == 30 == len(free.loss_curve_) and 4 <= patient.n_iter_ < 30
    assert patient.loss_curve_ == free.loss_curve_[: patient.n_iter_] != []
    alone = small(validation_fraction=0.2).fit(X[[0, 60]], [0, 1])  # nothing can be held out
    assert alone.predict(X[[0, 60]]).tolist() == [0, 1]


@pytest.mark.parametrize("code", [sl.coding.Rate(num_steps=20), sl.coding.Latency(num_steps=20)])
def test_codes_get_the_range_that_they_take_and_predict_each_sample_alike(code):
    model = fitted(encoder=code, epochs=12)
    assert model.score(X[TEST], NAMES[Y[TEST]]) > 0.65
    np.testing.assert_allclose(model.predict_proba(X)[::-1][:9], model.predict_proba(X[::-1][:9]), rtol=1e-5)


def test_features_without_unit_or_of_none():
    x = np.column_stack([1000 + 1e4 * X, np.full(len(X), 7.0)])
    model = small().fit(x[TRAIN], Y[TRAIN])
    assert model.score(x[TEST], Y[TEST]) > 0.9
    squeezed = small(rescale=sl.coding.QuantileScaling(0.1), epochs=1).fit(X[TRAIN], Y[TRAIN])
    low = np.quantile(X[TRAIN].astype(np.float32), 0.1, axis=0)
    np.testing.assert_allclose(squeezed.hypothesis_.encoder.low, low, atol=0.2)
    raw = small(rescale=False, epochs=1).fit(X[TRAIN], Y[TRAIN])
    assert isinstance(raw.hypothesis_.encoder, sl.coding.Current)


def test_images_and_recordings():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    spikes = (rng.random((40, 8, 5)) < np.where(y, 0.6, 0.1)[:, None, None]).astype(float)
    model = small(encoder=sl.coding.Spikes(num_steps=8)).fit(spikes, y)
    assert model.score(spikes, y) > 0.9 and isinstance(model.hypothesis_.encoder, sl.coding.Spikes)
    images = small().fit(spikes[:, :3], y)
    assert images.hypothesis_.network.in_shape == (15,)
    with pytest.raises(SnnlearnError, match=r"shape \(3, 4\); it was \(3, 5\)"):
        images.predict(spikes[:, :3, :4])


RULES = {
    "an online rule": {"rule": sl.rules.EProp()},
    "spike times": {
        "rule": sl.rules.EventProp(),
        "encoder": sl.coding.Latency(20),
        "network": sl.network.feedforward(
            (4, 6, 3), neuron=sl.neurons.CubaLIF(), readout=sl.neurons.CubaLIF(), key=jax.random.key(0)
        ),
    },
    "spike trains": {"rule": sl.rules.SuperSpike(), "encoder": sl.coding.Rate(20), "neuron": sl.neurons.CubaLIF()},
    "a loss and Optax": {"loss": sl.losses.ClassMeanSquaredError(), "optimizer": optax.adam(1e-2)},
    "a network": {
        "network": sl.network.feedforward((4, 6, 3), neuron=sl.neurons.ALIF(), recurrent=True, key=jax.random.key(0))
    },
}


@pytest.mark.parametrize("name", RULES)
def test_any_rule_with_weights(name):
    weights = np.where(Y[TRAIN] == 1, 1.0, 2.0)
    model = small(epochs=2, **RULES[name]).fit(X[TRAIN], Y[TRAIN], sample_weight=weights)
    assert np.isfinite(model.predict_proba(X)).all() and model.loss_curve_[1] < model.loss_curve_[0]


# --- what scikit-learn does with it


def test_partial_fit_goes_on():
    model = small()
    for _ in range(12):
        for part in (Y[TRAIN] < 2, Y[TRAIN] > 0):  # a class is missing in each
            model.partial_fit(X[TRAIN][part], Y[TRAIN][part], classes=[0, 1, 2])
    assert model.n_iter_ == 24 and model.score(X[TEST], Y[TEST]) > 0.8
    copy = pickle.loads(pickle.dumps(model)).partial_fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_array_equal(copy.predict_proba(X), model.partial_fit(X[TRAIN], Y[TRAIN]).predict_proba(X))
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X[:3], [0, 1, 7])
    with pytest.raises(ValueError, match="classes must be passed"):
        small().partial_fit(X, Y)


def test_partial_fit_goes_on_after_fit(iris):
    model = deepcopy(iris).partial_fit(X[TRAIN], NAMES[Y[TRAIN]])
    assert model.n_iter_ == iris.n_iter_ + 1 and (model.predict(X) == iris.predict(X)).mean() > 0.8
    assert (model.predict_proba(X) != iris.predict_proba(X)).any()


def test_it_is_pickled_copied_and_cloned(iris):
    for copy in (pickle.loads(pickle.dumps(iris)), deepcopy(iris)):
        np.testing.assert_array_equal(copy.predict_proba(X), iris.predict_proba(X))
    assert b"ArrayImpl" not in pickle.dumps(iris)
    with pytest.raises(NotFittedError):
        clone(iris).predict(X)


def test_names_of_features_pass_through_a_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = make_pipeline(StandardScaler(), small()).set_output(transform="pandas").fit(frame, Y)
    assert model[-1].feature_names_in_.tolist() == list("abcd") and model[-1].n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names"):
        model[-1].predict(frame[list("dcba")])


def test_searches_cross_validation_and_calibration():
    codes = [sl.coding.Current(8, gain=1e-6), CODE]
    neurons = [sl.neurons.LIF(), sl.neurons.ALIF()]
    pipeline = make_pipeline(StandardScaler(), small(epochs=4))
    grid = {"spikingclassifier__encoder": codes, "spikingclassifier__neuron": neurons}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.85 and len(search.cv_results_["params"]) == 4
    assert cross_val_score(small(), X, Y, cv=3).mean() > 0.9
    calibrated = CalibratedClassifierCV(small(), cv=2).fit(X[TRAIN], Y[TRAIN])
    assert calibrated.score(X[TEST], Y[TEST]) > 0.85


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"encoder": "rate"}, "encoder is 'rate'; give an encoder"),
        ({"rule": "bptt"}, "rule is 'bptt'; give a rule"),
        ({"epochs": 0}, "epochs is 0; give at least 1"),
        ({"validation_fraction": 1.5}, "validation_fraction is 1.5"),
        ({"patience": 0}, "patience is 0; give a number of epochs"),
        ({"network": sl.network.feedforward((4, 5, 2), key=jax.random.key(0))}, "3 classes, but the network's output"),
    ],
)
def test_a_bad_parameter_is_refused_in_one_sentence(kwargs, words):
    with pytest.raises(SnnlearnError, match=words):
        fitted(**kwargs)


@pytest.mark.parametrize("weights", [-np.ones(len(Y)), np.zeros(len(Y))])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        small().fit(X, Y, sample_weight=weights)


# --- the regressor


def test_the_regressor_is_not_worse_than_ridge_regression():
    x, y = load_diabetes(return_X_y=True)
    cv = ShuffleSplit(5, test_size=0.25, random_state=0)
    ours = cross_val_score(SpikingRegressor(random_state=0), x, y, cv=cv).mean()
    assert ours > cross_val_score(Ridge(), x, y, cv=cv).mean()


def test_several_values_of_any_scale_and_steps():
    t = np.linspace(-1, 1, 120)
    x, y = t[:, None], np.column_stack([1e6 + 1e3 * t**2, -t, np.full(120, 3.0)])
    model = SpikingRegressor(32, random_state=0, epochs=15, optimizer=sl.algorithms.Optimizer()).fit(x, y)
    assert model.score(x, y) > 0.9 and model.predict(x).shape == (120, 3)
    assert (model.predict(x)[:, 2] == 3).all()
    steps = SpikingRegressor(32, random_state=0)
    for _ in range(30):
        steps.partial_fit(x, t**2)
    assert steps.score(x, t**2) > 0.8 and steps.predict(x).shape == (120,)
    with pytest.raises(SnnlearnError, match="y has 3 values for each sample; it had 1"):
        steps.partial_fit(x, y)


def test_weights_of_the_regressor_are_repetitions_bit_for_bit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    weights = rng.integers(0, 3, 40)
    model = SpikingRegressor(8, encoder=CODE, epochs=2, random_state=0)
    weighted = clone(model).fit(x, y, sample_weight=weights).predict(x)
    np.testing.assert_array_equal(weighted, clone(model).fit(x.repeat(weights, 0), y.repeat(weights)).predict(x))
