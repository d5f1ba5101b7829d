"""What is refused for its shape."""

import math
from typing import Any

from snnlearn._errors import SnnlearnError


def check_fit(owner: str, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
    """Refuse two consecutive parts if the output of the first and the input of the second differ in size.

    Raises:
        SnnlearnError: naming both shapes.
    """
    if math.prod(out_shape) != math.prod(in_shape):
        raise SnnlearnError(
            f"{owner}: one part has output {out_shape} and the next input {in_shape}; make their sizes equal"
        )


def check_steps(owner: str, in_shape: tuple[int, ...], axes: tuple[str, ...], **inputs: Any) -> None:
    """Refuse inputs that do not have the size of the network's input in each step.

    Args:
        owner: the caller, for the message.
        in_shape: of one step's input.
        axes: what comes before it, `("T",)` for one sample, `("B", "T")` for a batch.
        inputs: by name.

    Raises:
        SnnlearnError: naming the input, its shape and what to give.
    """

    def fits(shape: tuple[int, ...], leading: int) -> bool:
        return len(shape) >= leading and math.prod(shape[leading:]) == math.prod(in_shape)

    for name, array in inputs.items():
        if not fits(array.shape, len(axes)):
            if len(axes) == 1 and fits(array.shape, 2):
                hint = "; of a batch give each sample by itself, with jax.vmap"
            elif len(axes) == 2 and fits(array.shape, 1):
                hint = f"; of one sample make a batch, {name}[None]"
            else:
                hint = ""
            wanted = ", ".join([*axes, *map(str, in_shape)])
            raise SnnlearnError(f"{owner}: {name} has shape {array.shape}; give [{wanted}]{hint}")
