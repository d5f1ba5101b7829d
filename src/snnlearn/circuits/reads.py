"""Read noise: weights are read with noise, which is drawn anew with each step, sample or chip, or wanders as 1/f."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive, number
from snnlearn.circuits.base import AbstractEffect, by_place
from snnlearn.circuits.conductances import DifferentialPair
from snnlearn.circuits.spreads import AbstractSpread
from snnlearn.circuits.weights import changed_weights, each_connection, each_weight, weights
from snnlearn.network import AbstractOuterSynapses, AbstractSynapses, Network


class AbstractCourse(Component):
    """How noise goes on in time: a standard normal process for each device."""

    @abstractmethod
    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """The state before a sample; a key in it is replaced by one for each sample.

        Args:
            shape: of the devices.
        """

    @abstractmethod
    def __call__(self, shape: tuple[int, ...], state: Any, dt: float) -> tuple[Float[Array, "..."], Any]:
        """The noise of this step, `[*shape]`, and the next state.

        Args:
            shape: of the devices.
            state: as `initial_state` or an earlier step gave it.
            dt: time step, s.
        """

    def applied(self, reads: "NoisyReads", network: Network, *, key: PRNGKeyArray) -> Network:
        """The network whose weights are read with this noise."""

        def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
            if not weights(synapses):
                return synapses
            return Read(synapses, reads.spread, reads.pair, self, network.dt)  # pyright: ignore[reportCallIssue]

        return each_connection(network, of, key=key)


@final
class EachStep(AbstractCourse):
    """White noise: drawn anew for each read, which is each time step."""

    def initial_state(self, shape: tuple[int, ...]) -> PRNGKeyArray:
        """See the base."""
        return jax.random.key(0)

    def __call__(self, shape: tuple[int, ...], state: PRNGKeyArray, dt: float) -> tuple[Float[Array, "..."], Any]:
        """See the base."""
        later, now = jax.random.split(state)
        return jax.random.normal(now, shape), later


@final
class EachSample(AbstractCourse):
    """Drawn anew for each sample, and the same in all of its steps."""

    def initial_state(self, shape: tuple[int, ...]) -> PRNGKeyArray:
        """See the base."""
        return jax.random.key(0)

    def __call__(self, shape: tuple[int, ...], state: PRNGKeyArray, dt: float) -> tuple[Float[Array, "..."], Any]:
        """See the base."""
        return jax.random.normal(state, shape), state


@final
class EachChip(AbstractCourse):
    """Drawn once, when the network is deployed: deploy it again for each batch, and it is noise of the batch.

    It becomes part of the weights, so kernels run the network as before.
    """

    def initial_state(self, shape: tuple[int, ...]) -> None:
        """See the base."""
        return None

    def __call__(self, shape: tuple[int, ...], state: None, dt: float) -> tuple[Float[Array, "..."], None]:
        """None is left: it is in the weights."""
        return jnp.zeros(shape), None

    def applied(self, reads: "NoisyReads", network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def drawn(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            noise = by_place(jax.random.normal, weight.shape, key=key)
            return weight + deviation(weight, reads.spread, reads.pair) * noise.astype(weight.dtype)

        return each_weight(reads, network, drawn, key=key)


class FlickerState(NamedTuple):
    """The processes, `[bands, *shape]`, whether they have begun, and the key of what comes next."""

    values: Float[Array, "bands ..."]
    begun: Bool[Array, ""]
    key: PRNGKeyArray


@final
class Flicker(AbstractCourse):
    r"""1/f noise: the mean of AR(1) processes whose correlation times are spaced evenly on a logarithmic scale.

    $n^t=K^{-1/2}\sum_k x_k^t$, $x_k^t=a_kx_k^{t-1}+\sqrt{1-a_k^2}\,\xi_k^t$, $a_k=e^{-dt/\tau_k}$. The power spectrum
    is that of 1/f between $1/2\pi\tau_{slow}$ and $1/2\pi\tau_{fast}$, and the autocorrelation after l steps
    $\frac1K\sum_k a_k^l$, from the first step on. Samples are independent. The state takes K numbers for each weight
    and sample, however long a sample is.

    Args:
        fastest: the shortest correlation time, s, > 0.
        slowest: the longest, s, > `fastest`.
        bands: K, ≥ 2; two for each decade give 1/f within a few per cent.

    Raises:
        SnnlearnError: for times that are not positive or in another order, or fewer than two bands.

    >>> [round(t, 6) for t in Flicker(fastest=1e-3, slowest=0.1, bands=3).times]
    [0.001, 0.01, 0.1]
    """

    fastest: float = eqx.field(converter=number, default=1e-3)
    slowest: float = eqx.field(converter=number, default=1.0)
    bands: int = eqx.field(static=True, default=6)

    def __check_init__(self):
        check_fields(self, "bands")
        check_positive(self, fastest=self.fastest, slowest=self.slowest)
        if self.fastest >= self.slowest:
            raise SnnlearnError(
                f"Flicker: fastest is {self.fastest} s, not below slowest = {self.slowest} s; give the shortest and "
                "the longest correlation time"
            )
        if self.bands < 2:
            raise SnnlearnError(f"Flicker: bands is {self.bands}; give at least 2, or use EachStep for white noise")

    @property
    def times(self) -> tuple[float, ...]:
        """The correlation times, s."""
        return tuple(np.geomspace(self.fastest, self.slowest, self.bands).tolist())

    def initial_state(self, shape: tuple[int, ...]) -> FlickerState:
        """See the base."""
        return FlickerState(jnp.zeros((self.bands, *shape)), jnp.array(False), jax.random.key(0))

    def __call__(self, shape: tuple[int, ...], state: FlickerState, dt: float) -> tuple[Float[Array, "..."], Any]:
        """See the base."""
        later, now = jax.random.split(state.key)
        decay = jnp.exp(-dt / jnp.array(self.times)).reshape(-1, *(1,) * len(shape))
        decay = jnp.where(state.begun, decay, 0.0)  # the first values have the law of all later ones
        values = decay * state.values + jnp.sqrt(1 - decay**2) * jax.random.normal(now, (self.bands, *shape))
        return values.sum(axis=0) / self.bands**0.5, FlickerState(values, jnp.array(True), later)


class ReadState(NamedTuple):
    """The state of the synapses inside, and of the noise of each array of weights."""

    synapses: Any
    noise: tuple[Any, ...]


@final
class Read(AbstractOuterSynapses):
    r"""Synapses whose weights are read with noise that depends on the conductance, $w+\sigma_w(w)\,n^t$.

    Noise is not part of the derivative by the weights.

    Args:
        synapses: the synapses whose weights are read.
        spread: σ(G) of a device.
        pair: how weights become conductances.
        course: how noise goes on in time.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a part of another kind, or a time step that is not positive.
    """

    synapses: AbstractSynapses
    spread: AbstractSpread
    pair: DifferentialPair
    course: AbstractCourse
    dt: float = eqx.field(converter=number)

    def __check_init__(self):
        check_fields(self, "synapses", "spread", "pair", "course")
        check_positive(self, dt=self.dt)

    def initial_state(self) -> ReadState:
        """See the base."""
        noise = tuple(self.course.initial_state(weight.shape) for weight in weights(self.synapses))
        return ReadState(self.synapses.initial_state(), noise)

    def step(self, x: Float[Array, "..."], state: ReadState) -> tuple[Float[Array, "..."], ReadState]:
        """See the base."""
        after = list(state.noise)

        def read(weight: Float[Array, "..."], which: int) -> Float[Array, "..."]:
            noise, after[which] = self.course(weight.shape, state.noise[which], self.dt)
            return weight + deviation(weight, self.spread, self.pair) * noise.astype(weight.dtype)

        current, synapses = changed_weights(self.synapses, read).step(x, state.synapses)
        return current, ReadState(synapses, tuple(after))

    @property
    def selects(self) -> bool:
        """As those inside do."""
        return self.synapses.selects

    @property
    def steady(self) -> bool:
        """As those inside are, if they hold all the weights: noise is added to these."""
        return self.synapses.steady and self.synapses.carrier is self.synapses


@final
class NoisyReads(AbstractEffect):
    """Each read of a device gives another conductance, with a deviation that depends on it.

    Only `EachChip` leaves a network that the kernels run; the others have a state, and run as plain JAX.

    Args:
        spread: σ(G) of a device, such as `PcmRead(time=3600.0)`.
        course: when noise is drawn: `EachStep`, `EachSample`, `EachChip`, or always a little, as 1/f noise (`Flicker`).
        pair: how weights become conductances.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import EachSample, PcmRead
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = NoisyReads(PcmRead(time=3600.0), EachSample())(network, key=jax.random.key(1))
    >>> chip.layers[0].draws
    True
    """

    spread: AbstractSpread
    course: AbstractCourse = EachStep()
    pair: DifferentialPair = DifferentialPair()

    def __check_init__(self):
        check_fields(self, "spread", "course", "pair")

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return self.course.applied(self, network, key=key)


def deviation(weight: Float[Array, "..."], spread: AbstractSpread, pair: DifferentialPair) -> Float[Array, "..."]:
    """The standard deviation of weights: that of the difference of two devices. It is no part of derivatives."""
    each = pair.conductances(jax.lax.stop_gradient(weight))
    return jnp.hypot(spread(each.plus), spread(each.minus)) * pair.per_siemens(weight)
