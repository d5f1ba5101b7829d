"""What every value along an axis of choice is: an Equinox module, abstract or final."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax

from snnlearn._errors import SnnlearnError

Tree = TypeVar("Tree")


class Component(eqx.Module):
    """The base of everything that can be exchanged.

    A class is either abstract or final, marked by `typing.final`. Facts about a final class, such as an equation that
    the kernels repeat, would silently be wrong for a subclass that changes it, so it cannot have subclasses.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__[1:]:
            if vars(base).get("__final__", False):
                raise SnnlearnError(
                    f"{cls.__name__}: {base.__name__} is final, since a subclass could break what other code knows "
                    f"about it; "
                    "hold an instance and call it, or derive from the same abstract base"
                )

    def in_use(self) -> Any:
        """What takes its place where nothing is trained: itself, unless some of it only serves training."""
        return self


def in_use(tree: Tree) -> Tree:
    """The network as it is validated and kept, without what only serves training.

    Units are no longer dropped (`Dropout`), and delays whose kernel only trains (`GaussianDelay`) are rounded. What
    algorithms return is already so.

    Args:
        tree: a network, or a part of one.

    >>> from snnlearn.neurons import GELU, Delayed, Dropout
    >>> in_use(Delayed(Dropout(GELU(), 0.1), steps=2)) == Delayed(GELU(), steps=2)
    True
    """

    def only_trains(node: Any) -> bool:
        return isinstance(node, Component) and node.in_use() is not node

    # What takes a component's place may hold further ones.
    return jax.tree.map(lambda node: in_use(node.in_use()) if only_trains(node) else node, tree, is_leaf=only_trains)
