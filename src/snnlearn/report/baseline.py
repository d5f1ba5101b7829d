"""What plain methods make of the same data, chosen on the validation sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnlearn.data import Dataset, Sample, held
from snnlearn.data.ends import filled
from snnlearn.risk import Comparison, compare_hypotheses, from_estimator

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_NEIGHBOURS = (5, 3, 1)
_MOST = 10_000


@dataclass(frozen=True)
class Baseline:
    """A method to compare a network with.

    Args:
        name: What it is, and how it was chosen.
        errors: Wrong decisions on the test sample.
        comparison: The network's risk less the baseline's, on the same test samples.
        only_network: Test samples that only the network gets wrong.
        only_baseline: Those that only the baseline does.
        class_errors: Wrong decisions about the test samples of each class.
    """

    name: str
    errors: int
    comparison: Comparison
    only_network: int
    only_baseline: int
    class_errors: tuple[int, ...] = ()


def baselines(data: Dataset, wrong: np.ndarray) -> tuple[Baseline, ...]:
    """Fit scikit-learn's logistic regression and nearest neighbours to the training sample, and put a network beside.

    Features are standardised; of spikes they are each unit's count, and series that end early hold their last value.
    The strength of the regularisation, and the number of neighbours, are those with the fewest validation errors; of
    equal ones, the strongest and the most. Where classes have weights, they have them in the regression and in
    choosing. A large training sample is cut to 10,000. The test sample is used once by each.

    Args:
        data: The data.
        wrong: Whether the network errs on each test sample, `[n]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    validation, test = (features(data, part) for part in (data.validation, data.test))
    cut, note = not_too_many(features(data, data.train))
    weights = np.array(data.class_weights) if data.class_weights else np.ones(data.num_outputs)
    by_class = dict(enumerate(data.class_weights)) or None
    families = {
        "logistic regression, C = {:g} by validation": {
            c: LogisticRegression(C=c, max_iter=2000, class_weight=by_class) for c in _STRENGTHS
        },
        "nearest neighbours, {:g} by validation": {k: KNeighborsClassifier(k) for k in _NEIGHBOURS if k <= len(cut.y)},
    }
    found = []
    for name, estimators in families.items():
        tried = []
        for number, estimator in estimators.items():
            decide = from_estimator(make_pipeline(StandardScaler(), estimator))(cut)
            tried.append((weights[validation.y] @ (decide(validation.x) != validation.y), number, decide))
        _, number, decide = min(tried, key=lambda one: one[0])
        its = decide(test.x) != test.y
        found.append(
            Baseline(
                name=name.format(number) + note,
                errors=int(its.sum()),
                comparison=compare_hypotheses(wrong, its),
                only_network=int(np.sum(wrong & ~its)),
                only_baseline=int(np.sum(its & ~wrong)),
                class_errors=tuple(np.bincount(test.y[its], minlength=data.num_outputs).tolist()),
            )
        )
    return tuple(found)


def advice(found: tuple[Baseline, ...]) -> list[str]:
    """What to say where the network loses against a baseline, as far as the test sample tells."""
    better = [one for one in found if one.comparison.interval.low > 0]
    if not better:
        return []
    names = " and ".join(one.name.partition(",")[0] for one in better)
    return [
        f"The network does worse than {names} on the same samples: try another code (--encode population), more hidden "
        "units or steps (--layers 512, --num-steps 50), --scale quantile, or more epochs; choose by validation errors."
    ]


def not_too_many(sample: Sample, most: int = _MOST) -> tuple[Sample, str]:
    """At most this many of a sample, and what of it, in words."""
    if len(sample.y) <= most:
        return sample, ""
    chosen = np.random.default_rng(0).choice(len(sample.y), most, replace=False)
    return Sample(sample.x[chosen], sample.y[chosen]), f", on {most:,} of {len(sample.y):,} samples"


def features(data: Dataset, part: Sample) -> Sample:
    """A sample as rows of numbers."""
    x = filled(part.x, 0).sum(axis=1) if data.kind == "spikes" else held(part.x)
    return Sample(x.reshape(len(x), -1), part.y)
