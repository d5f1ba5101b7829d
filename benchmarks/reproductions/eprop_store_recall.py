"""Store and recall by e-prop: `python benchmarks/reproductions/eprop_store_recall.py`.

Every 200 ms a value, 0 or 1, is shown. A network of 10 LIF and 10 adaptive units is to keep the one that came with the
command to store, while others follow, until the command to recall, about a second later (Bellec et al. 2018,
arXiv:1803.09574, who train by BPTT). Here e-prop with symmetric feedback, Adam, batches of 128, at most 200 iterations;
`--rule bptt` for the other. Not the paper's: synapses have no delays. Writes
`benchmarks/results/eprop_store_recall.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from snnlearn.coding import AbstractDecoder
from snnlearn.losses import AbstractStepwiseLoss, RateBand
from snnlearn.network import Network, feedforward, unroll
from snnlearn.neurons import ALIF, LI, NextStep, SilentRefractory, Subtract, Triangle, ZeroOrderHold
from snnlearn.risk import Risk, risk_of_errors
from snnlearn.rules import BPTT, AbstractRule, EProp

RESULTS = Path(__file__).resolve().parents[1] / "results" / "eprop_store_recall.json"

SYMBOLS, SYMBOL, GROUP = 12, 200, 25  # symbols a trial, steps of 1 ms a symbol, inputs for each of 0, 1, store, recall
CHANGE = 1 / 6  # chance of a command in each symbol, so that a value is kept for 6 symbols on average
N, V_TH, CHECK_EVERY, ENOUGH = 20, 0.01, 10, 0.04
RULES: dict[str, AbstractRule] = {"eprop": EProp(), "bptt": BPTT()}


class RecallCrossEntropy(AbstractStepwiseLoss):
    """The mean cross entropy over those steps whose label is not −1; the target is a label for each step, `[T]`."""

    decoder: AbstractDecoder | None = None

    def moments(self, target: Int[Array, " T"], num_steps: int) -> tuple[Array, Array]:
        """The label of each step, and how much it counts."""
        asked = (target >= 0).astype(jnp.result_type(float))
        return jnp.maximum(target, 0), asked / jnp.sum(asked)

    def at_step(self, output: Float[Array, " C"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """Of one step."""
        label, share = moment
        return share * optax.softmax_cross_entropy_with_integer_labels(output, label)


ERROR = RecallCrossEntropy()
LOSS = ERROR + N * 1e-6 * RateBand(10.0, 10.0)


def trial(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which input groups fire in each symbol `[12, 4]`, and what to answer, −1 where nothing is asked `[12]`."""
    while True:
        groups, answers, kept = np.zeros((SYMBOLS, 4)), np.full(SYMBOLS, -1), None
        for k, value in enumerate(rng.integers(2, size=SYMBOLS)):
            command = rng.random() < CHANGE
            if command and kept is not None:
                groups[k, 3], answers[k], kept = 1, kept, None
                continue  # no value is shown
            groups[k, value] = 1
            if command:
                groups[k, 2], kept = 1, value
        if (answers >= 0).any():
            return groups, answers


def trials(rng: np.random.Generator, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Input spikes `[B, T, 100]`, 50 Hz in the groups that fire, and the label of each step `[B, T]`."""
    groups, answers = (np.stack(each) for each in zip(*(trial(rng) for _ in range(batch_size)), strict=True))
    active = np.repeat(np.repeat(groups, SYMBOL, axis=1), GROUP, axis=2)
    spikes = rng.random(active.shape, dtype=np.float32) < 0.05 * active
    return jnp.asarray(spikes), jnp.asarray(np.repeat(answers, SYMBOL, axis=1))


def network(seed: int) -> Network:
    neuron = ALIF(
        tau_mem=20e-3,
        tau_adapt=1.2,
        beta=np.where(np.arange(N) < N // 2, 0.0, 1.7),  # trained by nobody: see `optimizer`
        v_th=V_TH,
        surrogate=Triangle(0.3 / V_TH, V_TH),
        reset=NextStep(Subtract()),
        refractory=SilentRefractory(3e-3),
        adaptation=ZeroOrderHold(),
    )
    readout = LI(tau_mem=20e-3)
    return feedforward((4 * GROUP, N, 2), neuron=neuron, readout=readout, recurrent=True, key=jax.random.key(seed))


def optimizer() -> optax.GradientTransformation:
    """Adam, for all but the strengths of adaptation."""

    def but_strengths(gradient: Network, _: Network | None = None) -> Network:
        return eqx.tree_at(lambda n: n.layers[0].neuron.beta, gradient, jnp.zeros(N))

    rate = optax.exponential_decay(0.01, 200, 0.3, staircase=True)
    return optax.chain(optax.stateless(but_strengths), optax.adam(rate))


@eqx.filter_jit
def judge(learner: Network, xs: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How many recalls there are, and how many of them are wrong."""

    def one(xs, labels):
        outputs = unroll(learner, xs.astype(float))[0].outputs[-1]
        said = jnp.argmax(jnp.mean(jnp.reshape(outputs, (SYMBOLS, SYMBOL, 2)), axis=1), axis=1)
        answers = labels[::SYMBOL]
        return jnp.sum(answers >= 0), jnp.sum((answers >= 0) & (said != answers))

    asked, wrong = jax.vmap(one)(xs, labels)
    return jnp.sum(asked), jnp.sum(wrong)


def errors(learner: Network, batches: list[tuple[jax.Array, jax.Array]]) -> Risk:
    asked, wrong = np.sum([np.stack(judge(learner, *batch)) for batch in batches], axis=0)
    return risk_of_errors(wrong, asked)


def learn(rule: AbstractRule, *, iterations: int, batch_size: int, seed: int) -> dict:
    start, rng, learner = time.perf_counter(), np.random.default_rng(seed), network(seed)
    descent = optimizer()
    state = descent.init(eqx.filter(learner, eqx.is_inexact_array))  # pyright: ignore
    draws = (np.random.default_rng(1_000 * part + seed) for part in (1, 2))
    validation, test = ([trials(draw, 128) for _ in range(count)] for draw, count in zip(draws, (2, 8), strict=True))

    @eqx.filter_jit
    def iterate(learner, state, xs, labels):
        loss, gradient = rule(learner, LOSS, xs.astype(float), labels, key=jax.random.key(0))
        updates, state = descent.update(gradient, state, learner)
        return eqx.apply_updates(learner, updates), state, loss

    losses, checks = [], []
    while len(losses) < iterations and not (checks and checks[-1] < ENOUGH):
        for _ in range(CHECK_EVERY):
            learner, state, loss = iterate(learner, state, *trials(rng, batch_size))
            losses.append(round(float(loss), 5))
        checks.append(errors(learner, validation).value)
        print(f"{len(losses)}: loss {losses[-1]:.4f}, validation error {checks[-1]:.3f}", flush=True)
    tested = errors(learner, test)
    print(f"seed {seed}: {len(losses)} iterations, test {tested}", flush=True)
    return {
        "seed": seed,
        "iterations": len(losses),
        "training_loss": losses,
        "validation_error": checks,
        "test_error": float(tested.value),
        "test_recalls": int(tested.n),
        "test_error_interval_95": tested.interval[:2],
        "seconds": round(time.perf_counter() - start),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", choices=RULES, default="eprop")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-results", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    setting = {"iterations": options.iterations, "batch_size": options.batch_size}
    runs = [learn(RULES[options.rule], seed=seed, **setting) for seed in range(options.seeds)]
    if not options.no_results:
        RESULTS.write_text(json.dumps({"rule": options.rule, **setting, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
