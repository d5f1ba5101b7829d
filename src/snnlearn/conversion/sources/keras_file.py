"""Model files of Keras."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.conversion.sources.base import AbstractSource, Artificial
from snnlearn.conversion.sources.graph import Graph, Tensor, convolution, dense
from snnlearn.conversion.sources.max_pooling import AbstractMaxPooling, Refused
from snnlearn.network.synapses import AveragePool, Padded, Transposed
from snnlearn.neurons import ClippedRectifier, LeakyRectifier, Rectifier

_LARGEST_CONFIG = 2**26
_SAME = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
)
_SMOOTH = ("elu", "selu", "gelu", "tanh", "softplus", "softsign", "swish", "silu", "exponential", "sigmoid", "softmax")


@final
class KerasFile(AbstractSource):
    """A model that Keras saved, sequential or functional: `.keras`, or `.h5` with its architecture.

    Layers: InputLayer, Dense, Conv1D, Conv2D, DepthwiseConv2D, BatchNormalization, ReLU, LeakyReLU, Activation,
    AveragePooling, GlobalAveragePooling, MaxPooling, GlobalMaxPooling, ZeroPadding, Flatten, Reshape, Add,
    Subtract, Concatenate, Rescaling, Dropout, and a final softmax or sigmoid, which is dropped. The network takes
    what the model takes, images with channels last. No Keras is needed, and so there is no reference to compare
    with.

    Args:
        path: the file.
        max_pooling: what becomes of MaxPooling and GlobalMaxPooling.
    """

    path: Path
    max_pooling: AbstractMaxPooling = Refused()

    def read(self) -> Artificial:
        """See the base."""
        if not self.path.is_file():
            raise SnnlearnError(f"{self.path} is not a file; give a .keras or .h5 file")
        check_memory(self.path.stat().st_size, str(self.path), "copy it again")
        try:
            if zipfile.is_zipfile(self.path):
                return self._of_zip()
            with h5py.File(self.path, "r") as file:
                if "model_config" not in file.attrs:
                    raise SnnlearnError(
                        f"{self.path} has no architecture (model_config); save the whole model: model.save(path)"
                    )
                config = json.loads(file.attrs["model_config"])  # pyright: ignore[reportArgumentType]
                weights = file["model_weights"] if "model_weights" in file else file
                return _Reading(self, config, weights, by_name=True).artificial()
        except SnnlearnError:
            raise
        except Exception as error:  # HDF5 and zip files raise whatever their parts do, and so does what is in them
            raise SnnlearnError(f"{self.path} is damaged, or not a Keras model; save it again") from error

    def _of_zip(self) -> Artificial:
        with zipfile.ZipFile(self.path) as archive:
            check_memory(sum(member.file_size for member in archive.infolist()), str(self.path), "copy it again")
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise SnnlearnError(f"{self.path} has a config.json that is no architecture; save it again")
            config = json.loads(archive.read("config.json"))
            with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
                return _Reading(self, config, weights, by_name=False).artificial()


class _Reading:
    """One pass over the layers."""

    def __init__(self, file: KerasFile, config: dict[str, Any], weights: Any, *, by_name: bool):
        path = file.path
        self.path, self.max_pooling, self.weights, self.by_name = path, file.max_pooling, weights, by_name
        self.notes: list[str] = []
        kind, content = config["class_name"], config["config"]
        if kind not in ("Sequential", "Functional", "Model"):
            raise SnnlearnError(f"{path} holds a {kind}; only sequential and functional models can be converted")
        self.layers = content["layers"] if isinstance(content, dict) else content
        self.sequential = kind == "Sequential"
        self.outputs = [] if self.sequential else _histories(content["output_layers"])
        self.numbers: dict[str, int] = {}
        self.tensors: dict[str, Tensor] = {}
        self.graph: Graph | None = None

    def artificial(self) -> Artificial:
        """The network."""
        before, last = "", len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            config = layer["config"]
            name = config["name"]
            try:
                final = number == last if self.sequential else [name] == self.outputs
                sources = [before] if self.sequential else list(_histories(layer.get("inbound_nodes", [])))
                self.tensors[name] = self._layer(layer["class_name"], config, sources, final)
            except SnnlearnError as error:
                raise SnnlearnError(
                    f"{self.path}: layer {number + 1}, {layer['class_name']} {name!r}: {error}"
                ) from error
            before = name
        outputs = [before] if self.sequential else self.outputs
        if len(outputs) != 1:
            raise SnnlearnError(f"{self.path} has {len(outputs)} outputs; convert a network of one")
        assert self.graph is not None
        return Artificial(self.graph.network(self.tensors[outputs[0]]), tuple(self.notes))

    def _layer(self, kind: str, config: dict[str, Any], sources: list[str], final: bool) -> Tensor:
        arrays = self._arrays(kind, config["name"])
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if self.graph is None:
            if shape is None or any(side is None for side in shape[1:]):
                raise SnnlearnError(f"the input has the shape {shape}; build the model with all sizes known")
            self.graph = Graph(tuple(shape[1:]))
            self.tensors[""] = _moved(self.graph, self.graph.input, last=False)  # inside, channels are first
            if kind == "InputLayer":
                return self.tensors[""]
        elif kind == "InputLayer":
            raise SnnlearnError("is a second input; convert a network of one")
        if config.get("data_format") == "channels_first":
            raise SnnlearnError("has channels first; only channels last, the default, is known")
        if missing := [source for source in sources if source not in self.tensors]:
            raise SnnlearnError(f"its input {missing[0]!r} is not computed before it")
        inputs = [self.tensors[source] for source in sources]
        after = self._linear(kind, config, inputs, arrays)
        if after is None:
            return self._units(kind, config, inputs[0], final)
        activation = config.get("activation", "linear") if kind != "Activation" else "linear"
        return self._activated(after, activation, config["name"], final)

    def _linear(
        self, kind: str, config: dict[str, Any], inputs: list[Tensor], arrays: list[np.ndarray]
    ) -> Tensor | None:
        graph, x = self.graph, inputs[0]
        assert graph is not None
        axes = len(x.shape) - 1
        match kind:
            case "Dense":
                if len(x.shape) != 1:
                    raise SnnlearnError(f"acts on each position of a tensor of shape {x.shape}; flatten it before")
                return graph.affine(x, dense(arrays[0].T), arrays[1] if config["use_bias"] else None)
            case "Conv1D" | "Conv2D" | "DepthwiseConv2D":
                kernel = np.moveaxis(arrays[0], (-1, -2), (0, 1))
                groups = config.get("groups", 1)
                if kind == "DepthwiseConv2D":  # [*size, channels, multiplier]
                    groups = arrays[0].shape[-2]
                    kernel = np.moveaxis(arrays[0].reshape(*arrays[0].shape[:-2], -1), -1, 0)[:, None]
                stride, dilation = _each(config["strides"], axes), _each(config.get("dilation_rate", 1), axes)
                padding = _padding(config["padding"], x.shape[1:], kernel.shape[2:], stride, dilation)
                synapses = convolution(
                    x.shape, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
                )
                bias = arrays[1].reshape(-1, *(1,) * axes) if config["use_bias"] else None
                return graph.affine(x, synapses, bias)
            case "BatchNormalization":
                return self._normalised(config, x, arrays)
            case "AveragePooling1D" | "AveragePooling2D":
                window = _each(config["pool_size"], axes)
                stride = window if config.get("strides") is None else _each(config["strides"], axes)
                padding = _padding(config["padding"], x.shape[1:], window, stride, (1,) * axes)
                return graph.affine(x, AveragePool(x.shape, window, stride, tuple(padding)))
            case "GlobalAveragePooling1D" | "GlobalAveragePooling2D":
                pooled = graph.affine(x, AveragePool(x.shape, x.shape[1:]))
                return pooled if config.get("keepdims") else graph.reshaped(pooled, x.shape[:1])
            case "MaxPooling1D" | "MaxPooling2D":
                window = _each(config["pool_size"], axes)
                stride = window if config.get("strides") is None else _each(config["strides"], axes)
                padding = _padding(config["padding"], x.shape[1:], window, stride, (1,) * axes)
                return self.max_pooling(graph, x, window, stride, padding, config["name"])
            case "GlobalMaxPooling1D" | "GlobalMaxPooling2D":
                sides = x.shape[1:]
                pooled = self.max_pooling(graph, x, sides, sides, [(0, 0)] * axes, config["name"])
                return pooled if config.get("keepdims") else graph.reshaped(pooled, x.shape[:1])
            case "ZeroPadding1D" | "ZeroPadding2D":
                given = config["padding"]
                two = [given] if axes == 1 else given
                widths = tuple(tuple(_each(sides, 2)) for sides in two)
                return graph.affine(x, Padded(x.shape, ((0, 0), *widths)))  # pyright: ignore[reportArgumentType]
            case "Flatten":
                return graph.reshaped(_moved(graph, x, last=True), (-1,))
            case "Reshape":
                return _moved(
                    graph, graph.reshaped(_moved(graph, x, last=True), tuple(config["target_shape"])), last=False
                )
            case "Add":
                return graph.total(inputs)
            case "Subtract":
                return graph.total([x, graph.scaled(inputs[1], -1.0)])
            case "Concatenate":
                axis, rank = config["axis"], len(x.shape)
                place = axis - 1 if axis > 0 else axis + rank
                if not 0 <= place < rank or axis == 0:
                    raise SnnlearnError(f"joins along axis {axis}; join channels, positions or features")
                return graph.joined(inputs, 0 if place == rank - 1 else place + 1)
            case "Rescaling":
                return graph.scaled(x, config["scale"], config["offset"])
            case _ if kind in _SAME:
                return x
        return None

    def _normalised(self, config: dict[str, Any], x: Tensor, arrays: list[np.ndarray]) -> Tensor:
        axis = config["axis"][0] if isinstance(config["axis"], list) else config["axis"]
        if axis not in (-1, len(x.shape)):
            raise SnnlearnError(f"normalises axis {axis}; only that of channels, the last, is known")
        given = iter(arrays)
        gamma = next(given) if config["scale"] else 1.0
        beta = next(given) if config["center"] else 0.0
        mean, variance = next(given), next(given)
        gain = gamma / np.sqrt(variance + config["epsilon"])
        shape = (-1, *(1,) * (len(x.shape) - 1))
        assert self.graph is not None
        return self.graph.scaled(x, gain.reshape(shape), (beta - gain * mean).reshape(shape))

    def _units(self, kind: str, config: dict[str, Any], x: Tensor, final: bool) -> Tensor:
        assert self.graph is not None
        name = config["name"]
        match kind:
            case "Activation":
                return self._activated(x, config["activation"], name, final)
            case "ReLU":
                slope = config.get("negative_slope") or 0.0
                if config.get("threshold"):
                    raise SnnlearnError("has a threshold; only 0 is known")
                if config.get("max_value") is not None:
                    if slope:
                        raise SnnlearnError("has a slope and a largest value; only one of them is known")
                    return self.graph.units(x, ClippedRectifier(config["max_value"]), name)
                return self.graph.units(x, LeakyRectifier(slope) if slope else Rectifier(), name)
            case "LeakyReLU":
                slope = config.get("negative_slope", config.get("alpha", 0.3))
                return self.graph.units(x, LeakyRectifier(float(slope)), name)
            case "Softmax":
                return self._activated(x, "softmax", name, final)
        raise SnnlearnError("this kind of layer is not known here; rewrite the network with those that KerasFile lists")

    def _activated(self, x: Tensor, activation: Any, name: str, final: bool) -> Tensor:
        assert self.graph is not None
        if activation in (None, "linear"):
            return x
        if activation == "relu":
            return self.graph.units(x, Rectifier(), name)
        if activation == "relu6":
            return self.graph.units(x, ClippedRectifier(6.0), name)
        if activation == "leaky_relu":
            return self.graph.units(x, LeakyRectifier(0.2), name)
        if final and activation in ("softmax", "sigmoid") and (activation == "softmax" or math.prod(x.shape) > 1):
            self.notes.append(f"The final {activation} is dropped: it changes no decision.")
            return x
        why = "is no sum of rectified parts" if activation in _SMOOTH else "is not known here"
        raise SnnlearnError(f"the activation {activation!r} {why}; train the network with relu, relu6 or leaky_relu")

    def _arrays(self, kind: str, name: str) -> list[np.ndarray]:
        """A layer's weights, in the order in which Keras makes them."""
        stem = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", re.sub(r"([^_])([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        stem = re.sub(r"\W+", "", stem).replace("conv2_d", "conv2d").replace("conv1_d", "conv1d")
        number = self.numbers[stem] = self.numbers.get(stem, -1) + 1
        if self.by_name:
            group = self.weights.get(name)
            if group is None:
                return []
            names = [n.decode() if isinstance(n, bytes) else n for n in group.attrs.get("weight_names", ())]
            return [_array(group, one) for one in names]
        group = self.weights.get(f"layers/{stem}_{number}/vars" if number else f"layers/{stem}/vars")
        if group is None:
            return []
        return [_array(group, one) for one in sorted(group, key=int)]


def _array(group: Any, name: str) -> np.ndarray:
    """A dataset of the file itself, and not of another that it points to."""
    dataset = group[name]
    if dataset.file.filename != group.file.filename or dataset.external:
        raise SnnlearnError(f"its weights {name!r} are in another file; save the model again")
    array = np.asarray(dataset, np.float32)
    if not np.all(np.isfinite(array)):
        raise SnnlearnError("has weights that are NaN or infinite; train the network again")
    return array


def _histories(node: Any) -> list[str]:
    """The names of layers that a description of connections mentions, in order and each as often as it does."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "keras_history" in node.get("config", {}):
                yield node["config"]["keras_history"][0]
            else:
                for value in node.values():
                    yield from walk(value)
        elif isinstance(node, (list, tuple)):
            if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
                yield node[0]
            else:
                for value in node:
                    yield from walk(value)

    return list(walk(node))


def _moved(graph: Graph, x: Tensor, *, last: bool) -> Tensor:
    """The channels moved to the end, or from there to the beginning."""
    axes = tuple(range(len(x.shape)))
    order = (*axes[1:], 0) if last else (axes[-1], *axes[:-1])
    shape = tuple(x.shape[axis] for axis in order)
    if sum(side > 1 for side in x.shape) < 2 or x.shape[0 if last else -1] == 1:
        return graph.reshaped(x, shape)  # no number changes its place
    return graph.affine(x, Transposed(x.shape, order))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (int(value),) * axes if isinstance(value, int) else tuple(int(one) for one in value)


def _padding(kind: str, sides: Any, size: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    if kind == "valid":
        return [(0, 0)] * len(size)
    if kind == "causal":
        return [((kernel - 1) * far, 0) for kernel, far in zip(size, dilation, strict=True)]
    if kind != "same":
        raise SnnlearnError(f"the padding {kind!r} is not known here")
    total = [
        max((-(-side // step) - 1) * step + (kernel - 1) * far + 1 - side, 0)
        for side, kernel, step, far in zip(sides, size, stride, dilation, strict=True)
    ]
    return [(n // 2, n - n // 2) for n in total]
