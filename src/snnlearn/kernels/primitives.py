"""Primitives of JAX that call the kernels: how they are compiled, and what `vmap` makes of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from snnlearn._errors import SnnlearnError


def new_primitive(name: str, function, shapes) -> Primitive:
    """A primitive that is a function of its arguments, fixed forms, and a number of steps.

    Args:
        name: its name.
        function: what it computes, of the same arguments.
        shapes: of arguments, forms and number of steps, what it gives.
    """
    primitive = Primitive(name)
    primitive.multiple_results = True

    @partial(jax.jit, static_argnames=("forms", "num_steps"))
    def compiled(*args, forms, num_steps):
        return primitive.bind(*args, forms=forms, num_steps=num_steps)

    primitive.def_impl(compiled)
    primitive.def_abstract_eval(
        lambda *args, forms, num_steps: [ShapedArray(a.shape, a.dtype) for a in shapes(args, forms, num_steps)]
    )
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=True))
    ad.primitive_jvps[primitive] = _no_second_derivative
    return primitive


def _no_second_derivative(*_: Any, **__: Any) -> Any:
    """The first is a primitive of its own, so whoever comes here asks for the next."""
    raise SnnlearnError(
        "the compiled kernels have first derivatives only, and a second one was asked for; trace it within "
        "`with snnlearn.kernels.plain():`, which runs plain JAX"
    )


def batch_by(primitive: Primitive, shared) -> None:
    """Give a primitive its rule of `vmap`: a larger batch if only samples differ, a loop if weights do, too.

    Args:
        primitive: the primitive.
        shared: of each argument whether all samples share it.
    """

    def rule(args, dims, *, forms, num_steps):
        size = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)
        bind = partial(primitive.bind, forms=forms, num_steps=num_steps)
        args = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
        batched = [d is not None for d in dims]
        share = shared(forms) if shared is not None else None
        if share is not None and not any(b and s for b, s in zip(batched, share, strict=True)):
            merged = []
            for a, b, s in zip(args, batched, share, strict=True):
                if not s:
                    a = a if b else jnp.broadcast_to(a, (size, *a.shape))
                    a = a.reshape(a.shape[0] * a.shape[1], *a.shape[2:])
                merged.append(a)
            results, samples = bind(*merged), args[0].shape[1 if batched[0] else 0]
            return [r.reshape(size, samples, *r.shape[1:]) for r in results], [0] * len(results)

        def one(varying):
            varying = iter(varying)
            return bind(*(next(varying) if b else a for a, b in zip(args, batched, strict=True)))

        results = jax.lax.map(one, [a for a, b in zip(args, batched, strict=True) if b])
        return results, [0] * len(results)

    batching.primitive_batchers[primitive] = rule


def flat_list(tree) -> list:
    """The arrays of what several things are zipped to."""
    return jax.tree.leaves(list(tree))
