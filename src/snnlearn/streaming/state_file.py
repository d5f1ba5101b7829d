"""States as files: named arrays, bit for bit, written completely or not at all, and read without running anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.model_file import read_arrays, write_arrays
from snnlearn.network.state import kind_of, misfit, named
from snnlearn.network.synapses import is_key

FORMAT, VERSION = "snnlearn-stream", 1

State = TypeVar("State")


def write_state(path: str | os.PathLike, state: Any, digest: str) -> None:
    """Write a state of arrays and whole numbers.

    Args:
        path: the `.npz` file.
        state: the state.
        digest: of that which the state belongs to.

    Raises:
        SnnlearnError: if the file cannot be written.
    """
    arrays = {name: _bits(leaf) for name, leaf in named(state)}
    kinds = {name: kind_of(leaf) for name, leaf in named(state)}
    structure = {"format": FORMAT, "version": VERSION, "digest": digest, "kinds": kinds}
    text = np.frombuffer(json.dumps(structure).encode(), np.uint8)
    write_arrays(Path(path), {"structure": text, **arrays})


def read_state(path: str | os.PathLike, like: State, digest: str) -> State:
    """Read a state of the same structure as another.

    Args:
        path: the file.
        like: a state of the same kind.
        digest: of that which the state has to belong to.

    Raises:
        SnnlearnError: if the file is missing, damaged or no state, or is of another network or learner.
    """
    path = Path(path)
    arrays = read_arrays(path)
    try:
        structure = json.loads(arrays.pop("structure").tobytes())
        found, kinds = (structure["format"], structure["version"]), dict(structure["kinds"])
        of = str(structure["digest"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnnlearnError(f"{path} is not the state of a stream; give a file that save() wrote") from error
    if found != (FORMAT, VERSION):
        raise SnnlearnError(
            f"{path} is of format {found[0]!r} version {found[1]!r}; this snnlearn reads {FORMAT!r} version {VERSION}"
        )
    wanted = {name: kind_of(leaf) for name, leaf in named(like)}
    if (why := misfit(kinds, wanted)) is not None:
        raise SnnlearnError(f"{path} is the state of another network: {why}; give the network that it was saved from")
    if of != digest:
        raise SnnlearnError(
            f"{path} is the state of another network, of the same shapes but with other weights or constants; give "
            "the network that it was saved from"
        )
    try:
        leaves = [_leaf(arrays[name], leaf) for name, leaf in named(like)]
    except (KeyError, ValueError, TypeError) as error:
        raise SnnlearnError(
            f"{path} is damaged: its arrays are not those that it names; restore a good copy"
        ) from error
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _bits(leaf: Any) -> np.ndarray:
    if isinstance(leaf, int):
        return np.asarray(leaf, np.int64)
    if is_key(leaf):
        return np.asarray(jax.random.key_data(leaf))
    array = np.asarray(leaf)
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _leaf(array: np.ndarray, like: Any) -> Any:
    """The array as a leaf such as another.

    Raises:
        ValueError: if it cannot be one.
    """
    if isinstance(like, int):
        if int(array) < 0:  # all of them count
            raise ValueError(f"{array} steps")
        return int(array)
    if is_key(like):
        leaf: Any = jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    else:
        leaf = array.view(like.dtype) if np.dtype(like.dtype).kind == "V" else array
        leaf = leaf if isinstance(like, np.ndarray) else jnp.asarray(leaf)
    if leaf.shape != like.shape or leaf.dtype != like.dtype:
        raise ValueError(f"{leaf.dtype}{leaf.shape}")
    return leaf
