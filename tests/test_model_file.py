"""The model file: what is saved is loaded, whatever it is made of, and nothing else is."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn import SnnlearnError, coding, network, neurons
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.model_file import load, read_arrays, save, write_arrays
from snnlearn.network import INPUT, ITSELF, Connection, Dense, Layer, Network
from snnlearn.neurons import LI, LIF
from zoo import DECODERS, ENCODERS, KEY, NEURONS, SYNAPSES, UNITS


def hypothesis(
    neuron=LIF(), encoder=ENCODERS["Current"], decoder=DECODERS["MeanMembrane"], synapses=None
) -> Hypothesis:
    synapses_in = synapses or Dense(2, UNITS, key=KEY)
    sent = int(np.prod(neuron.out_shape(synapses_in.out_shape)))
    into = [Connection(synapses_in, port=port) for port in neuron.ports]
    loops = [] if synapses else [Connection(Dense(sent, UNITS, key=KEY), ITSELF, port) for port in neuron.ports]
    readout = Layer(Dense(sent, 2, key=KEY), LI())
    layer = Layer([*into, *loops], neuron)
    return Hypothesis(encoder, Network((layer, readout)), decoder)


ALL = {
    **{f"neuron {name}": hypothesis(neuron=neuron) for name, neuron in NEURONS.items()},
    **{f"encoder {name}": hypothesis(encoder=encoder) for name, encoder in ENCODERS.items()},
    **{f"decoder {name}": hypothesis(decoder=decoder) for name, decoder in DECODERS.items()},
    **{f"synapses {name}": hypothesis(synapses=synapses) for name, synapses in SYNAPSES.items()},
}


@pytest.mark.parametrize("original", ALL.values(), ids=ALL.keys())
def test_round_trip(original, tmp_path):
    """All arrays bit for bit, and all that is no array equal and of the same type."""
    save(original, tmp_path / "model.npz", class_names=("ä", "b"))
    loaded, names = load(tmp_path / "model.npz")
    assert names == ("ä", "b")
    assert jax.tree.structure(loaded) == jax.tree.structure(original)  # classes and static fields
    for one, other in zip(jax.tree.leaves(loaded), jax.tree.leaves(original), strict=True):
        assert type(one) is type(other)
        if eqx.is_array(one):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)


def graph():
    """A skip with delay, a loop, feedback from a later layer, and names."""
    back = Connection(Dense(UNITS, UNITS, key=KEY), "later", delay=1)
    first = Layer([Dense(2, UNITS, key=KEY), back], LIF(), Dense(UNITS, UNITS, key=KEY), name="first")
    skip = Connection(Dense(2, UNITS, key=KEY), INPUT, delay=3)
    readout = Layer([Dense(UNITS, 2, key=KEY), Connection(Dense(UNITS, 2, key=KEY), "first")], LI())
    later = Layer([Dense(UNITS, UNITS, key=KEY), skip], LIF(), name="later")
    network = Network((first, later, readout))
    return jax.tree.map(lambda leaf: 30 * leaf if eqx.is_array(leaf) else leaf, network)


def test_a_graph_does_after_loading_what_it_did(tmp_path):
    original = Hypothesis(ENCODERS["Current"], graph(), DECODERS["MeanMembrane"])
    save(original, tmp_path / "model.npz")
    loaded, _ = load(tmp_path / "model.npz")
    x = jnp.array([0.9, 0.2])
    assert original(x, key=KEY).any()
    np.testing.assert_array_equal(loaded(x, key=KEY), original(x, key=KEY))


def test_files_of_version_1_are_read():
    """Written before networks were graphs: pooling, an ALIF with trained time constants, recurrence and feedback."""
    hypothesis, names = load(Path(__file__).with_name("model-version-1.npz"))
    assert names == ("a", "b") and hypothesis.network.layers[0].feedback.shape == (3, 2)
    scores = hypothesis(jnp.linspace(0, 3, 16).reshape(4, 4), key=jax.random.key(0))
    np.testing.assert_allclose(scores, [0.29188082, -0.04337451], rtol=1e-5)


@pytest.mark.parametrize("package", [neurons, network])
def test_every_class_is_in_a_round_trip(package):
    """A class that is added must be added here."""
    public = {kind for kind in vars(package).values() if isinstance(kind, type) and issubclass(kind, eqx.Module)}
    public = {kind for kind in public if not kind.__name__.startswith("Abstract")}
    met = {type(node) for original in ALL.values() for node in modules(original)}
    drawn_by_trainings = {network.AsGiven, network.FluctuationDriven, network.Redrawn} if package is network else set()
    assert public - drawn_by_trainings <= met


def modules(node):
    """A module and all within it."""
    if isinstance(node, eqx.Module):
        yield node
        node = tuple(vars(node).values())
    if isinstance(node, tuple):
        for part in node:
            yield from modules(part)


def test_the_loaded_decides_as_the_saved(tmp_path):
    original = hypothesis(neuron=NEURONS["trained LIF"])
    original = eqx.tree_at(lambda h: h.network.layers[0].synapses.weight, original, replace_fn=lambda w: 30 * w)
    save(original, tmp_path / "model.npz")
    xs = np.random.default_rng(0).random((40, 2))
    loaded, names = load(tmp_path / "model.npz")
    decisions = predict(loaded, xs)
    assert names == () and len(set(decisions)) == 2
    np.testing.assert_array_equal(decisions, predict(original, xs))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "model.npz"
    save(hypothesis(), path, class_names=("a", "b"))
    return path.read_bytes()


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_is_found_or_harmless(data, whole, tmp_path_factory):
    """A truncated file is refused; one with a flipped bit is refused, or loads as the very same."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(SnnlearnError, match=r"damaged\.npz"):
            load(path)
        return
    position, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << bit
    path.write_bytes(flipped)
    try:
        loaded, names = load(path)
    except SnnlearnError as error:
        assert "damaged.npz" in str(error)
    else:
        assert names == ("a", "b") and eqx.tree_equal(loaded, hypothesis())


def test_the_end_of_a_file_counts(whole, tmp_path):
    path = tmp_path / "model.npz"
    for missing in (1, 22, len(whole) // 2, len(whole)):
        path.write_bytes(whole[:-missing])
        with pytest.raises(SnnlearnError, match="damaged"):
            load(path)


def edited(whole: bytes, tmp_path, change):
    """The model with another structure."""
    path = tmp_path / "model.npz"
    path.write_bytes(whole)
    arrays = read_arrays(path)
    structure = json.loads(arrays["structure"].tobytes())
    arrays["structure"] = np.frombuffer(json.dumps(change(structure)).encode(), np.uint8)
    write_arrays(path, arrays)
    return path


def with_neuron(description):
    def change(structure):
        structure["hypothesis"]["fields"]["network"]["fields"]["layers"]["tuple"][0]["fields"]["neuron"] = description
        return structure

    return change


FOREIGN = {
    "function": {"class": "os.system", "fields": {"command": "true"}},
    "module of this library": {"class": "cli.main", "fields": {}},
    "path": {"class": "neurons.base.AbstractNeuron", "fields": {}},
    "private": {"class": "neurons.__loader__", "fields": {}},
    "abstract": {"class": "neurons.AbstractNeuron", "fields": {}},
    "no class": {"class": "network.feedforward", "fields": {}},
    "tuple class": {"class": "neurons.LIFState", "fields": {"v": 0.0, "firing": None}},
    "missing field": {"class": "neurons.Delayed", "fields": {"steps": 1}},
    "foreign field": {"class": "neurons.FastSigmoid", "fields": {"slope": 1.0, "__class__": "neurons.LIF"}},
    "value out of range": {"class": "neurons.FastSigmoid", "fields": {"slope": -1.0}},
    "missing array": {"array": "nowhere"},
    "list": [1, 2],
    "no name": {"fields": {}},
    "number as name": {"class": 3, "fields": {}},
}


@pytest.mark.parametrize("description", FOREIGN.values(), ids=FOREIGN.keys())
def test_only_this_librarys_classes(description, whole, tmp_path):
    path = edited(whole, tmp_path, with_neuron(description))
    with pytest.raises(SnnlearnError, match=r"does not describe a hypothesis .*; save it again"):
        load(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s | {"version": 3}, "version 3; this snnlearn reads 'snnlearn-model' versions 1 and 2"),
        (lambda s: s | {"format": "other"}, "is of format 'other'"),
        (lambda s: {"format": s["format"]}, "is not a snnlearn model"),
        (lambda s: [s], "is not a snnlearn model"),
        (lambda s: s | {"hypothesis": s["hypothesis"]["fields"]["network"]}, "describes a Network, not a hypothesis"),
        (lambda s: s | {"class_names": 3}, "does not describe"),
    ],
)
def test_other_formats(change, expected, whole, tmp_path):
    with pytest.raises(SnnlearnError, match=expected):
        load(edited(whole, tmp_path, change))


@pytest.mark.parametrize(
    ("layer", "part", "field", "value"),
    [
        (0, "synapses", "in_shape", [2_000_000]),
        (0, "synapses", "out_shape", [UNITS + 1]),
        (0, "recurrent", "in_shape", [1, UNITS]),
        (1, "synapses", "out_shape", [1]),
        (1, "synapses", "weight", "network.layers.0.connections.0.synapses.weight"),
        (1, "neuron", "v_leak", "network.layers.0.connections.0.synapses.weight"),
    ],
)
def test_sizes_are_those_of_the_arrays(layer, part, field, value, whole, tmp_path):
    """What a description says of sizes the kernels go by, past the ends of the arrays."""

    def change(structure):
        layers = structure["hypothesis"]["fields"]["network"]["fields"]["layers"]["tuple"]
        node = {"tuple": value} if isinstance(value, list) else {"array": value}
        fields = layers[layer]["fields"]
        if part == "neuron":
            fields["neuron"]["fields"][field] = node
        else:
            connection = fields["connections"]["tuple"][("synapses", "recurrent").index(part)]
            connection["fields"]["synapses"]["fields"][field] = node
        return structure

    with pytest.raises(SnnlearnError, match="does not describe a hypothesis"):
        load(edited(whole, tmp_path, change))


def test_an_unedited_structure_loads(whole, tmp_path):
    """The control of the tests above."""
    assert load(edited(whole, tmp_path, lambda structure: structure))[1] == ("a", "b")


class Trap:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


def test_never_unpickles(whole, tmp_path):
    path = tmp_path / "model.npz"
    pickle = io.BytesIO()
    np.save(pickle, np.array([Trap()], dtype=object), allow_pickle=True)
    for name in ("structure.npy", "extra.npy"):
        path.write_bytes(whole)
        with zipfile.ZipFile(path) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for entry, content in (entries | {name: pickle.getvalue()}).items():
                archive.writestr(entry, content)
        with pytest.raises(SnnlearnError, match="damaged, or not a file of arrays"):
            load(path)


def test_no_file(tmp_path):
    with pytest.raises(SnnlearnError, match="is not a file"):
        load(tmp_path / "model.npz")


class Mine(neurons.AbstractSurrogate):
    """A surrogate that the library does not have, of which there may be another version elsewhere."""

    slope: float = 1.0

    def primitive(self, x):
        return x

    def pseudo_derivative(self, x):
        return self.slope * jnp.ones_like(x)


class Other(Mine):
    """It has the same name elsewhere, and another field."""

    width: float = 1.0


Other.__module__, Other.__qualname__ = "elsewhere", "Mine"


def test_a_class_of_ones_own_is_what_the_reader_says(tmp_path, monkeypatch):
    path, original = tmp_path / "model.npz", hypothesis(neuron=LIF(surrogate=Mine(3.0)))
    save(original, path)
    refused = rf"holds {__name__}:Mine, .*: load\(path, allow=\(Mine,\)\)"
    with pytest.raises(SnnlearnError, match=refused):
        load(path)
    assert eqx.tree_equal(load(path, allow=(Other, Mine))[0], original)
    with pytest.raises(SnnlearnError, match=r"has fields .'slope', 'width'., not .'slope'."):
        load(path, allow=(Other,))
    monkeypatch.setattr(Mine, "__module__", "moved")
    assert eqx.tree_equal(load(path, allow=(Mine,))[0], original)
    with pytest.raises(SnnlearnError, match=refused):  # which of the two?
        load(path, allow=(Other, Mine))


def test_a_file_alone_imports_nothing(whole, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(tmp_path)
    path = edited(whole, tmp_path, with_neuron({"class": "trap:Neuron", "fields": {}}))
    for allow in ((), (Mine,)):
        with pytest.raises(SnnlearnError, match="holds trap:Neuron, which snnlearn does not have"):
            load(path, allow=allow)


def test_types_that_numpy_lacks(tmp_path):
    net = network.feedforward((3, 4, 2), key=jax.random.key(0))
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16) if eqx.is_inexact_array(w) else w, net)
    original = Hypothesis(coding.Current(num_steps=3), half, coding.MeanMembrane())
    save(original, tmp_path / "half.npz")
    loaded, _ = load(tmp_path / "half.npz")
    assert eqx.tree_equal(loaded, original) and loaded.network.layers[0].synapses.weight.dtype == jnp.bfloat16
