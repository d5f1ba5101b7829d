"""Every component is abstract or final, so that what is known of a class is true of all of its instances."""

from __future__ import annotations

import inspect

import equinox as eqx
import jax
import pytest

import snnlearn as sl
import zoo
from snnlearn import SnnlearnError
from snnlearn._component import Component

PACKAGES = (
    sl.coding,
    sl.neurons,
    sl.network,
    sl.losses,
    sl.rules,
    sl.algorithms,
    sl.conversion,
    sl.environments,
    sl.circuits,
    sl.risk,
    sl.circuits,
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


KINDS = {
    "encoders": (sl.coding, sl.coding.AbstractEncoder, zoo.ENCODERS),
    "decoders": (sl.coding, sl.coding.AbstractDecoder, zoo.DECODERS),
    "neurons": (sl.neurons, sl.neurons.AbstractNeuron, zoo.NEURONS),
    "surrogates": (sl.neurons, sl.neurons.AbstractSurrogate, zoo.NEURONS),
    "resets": (sl.neurons, sl.neurons.AbstractReset, zoo.NEURONS),
    "refractory periods": (sl.neurons, sl.neurons.AbstractRefractory, zoo.NEURONS),
    "discretisations": (sl.neurons, sl.neurons.AbstractDiscretisation, zoo.NEURONS),
    "synapses": (sl.network, sl.network.AbstractSynapses, zoo.SYNAPSES),
    "effects": (sl.circuits, sl.circuits.AbstractEffect, zoo.EFFECTS),
    "laws": (sl.circuits, sl.circuits.AbstractLaw, zoo.EFFECTS),
    "spreads": (sl.circuits, sl.circuits.AbstractSpread, zoo.EFFECTS),
    "channels": (sl.circuits, sl.circuits.AbstractChannel, zoo.EFFECTS),
    "courses": (sl.circuits, sl.circuits.AbstractCourse, zoo.EFFECTS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_zoo_has_all(kind):
    package, base, examples = KINDS[kind]
    there = {part for part in vars(package).values() if isinstance(part, type) and issubclass(part, base)}
    final = {part for part in there if not inspect.isabstract(part) and not part.__name__.startswith("Abstract")}
    nodes: list[object] = []
    jax.tree.map(nodes.append, list(examples.values()), is_leaf=lambda node: nodes.append(node) is not None)
    assert final and final <= {type(node) for node in nodes}


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
