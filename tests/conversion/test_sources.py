"""What other software made: read, and equal to its own activations layer by layer."""

from __future__ import annotations

import sys
import warnings
import zipfile
from pathlib import Path

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import safetensors.numpy
import skops.io
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from snnlearn import SnnlearnError
from snnlearn.coding import Current
from snnlearn.conversion import (
    FittedMLP,
    KerasFile,
    MaximumNormalisation,
    OnnxFile,
    PairwiseMaxima,
    Safetensors,
    SkopsFile,
    TorchFile,
    compare_layers,
    convert,
    verify,
)
from snnlearn.conversion.run import activations
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, unroll
from snnlearn.neurons import Identity, Rectifier

FILES = Path(__file__).parent / "files"
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def arrays(path):
    with np.load(path) as file:
        return dict(file)


def layers_of(network, xs):
    found = activations(network, jnp.asarray(xs)).outputs
    return {layer.name or "output": np.asarray(one) for layer, one in zip(network.layers, found, strict=True)}


def centred(logits):
    """Logits up to what a softmax does not see."""
    return logits - logits.mean(axis=1, keepdims=True)


def close(one, other):
    np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
    assert np.ptp(other) > 0


# --- scikit-learn


def fitted(kind, sizes, x, y, **options):
    with warnings.catch_warnings(action="ignore"):  # it has not converged
        return kind(hidden_layer_sizes=sizes, max_iter=4, solver="lbfgs", random_state=0, **options).fit(x, y)


def test_scikit_learn():
    x = RNG.random((60, 5)).astype(np.float32)
    regressor = fitted(MLPRegressor, (7, 6), x, x @ RNG.random((5, 2)))
    read = FittedMLP(regressor).read()
    assert verify(read, x) < 1e-5
    close(layers_of(read.network, x)["output"], regressor.predict(x))
    for classes in (2, 3):
        y = np.array(["a", "b", "c"])[(classes * x[:, 0]).astype(int)]
        classifier = fitted(MLPClassifier, (7,), x, y)
        read = FittedMLP(classifier).read()
        assert verify(read, x) < 1e-5 and read.class_names == tuple("abc"[:classes]) and "dropped" in read.notes[0]
        scores = layers_of(read.network, x)["output"]
        close(centred(scores), centred(np.log(classifier.predict_proba(x))))


def test_scikit_learn_from_a_file(tmp_path):
    """Which its own decisions and predictions are the oracle of, and which cannot execute anything."""
    expected = arrays(FILES / "scikit_learn.npz")
    read = SkopsFile(FILES / "classifier.skops").read()
    assert verify(read, expected["x"]) < 1e-5 and read.class_names == ("high", "low", "middle")
    found = layers_of(read.network, expected["x"])["output"]
    assert (np.array(read.class_names)[found.argmax(axis=1)] == expected["classes"]).all()
    close(layers_of(SkopsFile(FILES / "regressor.skops").read().network, expected["x"])["output"], expected["values"])
    skops.io.dump(Pipeline([("mlp", MLPClassifier())]), path := tmp_path / "pipeline.skops")
    with pytest.raises(SnnlearnError, match="without coefs_; give a fitted"):
        SkopsFile(path).read()
    skops.io.dump(FunctionTransformer(print), path)
    with pytest.raises(SnnlearnError, match=r"holds builtins.print, which could execute anything"):
        SkopsFile(path).read()


def test_what_scikit_learn_cannot_have_converted():
    x, y = RNG.random((20, 2)), np.arange(20) % 2
    tanh = fitted(MLPClassifier, (3,), x, y, activation="tanh")
    several = fitted(MLPClassifier, (3,), x, np.stack([y, 1 - y, y], axis=1))
    for estimator, match in (
        (tanh, "its activation is 'tanh'"),
        (several, "of 3 labels"),
        (MLPClassifier(), "without coefs_; give a fitted"),
        ("mlp.pkl", "the string 'mlp.pkl'"),
    ):
        with pytest.raises(SnnlearnError, match=match):
            FittedMLP(estimator).read()


# --- Keras


@pytest.mark.parametrize("name", ["keras.keras", "keras.h5"])
def test_keras(name):
    read, expected = KerasFile(FILES / name).read(), arrays(FILES / "keras.npz")
    found = layers_of(read.network, expected["x"])
    assert list(found) == ["r1", "dw", "leaky", "c2", "d1", "output"]
    for layer in ("r1", "dw", "leaky", "c2"):
        close(found[layer], expected[layer].transpose(0, 3, 1, 2))
    close(found["d1"], expected["d1"])
    close(centred(found["output"]), centred(expected["logit"]))
    assert "softmax is dropped" in read.notes[0]


def test_keras_in_one_dimension():
    expected = arrays(FILES / "sequential.npz")
    read = KerasFile(FILES / "sequential.keras").read()
    close(layers_of(read.network, expected["x"])["output"], expected["y"])


def test_max_pooling_of_keras(tmp_path):
    changed(tmp_path / "max.keras", "sequential.keras", "GlobalAveragePooling1D", "GlobalMaxPooling1D")
    read = KerasFile(tmp_path / "max.keras", PairwiseMaxima()).read()
    found = layers_of(read.network, arrays(FILES / "sequential.npz")["x"])
    (weight, bias) = (np.asarray(getattr(dense_of(FILES / "sequential.keras"), name)) for name in ("weight", "bias"))
    close(found["output"], found["conv1d"].max(axis=2) @ weight.T + bias)


def dense_of(path):
    (connection,) = KerasFile(path).read().network.layers[-1].connections
    return connection.synapses.carrier


def changed(path, file, old, new):
    """A Keras file with something else in its architecture."""
    with zipfile.ZipFile(FILES / file) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    assert old.encode() in contents["config.json"]
    contents["config.json"] = contents["config.json"].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as target:
        for name, content in contents.items():
            target.writestr(name, content)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"class_name": "LeakyReLU"', '"class_name": "PReLU"', r"layer \d+, PReLU 'leaky': this kind of layer is not"),
        ('"class_name": "AveragePooling2D"', '"class_name": "MaxPooling2D"', "'pool': the largest of several rates"),
        ('"activation": "relu6"', '"activation": "tanh"', r"Conv2D 'c2': the activation 'tanh' is no sum of rectified"),
        ('"class_name": "Functional"', '"class_name": "Mine"', "holds a Mine; only sequential and functional"),
        ('"layers"', '"lawyers"', "is damaged, or not a Keras model"),
    ],
)
def test_what_keras_cannot_have_converted(tmp_path, old, new, match):
    changed(path := tmp_path / "model.keras", "keras.keras", old, new)
    with pytest.raises(SnnlearnError, match=match):
        KerasFile(path).read()


# --- PyTorch


def test_onnx_of_pytorch():
    read, expected = OnnxFile(FILES / "torch.onnx").read(), arrays(FILES / "torch.npz")
    assert verify(read, expected["x"]) < 1e-5
    close(centred(layers_of(read.network, expected["x"])["output"]), centred(expected["logit"]))


def plain():
    first, second = (
        Conv2d((1, 8, 8), 4, 3, padding=1, use_bias=True, key=KEY),
        Conv2d((4, 4, 4), 4, 3, padding=1, key=KEY),
    )
    return Network(
        (
            Layer(first, Rectifier()),
            Layer(Chain(AveragePool2d((4, 8, 8), 2), second), Rectifier()),
            Layer(Chain(AveragePool2d((4, 4, 4), 2), Dense(16, 3, key=KEY)), Identity()),
        )
    )


def test_safetensors_of_pytorch():
    """With the `module.` of DataParallel, which is dropped and said (snn_toolbox#65), and batch normalisation."""
    read, expected = Safetensors(FILES / "plain.safetensors", plain()).read(), arrays(FILES / "torch.npz")
    assert "'module.'" in read.notes[0]
    close(layers_of(read.network, expected["x8"])["output"], expected["y8"])


def test_a_pickle_is_not_opened_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        SnnlearnError, match=r"weights_only=True\); safetensors\.torch\.save_file\(state, 'plain.safeten"
    ):
        TorchFile(FILES / "plain.pt", plain()).read()


def test_weights_that_do_not_fit_the_architecture(tmp_path):
    wide = eqx_replaced(plain(), Dense(16, 4, key=KEY))
    with pytest.raises(SnnlearnError, match=r"layer 3 needs weights of shape \[4, 16\], and those left .* classifier"):
        Safetensors(FILES / "plain.safetensors", wide).read()
    arrays = safetensors.numpy.load_file(FILES / "plain.safetensors")
    cases = (
        (arrays | {"module.more.weight": np.zeros((2, 2), np.float32)}, "also has more"),
        (arrays | {"module.scale": np.zeros(3, np.float32)}, "which is no layer known here"),
        (
            arrays | {"module.classifier.bias": np.full(3, np.nan, np.float32)},
            "classifier.bias has numbers that are NaN",
        ),
    )
    for changed, match in cases:
        safetensors.numpy.save_file(changed, path := tmp_path / "changed.safetensors")
        with pytest.raises(SnnlearnError, match=match):
            Safetensors(path, plain()).read()


def eqx_replaced(network, dense):
    last = Layer(Chain(AveragePool2d((4, 4, 4), 2), dense), Identity())
    return Network((*network.layers[:-1], last))


# --- ONNX, node by node


def model(tmp_path, nodes, in_shape, **constants):
    path = tmp_path / "model.onnx"
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, *in_shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def node(kind, *inputs, to="y", **attributes):
    return helper.make_node(kind, list(inputs), [to], name=f"a {kind}", **attributes)


def weights(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_every_operator(tmp_path):
    """In one network: paddings of each kind, a concatenation, and batch normalisation after pooling."""
    nodes = [
        node("Transpose", "x", to="t", perm=[0, 3, 1, 2]),
        node("Pad", "t", "pads", to="p"),
        node("Conv", "p", "w1", "b1", to="c", strides=[2, 1], pads=[1, 0, 0, 2], dilations=[1, 2], group=2),
        node("BatchNormalization", "c", "g", "b", "m", "v", to="n", epsilon=0.01),
        node("Relu", "n", to="r"),
        node("AveragePool", "r", to="a", kernel_shape=[2, 3], strides=[1, 2], pads=[0, 1, 1, 1], count_include_pad=1),
        node("Mul", "a", "gain", to="mul"),
        node("Sub", "shift", "mul", to="sub"),
        node("LeakyRelu", "sub", to="l", alpha=0.3),
        node("Conv", "a", "w2", to="same", auto_pad="SAME_UPPER"),
        node("Clip", "same", "zero", "one", to="k"),
        node("Concat", "l", "k", "sub", to="cat", axis=1),
        node("Conv", "cat", "w3", to="mixed"),
        node("Div", "mixed", "two", to="half"),
        node("Identity", "half", to="i"),
        node("Dropout", "i", to="d"),
        node("Relu", "d", to="r2"),
        node("GlobalAveragePool", "r2", to="global"),
        node("Flatten", "global", to="flat"),
        node("Reshape", "r2", "minus", to="long"),
        node("MatMul", "long", "w4", to="mm"),
        node("Add", "mm", "flat", to="sum"),
        node("Relu", "sum", to="r3"),
        node("Gemm", "r3", "w5", "b5", to="gemm", alpha=0.5, beta=2.0, transB=1),
        node("Softmax", "gemm"),
    ]
    channels = [weights(4) for _ in range(3)]
    constants = dict(w1=weights(4, 1, 3, 2), b1=weights(4), g=channels[0], b=channels[1], m=channels[2])
    constants |= dict(
        v=RNG.random(4).astype(np.float32), pads=np.array([0, 0, 1, 0, 0, 0, 0, 2]), gain=weights(4, 1, 1)
    )
    constants |= dict(shift=weights(1, 4, 1, 1), w2=weights(3, 4, 2, 2), zero=np.float32(0), one=np.float32(1))
    constants |= dict(
        w3=weights(2, 11, 1, 1), two=np.float32(2), minus=np.array([0, -1]), w5=weights(3, 2), b5=weights(3)
    )
    path = model(tmp_path, nodes, (6, 7, 2), w4=weights(30, 2), **constants)
    read = OnnxFile(path).read()
    xs = RNG.standard_normal((4, 6, 7, 2)).astype(np.float32)
    assert [layer.name for layer in read.network.layers] == [
        "a Relu",
        "a LeakyRelu",
        "a Clip",
        "a Relu 2",
        "a Relu 3",
        "",
    ]
    assert verify(read, xs) < 1e-5
    values = layers_of(read.network, xs)
    assert all(np.ptp(one) > 0.01 for one in values.values())


def test_max_pooling_by_pairs(tmp_path):
    """It is the maximum of rates, within the bound; the maximum of spikes is that of nothing (spikingjelly#145)."""
    nodes = [
        node("Relu", "x", to="r"),
        node("MaxPool", "r", to="m", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 0]),
        node("Conv", "m", "w", "b", to="c"),
        node("MaxPool", "c", to="n", kernel_shape=[1, 2]),
        node("GlobalMaxPool", "n", to="g"),
        node("Flatten", "g"),
    ]
    path = model(tmp_path, nodes, (2, 5, 6), w=weights(3, 2, 2, 1), b=weights(3))
    read = OnnxFile(path, PairwiseMaxima()).read()
    xs = RNG.random((6, 2, 5, 6)).astype(np.float32)
    assert verify(read, xs) < 1e-5
    converted = convert(read.network, MaximumNormalisation(charge=0.5), xs, encoder=Current(num_steps=256))
    layers = compare_layers(converted, xs)
    assert all(layer.largest <= layer.bound * (1 + 1e-5) for layer in layers)
    assert layers[-1].error < 0.02 * layers[-1].size
    spikes = eqx.filter_jit(unroll)(converted.network, jnp.broadcast_to(xs[0], (256, *xs[0].shape)))[0].outputs[0]
    rates = spikes.mean(axis=0)
    of_spikes, of_rates = (jnp.maximum(one[..., 1:], one[..., :-1]).mean() for one in (spikes, rates))
    assert of_spikes > 1.1 * of_rates
    pads = [node("Conv", "x", "w", to="c"), node("MaxPool", "c", kernel_shape=[2, 2], pads=[1, 1, 0, 0])]
    with pytest.raises(SnnlearnError, match="pads what may be below 0"):
        OnnxFile(model(tmp_path, pads, (1, 3, 3), w=weights(1, 1, 1, 1)), PairwiseMaxima()).read()


def test_a_difference_from_the_reference_names_the_layer(tmp_path):
    """snn_toolbox#96: a model that was padded on the other side differed in all elements, and nobody was told."""
    nodes = [node("Conv", "x", "w", to="c", pads=[0, 1], strides=[2]), node("Relu", "c", to="r"), node("Flatten", "r")]
    read = OnnxFile(model(tmp_path, nodes, (1, 5), w=np.float32([[[1, 2]], [[2, -0.5]]]))).read()
    xs = RNG.random((4, 1, 5)).astype(np.float32)
    assert verify(read, xs) < 1e-5
    padded = read.network.layers[0].connections[0].synapses
    object.__setattr__(padded, "padding", ((1, 0),))
    with pytest.raises(SnnlearnError, match=r"differs from onnx.reference at a Relu, by"):
        verify(read, xs)


REFUSED = {
    "max pooling": (
        [node("MaxPool", "x", to="m", kernel_shape=[2, 2]), node("Relu", "m")],
        "average pooling or strides",
    ),
    "smooth": ([node("Sigmoid", "x", to="s"), node("Relu", "s")], r"node 1, Sigmoid 'a Sigmoid': Sigmoid is no sum"),
    "unknown": ([node("Relu", "x", to="r"), node("Einsum", "r", equation="abcd->abcd")], "node 2, Einsum .* not known"),
    "clip": ([node("Clip", "x", "minus_one", "one")], "clips at -1"),
    "product": ([node("Mul", "x", "x")], "input 2 depends on the data"),
    "samples": ([node("Transpose", "x", perm=[1, 0, 2, 3])], "moves the axis of the samples"),
    "shapes": ([node("Conv", "x", "w", to="c"), node("Add", "x", "c")], "adds tensors of shapes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_onnx_cannot_have_converted(tmp_path, case):
    """Max pooling of spikes is not that of rates (spikingjelly#145); no layer is passed over (spikingjelly#461)."""
    nodes, match = REFUSED[case]
    constants = dict(minus_one=np.float32(-1), one=np.float32(1), w=weights(3, 2, 1, 1))
    with pytest.raises(SnnlearnError, match=match):
        OnnxFile(model(tmp_path, nodes, (2, 4, 4), **constants)).read()


def test_weights_that_are_nan(tmp_path):
    path = model(
        tmp_path,
        [node("Conv", "x", "w", to="c"), node("Relu", "c")],
        (1, 3, 3),
        w=np.full((1, 1, 1, 1), np.nan, np.float32),
    )
    with pytest.raises(SnnlearnError, match="NaN or infinite"):
        OnnxFile(path).read()


# --- files that are broken


@pytest.mark.parametrize("name", ["torch.onnx", "keras.keras", "keras.h5", "plain.safetensors", "classifier.skops"])
def test_broken_files(tmp_path, name):
    def read(path):
        kinds = {"onnx": OnnxFile, "keras": KerasFile, "h5": KerasFile, "skops": SkopsFile}
        return kinds.get(name.split(".")[1], with_network)(path).read()

    def with_network(path):
        return Safetensors(path, plain())

    content = (FILES / name).read_bytes()
    path = tmp_path / name
    for damaged in (b"", b"\x00" * 64, content[: len(content) // 2], content[:-7]):
        path.write_bytes(damaged)
        with pytest.raises(SnnlearnError, match=name):
            read(path)
    with pytest.raises(SnnlearnError, match="is not a file"):
        read(tmp_path)
    for at in RNG.integers(0, len(content), 12):  # a byte that is another gives a network or a sentence
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            read(path)
        except SnnlearnError as error:
            assert "\n" not in str(error)


def test_files_that_mean_harm(tmp_path, monkeypatch):
    """What points out of the file, nests without end, or is small and unpacks to more than there is."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones(9, np.float32).tobytes())
    (tmp_path / "in").mkdir()
    path = model(tmp_path, [node("Conv", "x", "w", to="c"), node("Relu", "c")], (1, 3, 3), w=weights(1, 1, 3, 3))
    for place in ("../secret.bin", str(secret)):
        made = onnx.load(path)
        array = made.graph.initializer[0]
        array.ClearField("raw_data")
        array.data_location = TensorProto.EXTERNAL
        array.external_data.add(key="location", value=place)
        onnx.save(made, outside := tmp_path / "in" / "outside.onnx")
        with pytest.raises(SnnlearnError, match=r"outside\.onnx is damaged, or not an ONNX model"):
            OnnxFile(outside).read()
    changed(deep := tmp_path / "deep.keras", "sequential.keras", '"layers": [', '"layers": ' + "[" * 200_000)
    with pytest.raises(SnnlearnError, match=r"deep\.keras is damaged"):
        KerasFile(deep).read()
    elsewhere, link = FILES / "keras.h5", tmp_path / "link.h5"
    link.write_bytes(elsewhere.read_bytes())
    with h5py.File(link, "r+") as file:
        name = f"model_weights/d1/{next(iter(file['model_weights/d1'].attrs['weight_names']))}"
        del file[name]
        file[name] = h5py.ExternalLink(str(elsewhere), f"/{name}")
    with pytest.raises(SnnlearnError, match=r"'d1': its weights .* are in another file"):
        KerasFile(link).read()
    (long := tmp_path / "long.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(SnnlearnError, match="is damaged, or not a safetensors file"):
        Safetensors(long, plain()).read()
    for kind, file in ((KerasFile, "sequential.keras"), (SkopsFile, "classifier.skops")):
        with zipfile.ZipFile(bomb := tmp_path / file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json" if kind is KerasFile else "schema.json", bytes(10**7))
        assert bomb.stat().st_size < 20_000
        with monkeypatch.context() as patch, pytest.raises(SnnlearnError, match="GB of memory, and this machine has"):
            patch.setattr("snnlearn._memory.memory", lambda: 10**6)
            kind(bomb).read()


def test_thresholds_below_0_are_refused(tmp_path):
    clip = [node("Clip", "x", "zero", "below")]
    path = model(tmp_path, clip, (2, 3, 3), zero=np.float32(0), below=np.float32(-1))
    with pytest.raises(SnnlearnError, match=r"Clip 'a Clip': .*ceiling is -1"):
        OnnxFile(path).read()
    changed(path := tmp_path / "below.keras", "keras.keras", '"max_value": null', '"max_value": -2.0')
    with pytest.raises(SnnlearnError, match=r"ReLU 'r1': .*ceiling is -2"):
        KerasFile(path).read()
