"""The loss of an actor that learns from reward, and of its critic."""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import AbstractStepwiseLoss


@final
class ActorCritic(AbstractStepwiseLoss):
    r"""$\sum_t-A^t\log\pi(a^t)+\frac{C_V}2(R^t-V^t)^2-C_H\,H(\pi^t)$, of actions and their returns.

    The readout's first outputs are the logits of the policy $\pi$, its last is the value V. The target, `[T, 3]`, comes
    from `Episode.judged`: action $a^t$, return $R^t$, and advantage $A^t=R^t-V^t$, which is treated as a constant. Any
    rule for stepwise losses can learn from it.

    With `EProp` that is reward-based e-prop (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y),
    $\sum_t\delta^t\mathcal F_\gamma(L_j^t\bar e_{ji}^t)$ with the temporal difference
    $\delta^t=r^t+\gamma V^{t+1}-V^t$ and $L_j^t=-C_VB_j^V+\sum_kB_{jk}^\pi(\pi_k^t-1_{a^t=k})$: the sum is rearranged,
    since $\sum_{k\ge t}\gamma^{k-t}\delta^k=R^t-V^t$. Gradients are therefore computed after an episode, not during it.

    Args:
        value_weight: $C_V$, ≥ 0.
        entropy_weight: $C_H$, ≥ 0: the reward for a policy that keeps exploring.

    Raises:
        SnnlearnError: for a weight below 0.

    >>> judged = jnp.array([[0.0, 1.0, 1.0]])  # action 0, return 1, advantage 1
    >>> float(ActorCritic(value_weight=2.0)((jnp.zeros((1, 3)),), judged))  # ln 2 + 1
    1.6931471824645996
    """

    value_weight: float = 1.0
    entropy_weight: float = 0.0
    decoder: AbstractDecoder | None = None

    def __check_init__(self):
        for name in ("value_weight", "entropy_weight"):
            if not getattr(self, name) >= 0:
                raise SnnlearnError(f"ActorCritic: {name} is {getattr(self, name)}; give a number from 0")

    def moments(self, target: Float[Array, "T 3"], num_steps: int) -> Float[Array, "T 3"]:
        """See the base."""
        return target

    def moments_until(self, target: Float[Array, "T 3"], num_steps: int, length: Int[Array, ""]) -> Float[Array, "T 3"]:
        """See the base: the same, as it is no mean."""
        return target

    def moment_of_step(self, target: Float[Array, " 3"], past: Any) -> tuple[Any, Any]:
        """See the base: not defined, as returns are known only after an episode."""
        raise SnnlearnError(
            "ActorCritic: returns are known only after an episode, and a stream has no end; use GradientDescent"
        )

    def at_step(self, output: Float[Array, " n"], moment: Float[Array, " 3"]) -> Float[Array, ""]:
        """See the base."""
        action, reward_to_go, advantage = moment
        log_policy = jax.nn.log_softmax(output[:-1])
        entropy = -jnp.sum(jnp.exp(log_policy) * log_policy)
        value_error = 0.5 * self.value_weight * (reward_to_go - output[-1]) ** 2
        return value_error - advantage * log_policy[action.astype(int)] - self.entropy_weight * entropy
