"""Every component is abstract or final, so that what is known of a class is true of all of its instances."""

from __future__ import annotations

import inspect

import equinox as eqx
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn._component import Component

PACKAGES = (
    sl.coding,
    sl.neurons,
    sl.network,
    sl.losses,
    sl.rules,
    sl.algorithms,
    sl.environments,
    sl.risk,
)
PUBLIC = {
    kind
    for package in PACKAGES
    for kind in vars(package).values()
    if isinstance(kind, type) and issubclass(kind, eqx.Module)
}


@pytest.mark.parametrize("kind", sorted(PUBLIC, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_class_is_abstract_or_final(kind):
    final = vars(kind).get("__final__", False)
    assert final != kind.__name__.startswith("Abstract")
    assert not (final and inspect.isabstract(kind))


@pytest.mark.parametrize(
    "base", [sl.neurons.LIF, sl.neurons.Atan, sl.network.Dense, sl.rules.BPTT, sl.coding.Rate, sl.losses.CrossEntropy]
)
def test_a_subclass_of_a_final_class_is_refused_in_one_sentence(base):
    assert issubclass(base, Component)
    with pytest.raises(SnnlearnError, match=f"Mine: {base.__name__} is final, .* derive from the same abstract base"):
        type("Mine", (base,), {"__module__": __name__})


def test_somebody_elses_classes_may_be_derived_from():
    class Mine(sl.coding.AbstractDecoder):
        def __call__(self, output):
            return output[-1]

    class Yours(Mine):
        pass

    assert Yours()([1, 2]) == 2
