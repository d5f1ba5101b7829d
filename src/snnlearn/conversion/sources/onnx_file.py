"""ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.conversion.sources.base import OUTPUT, AbstractSource, Artificial, Reference
from snnlearn.conversion.sources.graph import Graph, Tensor, convolution, dense
from snnlearn.conversion.sources.max_pooling import AbstractMaxPooling, Refused
from snnlearn.network.synapses import AveragePool, Padded, Transposed
from snnlearn.neurons import ClippedRectifier, LeakyRectifier, Rectifier


@final
class OnnxFile(AbstractSource):
    """An ONNX file (needs the extra `onnx`), such as `torch.onnx.export(model, x, "model.onnx")` writes.

    Operators: Gemm, MatMul, Add, Sub, Mul, Div, Conv (1-D, 2-D), BatchNormalization, Relu, Clip, LeakyRelu,
    AveragePool, GlobalAveragePool, MaxPool, GlobalMaxPool, ReduceMean, Flatten, Reshape, Squeeze, Unsqueeze,
    Transpose, Concat, Pad, Identity, Dropout, Constant, and a final Softmax, LogSoftmax or ArgMax, which is
    dropped. The reference is ONNX's own evaluator.

    Args:
        path: the file.
        max_pooling: what becomes of MaxPool.
    """

    path: Path
    max_pooling: AbstractMaxPooling = Refused()

    def read(self) -> Artificial:
        """See the base."""
        onnx = _onnx(self.path)
        if not self.path.is_file():
            raise SnnlearnError(f"{self.path} is not a file; give an ONNX file")
        check_memory(self.path.stat().st_size, str(self.path), "copy it again")
        try:
            model = onnx.load(str(self.path))
            onnx.checker.check_model(model)
        except Exception as error:  # protobuf and the checker raise whatever their parts do
            raise SnnlearnError(f"{self.path} is damaged, or not an ONNX model; export it again") from error
        return _Reading(onnx, model, self.path, self.max_pooling).artificial()


def _onnx(path: Path) -> Any:
    try:
        import onnx  # pyright: ignore[reportMissingImports]
        import onnx.reference  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise SnnlearnError(f"{path} needs the package onnx; install it with pip install 'snnlearn[onnx]'") from error
    return onnx


_DROPPED = ("Softmax", "LogSoftmax", "ArgMax", "Sigmoid")


class _Reading:
    """One pass over the nodes, in their order."""

    def __init__(self, onnx: Any, model: Any, path: Path, max_pooling: AbstractMaxPooling):
        self.onnx, self.model, self.path, self.max_pooling = onnx, model, path, max_pooling
        self.constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        self.tensors: dict[str, Tensor] = {}
        self.units: dict[str, str] = {}
        self.notes: list[str] = []
        inputs = [one for one in model.graph.input if one.name not in self.constants]
        if len(inputs) != 1 or len(model.graph.output) != 1:
            raise SnnlearnError(
                f"{path} has {len(inputs)} inputs and {len(model.graph.output)} outputs; convert a network of one each"
            )
        self.input = inputs[0].name
        sides = [one.dim_value for one in inputs[0].type.tensor_type.shape.dim]
        if len(sides) < 2 or any(side < 1 for side in sides[1:]):
            raise SnnlearnError(
                f"{path}: its input has the shape {sides}; export it with all sizes known, but that of the batch"
            )
        self.fixed_batch = sides[0]
        self.graph = Graph(tuple(sides[1:]))
        self.tensors[self.input] = self.graph.input

    def artificial(self) -> Artificial:
        """The network."""
        nodes = list(self.model.graph.node)
        output = self.model.graph.output[0].name
        last = output
        for number, node in enumerate(nodes):
            try:
                if node.op_type in _DROPPED and output in node.output and node.input[0] in self.tensors:
                    last = node.input[0]
                    self.notes.append(f"The final {node.op_type} is dropped: it changes no decision.")
                    continue
                self._take(node)
            except SnnlearnError as error:
                name = node.name or (node.output[0] if node.output else "")
                raise SnnlearnError(f"{self.path}: node {number + 1}, {node.op_type} {name!r}: {error}") from error
        if last not in self.tensors:
            raise SnnlearnError(f"{self.path}: its output {last!r} does not depend on its input; export it again")
        network = self.graph.network(self.tensors[last])
        return Artificial(network, tuple(self.notes), (), Reference("onnx.reference", self._evaluator(last)))

    def _evaluator(self, last: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        def activations(xs: np.ndarray) -> dict[str, np.ndarray]:
            wanted = [*self.units.values(), last]
            found = list(self.model.graph.output)
            del self.model.graph.output[:]
            try:
                self.model.graph.output.extend(self.onnx.ValueInfoProto(name=name) for name in dict.fromkeys(wanted))
                evaluator = self.onnx.reference.ReferenceEvaluator(self.model)
                size = self.fixed_batch or len(xs)
                full = np.concatenate([xs, np.zeros((-len(xs) % size, *xs.shape[1:]), xs.dtype)])
                batches = np.split(full, len(full) // size)
                results = [evaluator.run(None, {self.input: batch}) for batch in batches]
            finally:
                del self.model.graph.output[:]
                self.model.graph.output.extend(found)
            arrays = [np.concatenate(parts)[: len(xs)] for parts in zip(*results, strict=True)]
            by_name = dict(zip(dict.fromkeys(wanted), arrays, strict=True))
            return {name: by_name[tensor] for name, tensor in self.units.items()} | {OUTPUT: by_name[last]}

        return activations

    def _take(self, node: Any) -> None:
        values = {one.name: self.onnx.helper.get_attribute_value(one) for one in node.attribute}
        known = [name in self.constants or not name for name in node.input]
        if node.op_type == "Constant":
            self.constants[node.output[0]] = _constant(self.onnx, values)
            return
        if all(known):
            if node.op_type not in (
                "Identity",
                "Shape",
                "Reshape",
                "Concat",
                "Cast",
                "Unsqueeze",
                "Gather",
                "Transpose",
            ):
                raise SnnlearnError("computes on constants; simplify the file (constant folding) and export it again")
            self._fold(node)
            return
        if node.op_type == "Shape":
            self.constants[node.output[0]] = np.array([1, *self.tensors[node.input[0]].shape], np.int64)
            return
        make = getattr(self, f"_{node.op_type.lower()}", None)
        if make is None:
            raise SnnlearnError(_advice(node.op_type))
        for name in node.input:
            if name and name not in self.tensors and name not in self.constants:
                raise SnnlearnError(f"its input {name!r} is not computed before it; export the file again")
        self.tensors[node.output[0]] = make(node, values)

    def _fold(self, node: Any) -> None:
        one = self.onnx.helper.make_graph([node], "one", [], [self.onnx.ValueInfoProto(name=node.output[0])], [])
        model = self.onnx.helper.make_model(one, opset_imports=self.model.opset_import)
        model.graph.input.extend(self.onnx.ValueInfoProto(name=name) for name in node.input if name)
        feed = {name: self.constants[name] for name in node.input if name}
        self.constants[node.output[0]] = self.onnx.reference.ReferenceEvaluator(model).run(None, feed)[0]

    def _x(self, node: Any, place: int = 0) -> Tensor:
        if node.input[place] not in self.tensors:
            raise SnnlearnError(f"its input {place + 1} is a constant; export it with the weights second")
        return self.tensors[node.input[place]]

    def _of(self, node: Any, place: int, default: Any = None) -> Any:
        """A constant input."""
        if place >= len(node.input) or not node.input[place]:
            return default
        if node.input[place] not in self.constants:
            raise SnnlearnError(f"its input {place + 1} depends on the data; only a constant can be converted")
        array = self.constants[node.input[place]]
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise SnnlearnError(f"its input {place + 1} has numbers that are NaN or infinite; train the network again")
        return array

    def _gemm(self, node: Any, values: dict[str, Any]) -> Tensor:
        if values.get("transA", 0):
            raise SnnlearnError("transposes its input, and with it the samples; export it without transA")
        weight = self._of(node, 1) * values.get("alpha", 1.0)
        bias = self._of(node, 2)
        bias = None if bias is None else bias * values.get("beta", 1.0)
        return self._dense(self._x(node), weight if values.get("transB", 0) else weight.T, bias)

    def _matmul(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._dense(self._x(node), self._of(node, 1).T, None)

    def _dense(self, x: Tensor, weight: np.ndarray, bias: np.ndarray | None) -> Tensor:
        if weight.ndim != 2 or len(x.shape) != 1 or weight.shape[1] != x.shape[0]:
            raise SnnlearnError(f"multiplies a tensor of shape {x.shape} by a matrix of shape {weight.T.shape}")
        return self.graph.affine(x, dense(weight), bias)

    def _add(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._sum(node, 1.0)

    def _sub(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._sum(node, -1.0)

    def _sum(self, node: Any, sign: float) -> Tensor:
        first, second = node.input
        if first in self.constants:
            return self.graph.scaled(self._x(node, 1), sign, self._of(node, 0))
        if second in self.constants:
            return self.graph.scaled(self._x(node), 1.0, sign * self._of(node, 1))
        other = self._x(node, 1)
        return self.graph.total([self._x(node), other if sign > 0 else self.graph.scaled(other, sign)])

    def _mul(self, node: Any, values: dict[str, Any]) -> Tensor:
        place = 1 if node.input[0] in self.constants else 0
        return self.graph.scaled(self._x(node, place), self._of(node, 1 - place))

    def _div(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self.graph.scaled(self._x(node), 1.0 / self._of(node, 1))

    def _conv(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, weight, bias = self._x(node), self._of(node, 1), self._of(node, 2)
        axes = weight.ndim - 2
        size, stride = weight.shape[2:], values.get("strides", [1] * axes)
        dilation = values.get("dilations", [1] * axes)
        synapses = convolution(
            x.shape,
            weight,
            stride=stride,
            padding=_padding(values, x.shape[1:], size, stride, dilation),
            dilation=dilation,
            groups=values.get("group", 1),
        )
        return self.graph.affine(x, synapses, None if bias is None else bias.reshape(-1, *(1,) * axes))

    def _batchnormalization(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        gamma, beta, mean, variance = (self._of(node, place) for place in (1, 2, 3, 4))
        gain = gamma / np.sqrt(variance + values.get("epsilon", 1e-5))
        shape = (-1, *(1,) * (len(x.shape) - 1))
        return self.graph.scaled(x, gain.reshape(shape), (beta - gain * mean).reshape(shape))

    def _activation(self, node: Any, neuron: Any) -> Tensor:
        name = node.name or node.output[0]
        tensor = self.graph.units(self._x(node), neuron, name)
        self.units[tensor.terms[0].source] = node.output[0]
        return tensor

    def _relu(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._activation(node, Rectifier())

    def _leakyrelu(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._activation(node, LeakyRectifier(values.get("alpha", 0.01)))

    def _clip(self, node: Any, values: dict[str, Any]) -> Tensor:
        low = self._of(node, 1, np.asarray(values.get("min", -np.inf)))
        high = self._of(node, 2, np.asarray(values.get("max", np.inf)))
        if float(low) != 0:
            raise SnnlearnError(f"clips at {float(low):g}; only a clip from 0 has units that do not spike for nothing")
        return self._activation(node, Rectifier() if np.isinf(high) else ClippedRectifier(float(high)))

    def _averagepool(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, size = self._x(node), values["kernel_shape"]
        stride = values.get("strides", [1] * len(size))
        if values.get("ceil_mode", 0) or set(values.get("dilations", [1])) != {1}:
            raise SnnlearnError("has ceil_mode or dilations; export it without")
        pads = _padding(values, x.shape[1:], size, stride, [1] * len(size))
        counts = bool(values.get("count_include_pad", 0))
        pool = AveragePool(x.shape, tuple(size), tuple(stride), tuple(pads), count_padding=counts)
        return self.graph.affine(x, pool)

    def _maxpool(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, size = self._x(node), values["kernel_shape"]
        stride = values.get("strides", [1] * len(size))
        if values.get("ceil_mode", 0) or set(values.get("dilations", [1])) != {1}:
            raise SnnlearnError("has ceil_mode or dilations; export it without")
        pads = _padding(values, x.shape[1:], size, stride, [1] * len(size))
        return self.max_pooling(self.graph, x, size, stride, pads, node.name or node.output[0])

    def _globalmaxpool(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        none = [(0, 0)] * len(x.shape[1:])
        return self.max_pooling(self.graph, x, x.shape[1:], x.shape[1:], none, node.name or node.output[0])

    def _globalaveragepool(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        return self.graph.affine(x, AveragePool(x.shape, x.shape[1:]))

    def _reducemean(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        axes = self._of(node, 1, values.get("axes"))
        axes = sorted(int(axis) % (len(x.shape) + 1) for axis in (() if axes is None else axes))
        if axes != list(range(2, len(x.shape) + 1)):
            raise SnnlearnError(f"takes the mean over axes {axes}; only that over all positions of an image is known")
        pooled = self.graph.affine(x, AveragePool(x.shape, x.shape[1:]))
        return pooled if values.get("keepdims", 1) else self.graph.reshaped(pooled, x.shape[:1])

    def _flatten(self, node: Any, values: dict[str, Any]) -> Tensor:
        if values.get("axis", 1) != 1:
            raise SnnlearnError(f"flattens from axis {values['axis']}; only 1, all but the samples, is known")
        return self.graph.reshaped(self._x(node), (-1,))

    def _reshape(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, shape = self._x(node), [int(n) for n in self._of(node, 1)]
        if not shape or shape[0] not in (-1, 0, 1, self.fixed_batch) or shape[1:].count(-1) > (shape[0] != -1):
            raise SnnlearnError(f"reshapes to {shape}, which mixes samples; keep the first axis")
        return self.graph.reshaped(x, tuple(x.shape[k] if n == 0 else n for k, n in enumerate(shape[1:])))

    def _squeeze(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        axes = self._of(node, 1, values.get("axes"))
        gone = [k + 1 for k, n in enumerate(x.shape) if n == 1] if axes is None else axes
        gone = {int(axis) % (len(x.shape) + 1) for axis in gone}
        if any(axis == 0 or x.shape[axis - 1] != 1 for axis in gone):
            raise SnnlearnError(f"removes axes {sorted(gone)} of a tensor [samples, {x.shape}]")
        return self.graph.reshaped(x, tuple(n for k, n in enumerate(x.shape, start=1) if k not in gone))

    def _unsqueeze(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, axes = self._x(node), self._of(node, 1, values.get("axes"))
        shape = [*x.shape]
        for axis in sorted(int(axis) % (len(x.shape) + 1 + len(axes)) for axis in axes):
            if axis == 0:
                raise SnnlearnError("adds an axis before the samples")
            shape.insert(axis - 1, 1)
        return self.graph.reshaped(x, tuple(shape))

    def _transpose(self, node: Any, values: dict[str, Any]) -> Tensor:
        x, axes = self._x(node), values.get("perm", ())
        if not axes or axes[0] != 0:
            raise SnnlearnError(f"moves the axis of the samples (perm = {list(axes)}); keep it first")
        return self.graph.affine(x, Transposed(x.shape, tuple(axis - 1 for axis in axes[1:])))

    def _concat(self, node: Any, values: dict[str, Any]) -> Tensor:
        parts = [self._x(node, place) for place in range(len(node.input))]
        axis = values["axis"] % (len(parts[0].shape) + 1)
        if axis == 0:
            raise SnnlearnError("joins samples; join channels or features")
        return self.graph.joined(parts, axis - 1)

    def _pad(self, node: Any, values: dict[str, Any]) -> Tensor:
        x = self._x(node)
        pads = self._of(node, 1, values.get("pads"))
        mode, fill = values.get("mode", b"constant"), self._of(node, 2, np.asarray(values.get("value", 0.0)))
        half = len(pads) // 2
        if mode != b"constant" or float(fill) != 0 or pads[0] or pads[half] or (len(node.input) > 3 and node.input[3]):
            raise SnnlearnError("pads with something else than zeros around each sample; export it with zeros")
        widths = tuple((int(pads[k]), int(pads[half + k])) for k in range(1, half))
        return self.graph.affine(x, Padded(x.shape, widths))

    def _identity(self, node: Any, values: dict[str, Any]) -> Tensor:
        return self._x(node)

    _dropout = _identity


def _constant(onnx: Any, values: dict[str, Any]) -> np.ndarray:
    if "value" in values:
        return onnx.numpy_helper.to_array(values["value"])
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        if name in values:
            return np.asarray(values[name])
    raise SnnlearnError(f"is a constant of the kind {', '.join(values)}; only numbers are known")


def _padding(values: dict[str, Any], sides: Any, size: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    """Zeros before and after along each axis."""
    auto, axes = values.get("auto_pad", b"NOTSET"), len(size)
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [
            max((-(-side // step) - 1) * step + (kernel - 1) * far + 1 - side, 0)
            for side, kernel, step, far in zip(sides, size, stride, dilation, strict=True)
        ]
        small = [(n // 2, n - n // 2) for n in total]
        return small if auto == b"SAME_UPPER" else [(b, a) for a, b in small]
    pads = [0] * (2 * axes) if auto == b"VALID" else values.get("pads", [0] * (2 * axes))
    return list(zip(pads[:axes], pads[axes:], strict=True))


def _advice(operator: str) -> str:
    """What to do about an operator that cannot be converted."""
    smooth = ("Sigmoid", "Tanh", "Elu", "Selu", "Gelu", "Softplus", "HardSwish", "Softmax", "Erf", "Celu", "Mish")
    if operator in smooth:
        return f"{operator} is no sum of rectified parts; train the network with Relu, LeakyRelu or Clip from 0"
    return f"{operator} is not known here; rewrite the network with the operators that OnnxFile lists"
