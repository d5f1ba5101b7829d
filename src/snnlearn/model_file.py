"""The model file: a hypothesis as arrays and a description of its structure. Loading one never executes code.

It is a NumPy `.npz` archive. The entry `structure` is JSON in UTF-8, as bytes; it is a tree of

- `{"class": "neurons.LIF", "fields": {…}}`, a class of this library and all of its fields; any other class is called
  `"module:Class"`, and the reader has to pass it: nothing is imported because a file names it,
- `{"tuple": […]}`,
- `{"array": "network.layers.0.connections.0.synapses.weight"}`, the entry of the archive that holds the array; with
  `"bits_of": "bfloat16"` its bits, as NumPy has no such type,
- numbers, strings, true, false and null for themselves.

Its root is `{"format": "snnlearn-model", "version": 2, "hypothesis": …, "class_names": […]}`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically
from snnlearn._memory import check_memory
from snnlearn._parameters import shown
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import BEFORE, ITSELF, Layer, Network, unroll
from snnlearn.neurons import CURRENT

FORMAT, VERSION = "snnlearn-model", 2
_PACKAGES = ("coding", "neurons", "network", "hypothesis", "circuits")


@checked
def save(hypothesis: Hypothesis, path: str | os.PathLike, *, class_names: tuple[str, ...] = ()) -> None:
    """Write a hypothesis to a file, completely or not at all.

    Args:
        hypothesis: the hypothesis; to load it, classes that are not from this library must be passed.
        path: the `.npz` file.
        class_names: names of the classes, if any.

    Raises:
        SnnlearnError: if an argument is of another kind, or the hypothesis holds what a file cannot describe.
    """
    arrays: dict[str, np.ndarray] = {}
    structure = {
        "format": FORMAT,
        "version": VERSION,
        "hypothesis": _describe(hypothesis, "", arrays),
        "class_names": list(class_names),
    }
    text = np.frombuffer(json.dumps(structure).encode(), np.uint8)
    write_arrays(Path(path), {"structure": text, **arrays})


@checked
def load(path: str | os.PathLike, *, allow: Sequence[type] = ()) -> tuple[Hypothesis, tuple[str, ...]]:
    """Read a hypothesis, and the names of its classes, from a file that `save` wrote.

    Args:
        path: the `.npz` file.
        allow: the classes that it may contain besides this library's. A class that has since moved to another module is
            recognised by its name.

    Raises:
        SnnlearnError: if the file is missing, damaged, no model, of another version, or holds a class that is not
            allowed.
    """
    path = Path(path)
    known = isinstance(allow, Sequence) and all(isinstance(one, type) and issubclass(one, eqx.Module) for one in allow)
    if not known:
        raise SnnlearnError(f"load: allow is {shown(allow)}; give classes of components, such as allow=(MyNeuron,)")
    arrays = read_arrays(path)
    names_of_others: list[str] = []

    def note(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(name := node.get("class"), str) and ":" in name:
            names_of_others.append(name)
        return node

    try:
        structure = json.loads(arrays.pop("structure").tobytes(), object_hook=note)
        found = structure["format"], structure["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnnlearnError(f"{path} is not a snnlearn model; give the model.npz of a training") from error
    if found not in ((FORMAT, 1), (FORMAT, VERSION)):
        raise SnnlearnError(
            f"{path} is of format {found[0]!r} version {found[1]!r}; this snnlearn reads {FORMAT!r} versions 1 and "
            f"{VERSION}: use another version, or train again"
        )
    own = {name: _allowed(name, allow) for name in sorted(names_of_others)}
    if missing := [name for name, cls in own.items() if cls is None]:
        classes = ", ".join(name.partition(":")[2] for name in own) + "," * (len(own) == 1)
        raise SnnlearnError(
            f"{path} holds {' and '.join(missing)}, which snnlearn does not have; import the classes and allow them: "
            f"load(path, allow=({classes}))"
        )
    check_finite(path, arrays)
    try:
        hypothesis = _construct(structure["hypothesis"], arrays, own)
        names = tuple(map(str, structure["class_names"]))
        if isinstance(hypothesis, Hypothesis):
            _check_sizes(hypothesis.network)
    except (LookupError, ArithmeticError, TypeError, ValueError, AttributeError, ImportError, RecursionError) as error:
        # What is no ValueError speaks of Python or JAX.
        reason = error if isinstance(error, (ValueError, LookupError)) else "its parts do not fit together"
        raise SnnlearnError(f"{path} does not describe a hypothesis ({reason}); save it again") from error
    if not isinstance(hypothesis, Hypothesis):
        raise SnnlearnError(f"{path} describes a {type(hypothesis).__name__}, not a hypothesis; save it again")
    return hypothesis, names


def digest(*parts: Any) -> str:
    """A number by which components are told from others: by their classes, fields and arrays, to the bit.

    Args:
        parts: components, arrays, or what these are made of; of functions the name alone counts.
    """

    def walk(node: Any) -> Any:
        if isinstance(node, eqx.Module):
            fields = {field.name: walk(getattr(node, field.name)) for field in dataclasses.fields(node)}
            return [_own_name(type(node)), fields]
        if isinstance(node, (tuple, list)):
            return list(map(walk, node))
        if isinstance(node, dict):
            return {str(name): walk(value) for name, value in node.items()}
        if isinstance(node, (jax.Array, np.ndarray)):
            array = np.asarray(node)
            return [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
        return f"{node.__module__}.{node.__qualname__}" if hasattr(node, "__qualname__") else repr(node)

    return hashlib.sha256(json.dumps(walk(parts)).encode()).hexdigest()


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as an `.npz` archive, completely or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises:
        SnnlearnError: if the file is damaged, or holds anything but arrays of numbers.
    """
    if not path.is_file():  # such as a pipe, whose end would be waited for
        raise SnnlearnError(f"{path} is not a file; give a file of arrays, such as a run's model.npz")
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            check_memory(sum(member.file_size for member in archive.infolist()), str(path), "copy it again")
            file.seek(0)
            arrays = dict(np.load(file, allow_pickle=False))
    except SnnlearnError:
        raise
    except Exception as error:  # NumPy raises whatever its parts do: of a header alone eight kinds are known
        raise SnnlearnError(f"{path} is damaged, or not a file of arrays; restore it from a good copy") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "buifV":
            raise SnnlearnError(f"{path} holds {name}, which is not an array of numbers; restore it from a good copy")
    return arrays


def check_finite(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that are not finite.

    Raises:
        SnnlearnError: naming the first that holds NaN or infinity.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise SnnlearnError(f"{path} holds {name}, which has numbers that are NaN or infinite; train again")


def _describe(node: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, eqx.Module):
        names = (f"{package}.{type(node).__name__}" for package in _PACKAGES)
        known = next((name for name in names if _find(name) is type(node)), _own_name(type(node)))
        fields = {
            field.name: _describe(getattr(node, field.name), f"{name}.{field.name}", arrays)
            for field in dataclasses.fields(node)
        }
        return {"class": known, "fields": fields}
    if isinstance(node, tuple):
        return {"tuple": [_describe(item, f"{name}.{position}", arrays) for position, item in enumerate(node)]}
    if isinstance(node, (jax.Array, np.ndarray)):
        array, name = np.asarray(node), name.removeprefix(".")
        if array.dtype.kind == "V":  # such as bfloat16, which NumPy's files have no word for
            arrays[name] = array.view(f"u{array.dtype.itemsize}")
            return {"array": name, "bits_of": array.dtype.name}
        arrays[name] = array
        return {"array": name}
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise SnnlearnError(f"save: {name.removeprefix('.')} is a {type(node).__name__}, which a file cannot describe")


def _own_name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _allowed(name: str, allow: Sequence[type]) -> type[eqx.Module] | None:
    """The class of this name; if there is none, the only one of that name in another module."""
    exactly = [cls for cls in allow if _own_name(cls) == name]
    moved = [cls for cls in allow if cls.__qualname__ == name.partition(":")[2]]
    found = exactly or moved
    return found[0] if len(set(found)) == 1 else None


def _construct(node: Any, arrays: dict[str, np.ndarray], own: Mapping[str, type[eqx.Module] | None]) -> Any:
    if not isinstance(node, dict):
        if isinstance(node, float) and math.isnan(node):  # an infinite threshold is that of a unit that never spikes
            raise ValueError("a number is NaN")
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        raise ValueError(f"unexpected {node!r}")
    if "array" in node:
        array = arrays[node["array"]]
        if (kind := node.get("bits_of")) is not None:
            array = array.view(jnp.dtype(str(kind)))
            if not np.all(np.isfinite(array.astype(np.float32))):
                raise ValueError(f"{node['array']} is not finite")
        return jnp.asarray(array)
    if "tuple" in node:
        return tuple(_construct(item, arrays, own) for item in node["tuple"])
    name = str(node["class"])
    cls = own.get(name) or _find(name)
    if cls is None:
        raise ValueError(f"there is no class {node['class']!r}")
    if cls is Layer:
        _to_version_2(node["fields"])
    names = {field.name for field in dataclasses.fields(cls)}
    if names != set(node["fields"]):
        raise ValueError(f"{node['class']} has fields {sorted(names)}, not {sorted(node['fields'])}")
    # Past __init__, which would draw new weights; the classes' checks are run all the same.
    module = object.__new__(cls)
    for name, value in node["fields"].items():
        object.__setattr__(module, name, _construct(value, arrays, own))
    for parent in cls.__mro__:
        if "__check_init__" in vars(parent):
            vars(parent)["__check_init__"](module)
    return module


def _to_version_2(fields: dict[str, Any]) -> None:
    """Convert a layer of version 1, which had input and recurrent synapses, to connections."""
    if "synapses" not in fields:
        return
    pairs = (("synapses", BEFORE), ("recurrent", ITSELF))
    given = [(fields.pop(name), source) for name, source in pairs]
    connections = [
        {"class": "network.Connection", "fields": {"synapses": s, "source": source, "port": CURRENT, "delay": 0}}
        for s, source in given
        if s is not None
    ]
    fields |= {"connections": {"tuple": connections}, "name": ""}


def _check_sizes(network: Network) -> None:
    """Refuse a network whose arrays do not have the sizes in its description, by an abstract step.

    Raises:
        ValueError: or whatever else the step meets.
    """
    x = jax.ShapeDtypeStruct((1, *network.in_shape), jnp.result_type(float))
    with jax.numpy_dtype_promotion("standard"):
        activity, _ = jax.eval_shape(lambda x: unroll(network, x), x)
    for number, (layer, output) in enumerate(zip(network.layers, activity.outputs, strict=True), start=1):
        if output.shape[1:] != layer.out_shape:
            raise ValueError(f"layer {number} should give {layer.out_shape} and gives {output.shape[1:]}")


def _find(name: str) -> type[eqx.Module] | None:
    """A class of this library by the names of its package and itself, None for anything else."""
    package, _, attribute = name.partition(".")
    if package not in _PACKAGES:
        return None
    found = getattr(importlib.import_module(f"snnlearn.{package}"), attribute, None)
    return found if isinstance(found, type) and issubclass(found, eqx.Module) else None
