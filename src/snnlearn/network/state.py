"""What a state is made of, and whether it is that of a network."""

from __future__ import annotations

from typing import Any

import jax

from snnlearn._errors import SnnlearnError


def check_fits(owner: str, state: Any, like: Any, *, of_kind: bool = True) -> None:
    """Refuse a state of other shapes.

    Args:
        owner: the caller, for the message.
        state: the state.
        like: one of the right shapes.
        of_kind: whether types have to be the same, too.

    Raises:
        SnnlearnError: naming the layer, the shape that it has, and the one expected.
    """
    there, wanted = ({name: kind_of(leaf) for name, leaf in named({"layers": tree})} for tree in (state, like))
    if not of_kind:
        there = {name: wanted[name][:1] + kind[1:] if name in wanted else kind for name, kind in there.items()}
    if (why := misfit(there, wanted)) is not None:
        raise SnnlearnError(f"{owner}: the state is that of another network: {why}; give a state of this one")


def misfit(there: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """The first array that is not as it should be."""
    for name in [*wanted, *there]:
        parts, shown = name.split("."), name
        if "layers" in parts[:-1]:
            number, *inside = parts[parts.index("layers") + 1 :]
            shown = f"{'.'.join(inside)} of layer {int(number) + 1}"
        if name not in there:
            return f"it has no {shown}, which should be {_shown(wanted[name])}"
        if name not in wanted:
            return f"it has {shown}, {_shown(there[name])}, which should not be there"
        if list(there[name]) != list(wanted[name]):
            return f"{shown} is {_shown(there[name])}, and should be {_shown(wanted[name])}"
    return None


def _shown(kind: Any) -> str:
    name, *shape = kind
    return f"{name}{shape}"


def named(state: Any) -> list[tuple[str, Any]]:
    """Its arrays, by where they are."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def kind_of(leaf: Any) -> list[Any]:
    """Its type and its shape; a whole number of Python's has none."""
    return ["int"] if isinstance(leaf, int) else [str(leaf.dtype), *leaf.shape]
