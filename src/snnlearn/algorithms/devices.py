"""Where a training runs: on one device, or on several that share each batch, in one process or in many."""

from __future__ import annotations

import zlib
from typing import Any, TypeVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, PRNGKeyArray

from snnlearn._errors import SnnlearnError

AXIS = "devices"
T = TypeVar("T")


@final
class Devices(eqx.Module):
    """Devices that share each batch.

    All run the same program. Each has all weights, optimiser state and data, and computes a share of each batch and of
    the validation sample; gradients, losses and errors are summed over all devices. Up to the rounding of these sums,
    many devices do the same as one. Rules that draw random numbers draw different ones.

    Args:
        mesh: the devices along one axis, named `devices`; None for JAX's default device only.

    >>> Devices().count, Devices.all().count == jax.device_count()
    (1, True)
    """

    mesh: Mesh | None = eqx.field(static=True, default=None)

    @classmethod
    def all(cls) -> Devices:
        """All devices of this process and, after `jax.distributed.initialize`, of the others."""
        return cls(Mesh(np.array(jax.devices()), (AXIS,)))

    @property
    def count(self) -> int:
        """The number of devices."""
        return 1 if self.mesh is None else self.mesh.size

    # ------------------------------------------------------------------------------------------ outside of the program

    def put(self, tree: T) -> T:
        """The arrays on each device, given equal ones in each process."""
        if self.mesh is None:
            return tree
        mesh, everywhere = self.mesh, NamedSharding(self.mesh, PartitionSpec())

        def put(leaf: Any) -> Any:
            if not eqx.is_array(leaf):
                return leaf
            if is_key(leaf):
                return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
            copies = [jax.device_put(leaf, device) for device in mesh.local_devices]
            return jax.make_array_from_single_device_arrays(leaf.shape, everywhere, copies)

        return jax.tree.map(put, tree)

    def get(self, tree: T) -> T:
        """The arrays on one of this process's devices, equal to those on the others."""
        if self.mesh is None:
            return tree
        return jax.tree.map(lambda leaf: leaf.addressable_data(0) if eqx.is_array(leaf) else leaf, tree)

    def agreed(self, tree: T) -> T:
        """The first process's arrays, in all of them, bit for bit."""
        if self.mesh is None or jax.process_count() == 1:
            return tree
        leaves, structure = jax.tree.flatten(tree)
        raw = [np.asarray(_bits(leaf)) for leaf in leaves if eqx.is_array(leaf)]
        sent = np.frombuffer(b"".join(a.tobytes() for a in raw), np.uint8)
        bits = np.asarray(multihost_utils.broadcast_one_to_all(sent))
        parts = iter(np.split(bits, np.cumsum([a.nbytes for a in raw])))

        def received(leaf: Any) -> Any:
            if not eqx.is_array(leaf):
                return leaf
            mine = _bits(leaf)
            array = jnp.asarray(next(parts).view(mine.dtype).reshape(mine.shape))
            return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if is_key(leaf) else array

        return jax.tree.unflatten(structure, [received(leaf) for leaf in leaves])

    def check_equal(self, tree: Any, what: str) -> None:
        """Refuse arrays that differ between processes.

        Args:
            tree: the arrays.
            what: a name for them, for the error.

        Raises:
            SnnlearnError: if they differ.
        """
        if self.mesh is None or jax.process_count() == 1:
            return
        fingerprint = 0
        for leaf in jax.tree.leaves(tree):
            fingerprint = zlib.crc32(np.ascontiguousarray(leaf).data, fingerprint)
        found = multihost_utils.process_allgather(np.array([fingerprint], np.uint32)).ravel()
        if others := np.flatnonzero(found != found[0]).tolist():
            raise SnnlearnError(f"{what} of process {others[0]} differ from those of process 0; give all the same")

    # --------------------------------------------------------------------------------------------- within the program

    def run(self, function: Any, *args: Any) -> Any:
        """`function(*args)`, which only returns arrays, on each device; it may use the methods below."""
        if self.mesh is None:
            return function(*args)
        arrays, constants = eqx.partition(args, eqx.is_array)
        whole = PartitionSpec()
        return jax.shard_map(
            lambda arrays: function(*eqx.combine(arrays, constants)),
            mesh=self.mesh,
            in_specs=(whole,),
            out_specs=whole,
            check_vma=False,  # that the results are equal follows from the sums, not from their types
        )(arrays)

    def share(self, tree: T) -> tuple[T, Bool[Array, " share"]]:
        """This device's share of arrays `[m, …]`, and which of its rows count.

        All shares have ⌈m / count⌉ rows. Where m is no multiple of the number of devices the last ones overlap;
        a row then counts only on the first device that has it.
        """
        length = len(jax.tree.leaves(tree)[0])
        if self.mesh is None:
            return tree, jnp.ones(length, bool)
        size = -(-length // self.count)
        first = jax.lax.axis_index(AXIS) * size
        start = jnp.minimum(first, length - size)
        part = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), tree)
        return part, start + jnp.arange(size) >= first

    def total(self, tree: T) -> T:
        """The sum over the devices."""
        return tree if self.mesh is None else jax.lax.psum(tree, AXIS)

    def mean(self, tree: T) -> T:
        """The mean over the devices."""
        return tree if self.mesh is None else jax.lax.pmean(tree, AXIS)

    def own(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """A different random key on each device."""
        return key if self.count == 1 else jax.random.fold_in(key, jax.lax.axis_index(AXIS))


ONE_DEVICE = Devices()
"""JAX's default device alone."""


def is_key(leaf: Any) -> bool:
    """Whether it is an array of random keys."""
    return eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _bits(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf
