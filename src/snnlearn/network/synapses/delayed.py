"""Synapses with delays of their own, which can be learned."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import AbstractQuantity, Bounded, Constant, check, plain, shown, value
from snnlearn.network.synapses.arrays import fits_into
from snnlearn.network.synapses.base import AbstractSynapses, ContinuousSynapses
from snnlearn.network.synapses.delay_kernels import AbstractDelayKernel, InterpolatedDelay
from snnlearn.network.synapses.outer import AbstractOuterSynapses


class DelayedState(NamedTuple):
    """The last `max_delay` inputs, `[max_delay, *in]`, the oldest first, and the state of the synapses inside."""

    line: Float[Array, "lags *in"]
    synapses: Any


LINEAR = InterpolatedDelay()


@final
class DelayedSynapses(AbstractOuterSynapses):
    r"""Synapses whose inputs arrive after delays of their own, $i_j^t=\sum_i w_{ji}\sum_n k_n(d_{ji})\,x_i^{t-n}$.

    The kernel says over which steps an input is spread, $\sum_n k_n=1$, so that a delay may be any number of steps and
    has a derivative. One delay for all inputs, or one for each, delays what goes into any synapses; one for each pair
    of input and unit is for `Dense`. A step costs as much as the synapses inside, for pairs `max_delay + 1` times as
    much; where nothing is fed back, layers take all steps at once. The map itself, without time, is that of an input
    that lasts: that of the synapses inside.

    Rules that differentiate or disturb the whole network learn delays, such as `BPTT` and `WeightPerturbation`, as
    does `EventProp`, by the exact times of spikes, whatever the kernel; those that follow what a weight does to the
    currents of the same step refuse them. Redrawing the weights draws delays that are trained, too, uniformly over
    their range.

    Args:
        synapses: the synapses.
        delays: in time steps, from 0 to `max_delay`, in addition to the connection's own. A float or a `Constant` is
            fixed; an array is trained, and starts and stays strictly between them. Its shape is that of the input, or
            broadcasts to it; for a delay of each pair, `[out, in]`, or broadcasts to it by two axes.
        max_delay: the longest that a delay can be, in time steps, ≥ 1.
        kernel: what a delay between two steps does.

    Raises:
        SnnlearnError: for an argument of another kind or out of its range, or delays that do not fit the synapses.

    >>> from snnlearn.network import OneToOne
    >>> late = DelayedSynapses(OneToOne((2,)), jnp.array([0.5, 2.0]), max_delay=3)
    >>> currents, _ = late.all_steps(jnp.zeros((4, 2)).at[0].set(1.0), late.initial_state())
    >>> currents.T.round(3).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """

    synapses: AbstractSynapses
    delays: float | Constant | Bounded
    max_delay: int = eqx.field(static=True)
    kernel: AbstractDelayKernel

    def __init__(self, synapses: AbstractSynapses, delays: Any, max_delay: int, kernel: AbstractDelayKernel = LINEAR):
        self.synapses, self.max_delay, self.kernel = synapses, max_delay, kernel
        check_fields(self, "synapses", "max_delay", "kernel")
        delays = plain(delays)
        if isinstance(delays, jax.Array):
            check(self, f"trained delays above 0 and below max_delay = {max_delay}", self._inside, delays=delays)
            delays = Bounded(delays, float(max_delay))
        self.delays = delays

    def __check_init__(self):
        check_fields(self, "synapses", "max_delay", "kernel")
        if self.max_delay < 1:
            raise SnnlearnError(f"DelayedSynapses: max_delay is {self.max_delay}; give at least 1 time step")
        if isinstance(self.delays, AbstractQuantity) and not isinstance(self.delays, Constant | Bounded):
            raise SnnlearnError(
                f"DelayedSynapses: delays is {shown(self.delays)}; give a number, an array or a Constant"
            )
        expected = f"time steps from 0 to max_delay = {self.max_delay}"
        check(self, expected, lambda d: (d >= 0) & (d <= self.max_delay), delays=self.delays)
        if (shape := jnp.shape(value(self.delays))) and not (self.of_inputs or self.of_pairs):
            pairs = f", or {self._pairs} for one of each pair" if self.synapses.pairs else ""
            raise SnnlearnError(
                f"DelayedSynapses: delays has shape {shape}, and the synapses take {self.in_shape}; give one number, "
                f"or {self.in_shape} for one of each input{pairs}"
            )

    def _inside(self, delays: Any) -> Any:
        return (delays > 0) & (delays < self.max_delay)

    @property
    def _pairs(self) -> tuple[int, int]:
        return (*self.out_shape, *self.in_shape)  # pyright: ignore[reportReturnType]

    @property
    def of_inputs(self) -> bool:
        """Whether an input has the same delay on its way to all units."""
        return fits_into(jnp.shape(value(self.delays)), self.in_shape)

    @property
    def of_pairs(self) -> bool:
        """Whether each pair of input and unit has a delay."""
        shape = jnp.shape(value(self.delays))
        return self.synapses.pairs and len(shape) == 2 and fits_into(shape, self._pairs)

    @property
    def longest_delay(self) -> int:
        """See the base."""
        return self.max_delay + self.synapses.longest_delay

    def initial_state(self) -> DelayedState:
        """See the base."""
        return DelayedState(jnp.zeros((self.max_delay, *self.in_shape)), self.synapses.initial_state())

    def step(self, x: Float[Array, "..."], state: DelayedState) -> tuple[Float[Array, "..."], DelayedState]:
        """See the base."""
        queue = jnp.concatenate([state.line, jnp.reshape(x, (1, *self.in_shape)).astype(state.line.dtype)])
        kernel, latest_first = self._kernel(), queue[::-1]
        if self.of_pairs:
            current = self._biased(jnp.tensordot(kernel, latest_first, ((0, 2), (0, 1))))
            after = state.synapses
        else:
            current, after = self.synapses.step(jnp.sum(kernel * latest_first, axis=0), state.synapses)
        return current, DelayedState(queue[1:], after)

    def all_steps(self, xs: Float[Array, "T ..."], state: DelayedState) -> tuple[Float[Array, "T ..."], DelayedState]:
        """See the base: a convolution in time."""
        xs = xs.reshape(len(xs), *self.in_shape).astype(state.line.dtype)
        queue, num_steps = jnp.concatenate([state.line, xs]), len(xs)
        of_pairs = self.of_pairs

        @jax.checkpoint  # the backward pass cuts the sequences out again instead of keeping one for each lag
        def lag(total, term):
            n, weight = term
            then = jax.lax.dynamic_slice_in_dim(queue, self.max_delay - n, num_steps)
            return total + (then @ weight.T if of_pairs else weight[None] * then), None

        start = jnp.zeros((num_steps, *(self.out_shape if of_pairs else self.in_shape)), queue.dtype)
        total, _ = jax.lax.scan(lag, start, (jnp.arange(self.max_delay + 1), self._kernel()))
        if of_pairs:
            currents, after = jax.vmap(self._biased)(total), state.synapses
        else:
            currents, after = self.synapses.all_steps(total, state.synapses)
        return currents, DelayedState(queue[num_steps:], after)

    @property
    def each_delay(self) -> Float[Array, "*d"]:
        """The delay of each input, `[*in]`, or of each pair, `[out, in]`, in time steps."""
        shape = self._pairs if self.of_pairs else self.in_shape
        return jnp.broadcast_to(jnp.asarray(value(self.delays)), shape)

    def _kernel(self) -> Float[Array, "lags ..."]:
        """The kernel of each input, `[lags, *in]`, or of each pair, times its weight, `[lags, out, in]`."""
        kernel = self.kernel(self.each_delay, self.max_delay)
        return kernel * self.synapses.weight[None] if self.of_pairs else kernel  # pyright: ignore[reportAttributeAccessIssue]

    def _biased(self, currents: Float[Array, " out"]) -> Float[Array, " out"]:
        bias = self.synapses.bias  # pyright: ignore[reportAttributeAccessIssue]
        return currents if bias is None else currents + bias

    @property
    def steady(self) -> bool:
        """What a weight does to a current depends on the inputs before."""
        return False

    def in_continuous_time(self) -> ContinuousSynapses | str:
        """See the base: the delays as they are, whatever the kernel."""
        found = self.synapses.in_continuous_time()
        if isinstance(found, str):
            return found
        if found.delays is not None:
            return "has delays in delays"
        delays = jnp.asarray(value(self.delays))
        delays = delays if self.of_pairs else jnp.ravel(jnp.broadcast_to(delays, self.in_shape))
        return found._replace(delays=jnp.broadcast_to(delays, found.weight.shape))

    def redrawn(self, *, key: PRNGKeyArray) -> "DelayedSynapses":
        """See the base."""
        weights, delays = jax.random.split(key)
        drawn = eqx.tree_at(lambda s: s.synapses, self, self.synapses.redrawn(key=weights))
        if not isinstance(self.delays, Bounded):
            return drawn
        logit = jax.random.logistic(delays, self.delays.logit.shape, self.delays.logit.dtype)  # of a uniform delay
        return eqx.tree_at(lambda s: s.delays.logit, drawn, logit)

    def adjusted(self, gain: Float[Array, "..."], shift: Float[Array, "..."]) -> "DelayedSynapses":
        """See the base."""
        return eqx.tree_at(lambda s: s.synapses, self, self.synapses.adjusted(gain, shift))

    def in_use(self) -> "DelayedSynapses":
        """See the base: with rounded delays, if their kernel only serves training."""
        return self.rounded() if self.kernel.only_trains else self

    def rounded(self) -> "DelayedSynapses":
        """The same synapses with fixed whole delays, and no kernel."""
        return DelayedSynapses(self.synapses, Constant(jnp.round(value(self.delays))), self.max_delay)
