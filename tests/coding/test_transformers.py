"""The scikit-learn transformer: scikit-learn's own checks, pipelines, and ranges from the training data only."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from snnlearn._errors import SnnlearnError
from snnlearn.coding import Burst, LinearLatency, Rate, RegularRate
from snnlearn.coding.transformers import SpikeEncoder

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    results = check_estimator(SpikeEncoder(RegularRate(num_steps=20), counts=True), on_fail=None)
    failed = [(check["check_name"], check["exception"]) for check in results if check["status"] == "failed"]
    assert len(results) > 40 and not failed


def test_ranges_are_those_of_the_training_data():
    code = SpikeEncoder(RegularRate(num_steps=40, max_rate=1000), counts=True).fit(X)
    low, high = X.min(0), X.max(0)
    test = np.stack([low, high, (low + high) / 2, high + 5, low - 5])
    counts = code.transform(test)
    np.testing.assert_array_equal(counts, np.repeat([[0], [40], [20], [40], [0]], 3, axis=1))


def test_spikes_and_counts_agree_and_repeat():
    spikes = SpikeEncoder(Rate(num_steps=30)).fit(X).transform(X)
    counts = SpikeEncoder(Rate(num_steps=30), counts=True).fit(X).transform(X)
    other = SpikeEncoder(Rate(num_steps=30), counts=True, random_state=1).fit(X).transform(X)
    assert spikes.shape == (40, 30, 3) and spikes.dtype == np.float32
    np.testing.assert_array_equal(spikes.sum(1), counts)
    assert (counts != other).any()


def test_images_and_raw_values():
    images = np.random.default_rng(1).uniform(size=(4, 3, 2))
    code = SpikeEncoder(LinearLatency(num_steps=5), rescale=False)
    spikes = code.fit_transform(images)
    assert spikes.shape == (4, 5, 3, 2)
    np.testing.assert_array_equal(spikes.argmax(1), np.round((1 - images) * 4))


def test_constant_data_are_silent():
    assert not SpikeEncoder(Rate(num_steps=5)).fit(np.ones((4, 2))).transform(np.full((2, 2), 3.0)).any()


def test_it_is_cloned_searched_and_refuses_what_is_no_encoder():
    code = SpikeEncoder(RegularRate(10), counts=True)
    model = make_pipeline(code, LogisticRegression())
    codes = [RegularRate(20), Burst(20)]
    search = GridSearchCV(model, {"spikeencoder__encoder": codes}, cv=2).fit(X, X[:, 0] > 0)
    assert search.best_score_ > 0.7
    copy = clone(code)
    assert isinstance(copy, SpikeEncoder) and copy.counts is True
    with pytest.raises(SnnlearnError, match="give an encoder"):
        SpikeEncoder("rate").fit(X)
    with pytest.raises(ValueError, match="NaN"):
        code.fit(np.array([[np.nan]]))
