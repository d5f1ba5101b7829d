"""EventProp: exact gradients of spike times."""

from __future__ import annotations

from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, split
from snnlearn.coding import AbstractDecoder, FirstSpike, HeldValues, PackedSpikes
from snnlearn.coding.ends import until
from snnlearn.kernels.products import numbers
from snnlearn.losses import AbstractLoss, AbstractScoreLoss
from snnlearn.network import Network, spike_times
from snnlearn.neurons import AbstractNeuron, CubaLIF
from snnlearn.rules.base import AbstractRule, by_step


@final
class EventProp(AbstractRule):
    r"""The exact gradient of a loss of spike times, in continuous time (Wunderlich & Pehle 2021).

    doi:10.1038/s41598-021-91786-z. A spike time is an implicit function, $v_j(t_j)=v_{th}$, so that

    $$\frac{\partial t_j}{\partial w_{ji}}=-\frac{\kappa(t_j-t_i)}{\dot v_j(t_j)},\qquad
      \frac{\partial t_j}{\partial t_i}=w_{ji}\frac{\dot\kappa(t_j-t_i)}{\dot v_j(t_j)},$$

    and the chain rule, from the last spike to the first, is the gradient. The paper writes the same chain rule as
    equations of adjoint variables, $\tau_{mem}\lambda_V'=-\lambda_V$ and $\tau_{syn}\lambda_I'=-\lambda_I+\lambda_V$
    backward in time, with jumps at the spikes and $\partial\mathcal L/\partial w_{ji}=-\tau_{syn}\sum_k
    \lambda_{I,j}(t_i^k)$. With implicit functions no second set of equations is needed, and time
    constants, thresholds and resets get gradients, too. No surrogate derivative is involved.

    The loss is one of the output's first spikes: `CrossEntropy(FirstSpike())`, `ClassMeanSquaredError(FirstSpike())`,
    or a sum of such. Its value is that of the network in continuous time (`spike_times`, which also states the
    requirements on the network), and approaches that of the stepped network as the time step shrinks. A unit that does
    not spike has no spike time to differentiate, and spikes that appear or vanish do not contribute: a silent output
    counts as one that spikes at the end of the window, with gradient 0. The training has to keep units firing, for
    example by raising the weights of silent ones (Göltz et al. 2021, doi:10.1038/s42256-021-00388-x).

    Args:
        max_spikes: the maximum number of spikes of each unit, ≥ 1; 1 for only first spikes. See `spike_times`.

    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import CubaLIF
    >>> network = feedforward((4, 3), readout=CubaLIF(v_th=0.05), key=jax.random.key(0))
    >>> batch = jnp.zeros((5, 40, 4)).at[:, 3].set(1.0), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(EventProp())(network, CrossEntropy(FirstSpike()), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    usual_decoder: ClassVar[type[AbstractDecoder]] = FirstSpike
    usual_readout: ClassVar[type[AbstractNeuron]] = CubaLIF
    max_spikes: int = 4

    def reference(self) -> AbstractRule:
        """Itself: it differentiates another loss, that of a network in continuous time."""
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
        terms = _terms(loss)
        check_one_dt(self, network.dt, loss=loss)

        parameters, constants = split(network)

        @eqx.filter_value_and_grad
        def mean_loss(parameters):
            network = eqx.combine(parameters, constants)

            def one(xs, target):
                end = loss.length(target)
                if end is not None:  # spikes after it would count as input
                    xs = until(xs, end)
                *_, output = spike_times(network, xs, max_spikes=self.max_spikes)
                window = len(xs) if end is None else end
                parts = [w * term.of_scores(decoder.of_times(output[0], window), target) for w, term, decoder in terms]
                return sum(parts, start=jnp.zeros(()))

            return jnp.mean(jax.vmap(one, in_axes=(1, 0))(numbers(by_step(inputs)), targets))

        return mean_loss(parameters)


def _terms(loss: AbstractLoss) -> list[tuple[float, AbstractScoreLoss, FirstSpike]]:
    """A loss as a weighted sum of losses of first spikes.

    Raises:
        SnnlearnError: if it is none.
    """
    found = []
    for weight, term in loss.weighted():
        decoder = term.decoder
        if not isinstance(term, AbstractScoreLoss) or not isinstance(decoder, FirstSpike):
            of = "" if decoder is None else f" of {type(decoder).__name__}"
            raise SnnlearnError(
                f"EventProp takes a loss of first spikes, such as CrossEntropy(FirstSpike()); {type(term).__name__}{of}"
                " is not; use BPTT, which trains any"
            )
        found.append((weight, term, decoder))
    return found
