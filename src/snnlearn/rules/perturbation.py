"""Rules without derivatives: they perturb the network and observe the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, check_positive, split, trained_part
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.network.graph import propagate
from snnlearn.rules.base import AbstractRule, by_step, going_on, mean_loss, start_state
from snnlearn.rules.forward_gradient import drawn_like
from snnlearn.rules.online import of_layers


class AbstractBlackBoxRule(AbstractRule):
    """A rule that needs no more than mean losses of networks, however they are found: computed, or measured."""

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    @abstractmethod
    def estimate(
        self, network: Network, loss_of: Callable[[Network], Float[Array, ""]], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Network]:
        """The loss of a network and an estimate of its gradient.

        Args:
            network: the network.
            loss_of: the mean loss of a network of the same structure over the batch.
            key: random key of the perturbations.
        """

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        return self.estimate(network, lambda n: mean_loss(n, loss, inputs, targets, key=key), key=key)


@final
class WeightPerturbation(AbstractBlackBoxRule):
    r"""Weight perturbation, $\hat g=\frac{\mathcal L(\theta+\psi)-\mathcal L(\theta-\psi)}{2\sigma^2}\psi$.

    The mean of K such estimates, $\psi\sim N(0,\sigma^2)$ on every parameter (Werfel, Xie & Seung 2005,
    doi:10.1162/089976605774320539). It is unbiased for the gradient of the loss smoothed by that noise, with real
    spikes: no surrogate is involved. All samples of a batch have the same noise.

    Args:
        sigma: σ, standard deviation of the noise, in the unit of the parameters, > 0.
        num_samples: K pairs of opposite perturbations, ≥ 1.

    Raises:
        SnnlearnError: for a value out of range.
    """

    sigma: float = 0.01
    num_samples: int = 1

    def __check_init__(self):
        _check(self, self.sigma, num_samples=self.num_samples)

    def reference(self) -> AbstractRule:
        """Itself: that of the loss smoothed by its noise."""
        return self

    def estimate(
        self, network: Network, loss_of: Callable[[Network], Float[Array, ""]], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""

        def estimate(key):
            noise, plus, minus = _opposite_pair(network, loss_of, self.sigma, key)
            return jax.tree.map(lambda psi: (plus - minus) / (2 * self.sigma**2) * psi, noise)

        estimates = jax.lax.map(estimate, jax.random.split(key, self.num_samples))
        return loss_of(network), jax.tree.map(lambda g: jnp.mean(g, axis=0), estimates)


@final
class EvolutionStrategy(AbstractBlackBoxRule):
    r"""An evolution strategy of opposite pairs with rank-shaped fitness (Salimans et al. 2017).

    doi:10.48550/arXiv.1703.03864. $\hat g=\frac1{2K\sigma}\sum_k(u_k^+-u_k^-)\,\epsilon_k$: of 2K perturbed networks,
    each loss is replaced by its rank, centred to [−½, ½]. This is robust against outliers, but biased: the length of
    the gradient says nothing about the slope of the loss.

    Args:
        sigma: σ, standard deviation of the noise, > 0.
        num_pairs: K, ≥ 1.

    Raises:
        SnnlearnError: for a value out of range.
    """

    sigma: float = 0.01
    num_pairs: int = 16

    def __check_init__(self):
        _check(self, self.sigma, num_pairs=self.num_pairs)

    def reference(self) -> AbstractRule:
        """Weight perturbation of the same noise, without ranks."""
        return WeightPerturbation(self.sigma, self.num_pairs)

    def estimate(
        self, network: Network, loss_of: Callable[[Network], Float[Array, ""]], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        keys = jax.random.split(key, self.num_pairs)

        def losses(key):
            _, plus, minus = _opposite_pair(network, loss_of, self.sigma, key)
            return plus, minus

        def weighted(pair):
            key, weight = pair
            return jax.tree.map(lambda psi: weight * psi / self.sigma, _noise(network, self.sigma, key))

        fitness = jnp.concatenate(jax.lax.map(losses, keys))
        ranks = jnp.argsort(jnp.argsort(fitness)).astype(fitness.dtype) / (len(fitness) - 1) - 0.5
        plus, minus = jnp.split(ranks, 2)
        estimates = jax.lax.map(weighted, (keys, (plus - minus) / (2 * self.sigma)))
        return loss_of(network), jax.tree.map(lambda g: jnp.mean(g, axis=0), estimates)


@final
class NodePerturbation(AbstractRule):
    r"""Node perturbation, $\hat g_W=\frac{\mathcal L(\xi)-\mathcal L(0)}{\sigma^2}\sum_t\xi^t x^{t\top}$.

    The mean of K such estimates. Noise $\xi\sim N(0,\sigma^2)$ is added to every unit's current in every step,
    independently for each sample of the batch; x is the input of the synapses in the perturbed run (Fiete & Seung 2006,
    doi:10.1103/PhysRevLett.97.048104). It is unbiased for the gradient of the expected loss under that noise,
    with real spikes: no surrogate is involved. The noise is drawn twice instead of stored, to save memory.

    Trained arrays of neurons get no credit from currents, and are refused.

    Args:
        sigma: σ, standard deviation of the noise, in the unit of the current, > 0.
        num_samples: K, ≥ 1.

    Raises:
        SnnlearnError: for a value out of range.
    """

    sigma: float = 0.1
    num_samples: int = 1

    def __check_init__(self):
        _check(self, self.sigma, num_samples=self.num_samples)

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def reference(self) -> AbstractRule:
        """Itself: that of the loss smoothed by its noise."""
        return self

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        for number, layer in enumerate(network.layers, start=1):
            if jax.tree.leaves(trained_part(layer.neuron)):
                raise SnnlearnError(
                    f"NodePerturbation disturbs currents and gives no credit to a neuron's own arrays, which layer "
                    f"{number} has; make them constants, or use WeightPerturbation or BPTT"
                )
            for synapses in (connection.synapses for connection in layer.connections):
                if not synapses.steady:
                    raise SnnlearnError(
                        f"NodePerturbation gives credit by what a weight does to currents of the same step, which in "
                        f"{type(synapses).__name__} synapses, as layer {number} has them, depends on their state; use "
                        "WeightPerturbation or BPTT"
                    )
        check_one_dt(self, network.dt, loss=loss)
        xs = numbers(by_step(inputs))
        rest = start_state(network, len(targets), key=key)
        undisturbed = jax.vmap(loss)(_disturbed(network, rest, xs, 0.0, key), targets)
        on = going_on(loss, targets, len(xs))

        def estimate(key):
            change = jax.vmap(loss)(_disturbed(network, rest, xs, self.sigma, key), targets) - undisturbed
            weights = jnp.broadcast_to(change / (self.sigma**2 * len(targets)), xs.shape[:2])
            weights = weights if on is None else jnp.where(on, weights, 0.0)  # noise after the end changes no loss
            return _correlated(network, rest, xs, self.sigma, weights, key)

        estimates = jax.lax.map(estimate, jax.random.split(key, self.num_samples))
        return jnp.mean(undisturbed), jax.tree.map(lambda g: jnp.mean(g, axis=0), estimates)


def _step_disturbed(
    network: Network, states: Any, x: Float[Array, "B ..."], sigma: float, key: PRNGKeyArray
) -> tuple[Any, list[Array], list[Any], list[Sequence[Array]]]:
    """One step of a batch with noise on the currents: states, and each layer's outputs, noise and inputs."""
    noises, inputs = [], []
    keys = jax.random.split(key, len(network.layers))

    def bring(number: int, arriving: Sequence[Array], states: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        inputs.append(arriving)
        current, after = jax.vmap(network.layers[number].currents)(arriving, tuple(states))
        noises.append(jax.tree.map(lambda n: sigma * n, drawn_like(current, jax.random.normal, key=keys[number])))
        return jax.tree.map(jnp.add, current, noises[-1]), after

    def fire(number: int, current: Any, state: Any) -> tuple[Array, Any]:
        return jax.vmap(network.layers[number].neuron)(current, state)

    outputs, after = propagate(network.layers, x, states, bring, fire, each=jax.vmap)
    return after, outputs, noises, inputs


def _disturbed(
    network: Network, rest: Any, xs: Float[Array, "T B ..."], sigma: float, key: PRNGKeyArray
) -> tuple[Float[Array, "B T ..."], ...]:
    """Each layer's output."""

    def step(states, now):
        x, k = now
        states, outputs, _, _ = _step_disturbed(network, states, x, sigma, k)
        return states, outputs

    _, outputs = jax.lax.scan(step, rest, (xs, jax.random.split(key, len(xs))))
    return tuple(jnp.swapaxes(output, 0, 1) for output in outputs)


def _correlated(
    network: Network,
    rest: Any,
    xs: Float[Array, "T B ..."],
    sigma: float,
    weights: Float[Array, "T B"],
    key: PRNGKeyArray,
) -> Network:
    """The same run once more, with the sum over time and samples of weight × noise × presynaptic activity."""
    zero = jax.tree.map(jnp.zeros_like, trained_part(network))

    def product(synapses, x, noise, weights):
        weighted = weights.reshape(-1, *(1,) * (noise.ndim - 1)) * noise
        parameters, constants = split(synapses)
        _, pull = jax.vjp(lambda p: jnp.reshape(jax.vmap(eqx.combine(p, constants))(x), noise.shape), parameters)
        return pull(weighted)[0]

    def step(carry, now):
        states, total = carry
        x, w, k = now
        states, _, noises, inputs = _step_disturbed(network, states, x, sigma, k)
        parts = []
        for layer, none, arriving, noise in zip(network.layers, zero.layers, inputs, noises, strict=True):
            at_port = [noise[c.port] if isinstance(noise, dict) else noise for c in layer.connections]
            each = zip(layer.connections, arriving, at_port, strict=True)
            parts.append(
                layer.with_parts([product(c.synapses, x, n, w) for c, x, n in each], none.neuron, none.feedback)
            )
        return (states, jax.tree.map(jnp.add, total, of_layers(network, parts))), None

    (_, total), _ = jax.lax.scan(step, (rest, zero), (xs, weights, jax.random.split(key, len(xs))))
    return total


def _noise(network: Network, sigma: float, key: PRNGKeyArray) -> Network:
    drawn = drawn_like(trained_part(network), jax.random.normal, key=key)
    return jax.tree.map(lambda n: sigma * n, drawn)


def _opposite_pair(
    network: Network, loss_of: Callable[[Network], Float[Array, ""]], sigma: float, key: PRNGKeyArray
) -> tuple[Network, Array, Array]:
    """A perturbation of the parameters, and the mean loss with it and with its opposite."""
    noise = _noise(network, sigma, key)
    plus = loss_of(eqx.apply_updates(network, noise))
    minus = loss_of(eqx.apply_updates(network, jax.tree.map(jnp.negative, noise)))
    return noise, plus, minus


def _check(rule: AbstractRule, sigma: float, **counts: int) -> None:
    check_positive(rule, sigma=sigma)
    for name, count in counts.items():
        if count < 1:
            raise SnnlearnError(f"{type(rule).__name__}: {name} is {count}; give at least 1")
