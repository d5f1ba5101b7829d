"""What every value along an axis of choice is: an Equinox module, abstract or final."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from snnlearn._errors import SnnlearnError


class Component(eqx.Module):
    """The base of all that can be exchanged.

    A class is either abstract or final, marked by `typing.final`. What is known of a final class, such as an equation
    that the kernels repeat, would be silently false of a subclass that changes it, so that there can be none.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__[1:]:
            if vars(base).get("__final__", False):
                raise SnnlearnError(
                    f"{cls.__name__}: {base.__name__} is final, since what is known of it may not hold of a subclass; "
                    "hold one and call it, or derive from the same abstract base"
                )
