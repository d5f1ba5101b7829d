"""What every value along an axis of choice is: an Equinox module, abstract or final."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from snnlearn._errors import SnnlearnError


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
