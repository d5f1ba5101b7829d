"""Evidence accumulation by e-prop: `python benchmarks/reproductions/eprop_evidence_accumulation.py`.

Seven cues come from the left or the right; more than a second later the network says from which side most came (Bellec
et al. 2020, doi:10.1038/s41467-020-17236-y). 50 LIF and 50 adaptive units, recurrent; e-prop with random feedback.

First the five losses of a run of batch size 1, in double precision, beside those that NEST publishes.
Then learning, 64 trials a batch, until fewer than 5 % of 512 validation trials are wrong, and a test on 2,048 fresh
trials; and the same, shorter, with LIF units only, which forget the cues. Not the paper's: what is validated and tested
is an average of the weights over the last fifty iterations or so, since single ones jump about. Forty minutes.
Writes `benchmarks/results/eprop_evidence_accumulation.json` and `docs/images/eprop_evidence_accumulation.svg`.
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

from snnlearn.data.working_memory import rates_of_cues
from snnlearn.losses import RateBand, StepwiseCrossEntropy, Window
from snnlearn.network import Dense, Layer, Network, unroll
from snnlearn.neurons import ALIF, LI, LIF, AbstractNeuron, NextStep, SilentRefractory, Subtract, Triangle, UnitGain
from snnlearn.risk import risk_of_errors
from snnlearn.rules import EProp, StoredFeedback

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "eprop_evidence_accumulation.json"
FIGURE = ROOT / "docs" / "images" / "eprop_evidence_accumulation.svg"

NUM_CUES, CUE, GAP, WAIT, RECALL = 7, 100, 50, 1050, 150  # ms, a step each
T = NUM_CUES * (CUE + GAP) + WAIT + RECALL
CHANNEL, N_IN, N, N_OUT = 10, 40, 100, 2  # inputs: left, right, recall, noise
TAU_MEM, TAU_ADAPT, V_TH, GAMMA = 20e-3, 2.0, 0.6, 0.3
BETA = 1.7 * (1 - np.exp(-1e-3 / TAU_ADAPT)) / (1 - np.exp(-1e-3 / TAU_MEM))
LEARNING_RATE = 5e-3
CHECK_EVERY, ENOUGH, LIF_ITERATIONS = 20, 0.05, 200
KEPT = 0.98  # of the average of the weights, in each iteration

# The error before each of the first five updates: NEST's reference values.
REFERENCE = (0.741152550006, 0.740388187700, 0.665785233177, 0.663644193322, 0.729428962844)

ERROR = Window(StepwiseCrossEntropy(), start=-RECALL)
# Σ_j (f_j − 10 Hz)² with f in spikes a step: the band is a mean over units of squared Hz.
LOSS = ERROR + N * 1e-6 * RateBand(10.0, 10.0)
RULE = EProp(StoredFeedback())


def trials(rng: np.random.RandomState, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Input spikes `[B, T, 40]` and the side of most cues `[B]`, drawn in the order of the reference."""
    likely = np.array([0.3, 0.7])[rng.choice([0, 1], batch_size)]
    cues = np.stack([rng.choice([0, 1], NUM_CUES, p=[p, 1 - p]) for p in likely])
    chance = np.stack([rates_of_cues(c, cue=CUE, gap=GAP, delay=WAIT, recall=RECALL, group=CHANNEL) for c in cues])
    spikes = chance > rng.rand(chance.size).reshape(chance.shape)
    spikes[:, 0] = False
    return spikes, np.asarray(cues.sum(axis=1) > NUM_CUES // 2, dtype=int)


def neurons(adaptive: bool) -> AbstractNeuron:
    common = {
        "tau_mem": TAU_MEM,
        "v_th": V_TH,
        "surrogate": Triangle(GAMMA / V_TH, V_TH),
        "reset": NextStep(Subtract()),
        "refractory": SilentRefractory(5e-3),
        "discretisation": UnitGain(),
    }
    # Units without adaptation are adaptive ones of strength 0. An array has a gradient, which the optimiser drops.
    return (
        ALIF(beta=np.where(np.arange(N) < N // 2, 0.0, BETA), tau_adapt=TAU_ADAPT, **common)
        if adaptive
        else LIF(**common)
    )


def network(rng: np.random.RandomState, *, adaptive: bool = True) -> Network:
    """Weights and feedback drawn in the order of the reference, rounded to single precision as it does."""

    def single(weight: np.ndarray) -> np.ndarray:
        return weight.astype(np.float32).astype(float)

    w_in, w_rec = single(rng.randn(N_IN, N).T / np.sqrt(N_IN)), single(rng.randn(N, N).T / np.sqrt(N))
    np.fill_diagonal(w_rec, 0.0)
    limit = np.sqrt(6 / (N + N_OUT))  # Glorot & Bengio 2010
    w_out, feedback = single(rng.uniform(-limit, limit, (N, N_OUT)).T), single(rng.randn(N, N_OUT))
    hidden = Layer(dense(w_in), neurons(adaptive), recurrent=dense(w_rec), feedback=jnp.asarray(feedback))
    return Network((hidden, Layer(dense(w_out), LI(tau_mem=TAU_MEM))))


def dense(weight: np.ndarray) -> Dense:
    """Synapses with given weights `[out, in]`."""
    synapses = Dense(*weight.shape[::-1], key=jax.random.key(0))
    return eqx.tree_at(lambda s: s.weight, synapses, jnp.asarray(weight, dtype=jnp.result_type(float)))


def weights(network: Network) -> tuple[jax.Array, jax.Array, jax.Array]:
    hidden, readout = network.layers
    return hidden.synapses.weight, hidden.recurrent.weight, readout.synapses.weight  # pyright: ignore


def only_weights(gradient: Network, network: Network | None = None) -> Network:
    """The gradient of the weights alone, without synapses of a unit onto itself."""
    of_inputs, of_recurrent, of_readout = weights(gradient)
    zero = jax.tree.map(jnp.zeros_like, gradient)
    return eqx.tree_at(weights, zero, (of_inputs, of_recurrent * (1 - jnp.eye(N)), of_readout))


def epsilon(count: jax.Array) -> jax.Array:
    """Of Adam as Kingma & Ba write it at the end of their section 2: ε stands beside the uncorrected root."""
    return 1e-8 / jnp.sqrt(1 - 0.999 ** (count + 1.0))


DESCENT = optax.chain(optax.stateless(only_weights), optax.inject_hyperparams(optax.adam)(LEARNING_RATE, eps=epsilon))


@eqx.filter_jit
def iterate(network: Network, state: optax.OptState, xs: jax.Array, targets: jax.Array):
    """One update: the network and the optimiser after it, the error before."""
    xs = xs.astype(float)
    _, gradient = RULE(network, LOSS, xs, targets, key=jax.random.key(0))
    updates, state = DESCENT.update(gradient, state, network)  # pyright: ignore
    return eqx.apply_updates(network, updates), state, jnp.mean(judge(network, xs, targets)[0])


@eqx.filter_jit
def judge(network: Network, xs: jax.Array, targets: jax.Array):
    """Of each trial the error and whether the answer is wrong; the hidden units' firing rates, Hz."""

    def one(xs, target):
        outputs = unroll(network, xs.astype(float))[0].outputs
        wrong = jnp.argmax(jnp.mean(outputs[-1][-RECALL:], axis=0)) != target
        return ERROR(outputs, target), wrong, 1e3 * jnp.mean(outputs[0], axis=0)

    return jax.vmap(one)(xs, targets)


def first_losses(count: int = 5) -> list[float]:
    """The error before each of the first updates, seed 1, one trial each, in double precision."""
    with jax.enable_x64(True):
        rng, losses = np.random.RandomState(1), []
        learner = network(rng)
        state = DESCENT.init(eqx.filter(learner, eqx.is_inexact_array))  # pyright: ignore
        for _ in range(count):
            learner, state, error = iterate(learner, state, *map(jnp.asarray, trials(rng, 1)))
            losses.append(float(error))
    return losses


def wrong(learner: Network, spikes: np.ndarray, sides: np.ndarray, chunk: int = 128) -> int:
    """How many answers are wrong."""
    chunks = zip(np.split(spikes, len(spikes) // chunk), np.split(sides, len(sides) // chunk), strict=True)
    return sum(int(judge(learner, *map(jnp.asarray, each))[1].sum()) for each in chunks)


def learn(*, adaptive: bool, iterations: int, batch_size: int, seed: int) -> dict:
    start = time.perf_counter()
    rng = np.random.RandomState(seed)
    learner = network(rng, adaptive=adaptive)
    average, state = learner, DESCENT.init(eqx.filter(learner, eqx.is_inexact_array))  # pyright: ignore
    validation = trials(np.random.RandomState(seed + 1_000), 512)
    losses, checks, done = [], [], 0
    while done < iterations and not (checks and checks[-1]["error"] < ENOUGH):
        for _ in range(CHECK_EVERY):
            learner, state, error = iterate(learner, state, *map(jnp.asarray, trials(rng, batch_size)))
            average = optax.incremental_update(learner, average, 1 - KEPT)
            losses.append(round(float(error), 5))
        done += CHECK_EVERY
        checks.append({"iteration": done, "error": wrong(average, *validation) / 512})
        print(
            f"{done}: loss {np.mean(losses[-CHECK_EVERY:]):.4f}, validation error {checks[-1]['error']:.3f}", flush=True
        )
    test = trials(np.random.RandomState(seed + 2_000), 2_048)
    tested = risk_of_errors(wrong(average, *test), 2_048)
    rates = judge(average, *(jnp.asarray(each[:128]) for each in test))[2]
    return {
        "units": "50 LIF + 50 ALIF" if adaptive else "100 LIF",
        "seed": seed,
        "batch_size": batch_size,
        "iterations": done,
        "training_loss": losses,
        "validation": checks,
        "test_error": float(tested.value),
        "test_error_interval_95": tested.interval[:2],
        "mean_rate_hz": float(rates.mean()),
        "seconds": round(time.perf_counter() - start),
    }


def figure(runs: list[dict]) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "snnlearn"
    fig, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for run in runs:
        label = f"{run['units']}, test {100 * run['test_error']:.1f} %"
        axis.plot(
            [c["iteration"] for c in run["validation"]], [100 * c["error"] for c in run["validation"]], label=label
        )
    axis.axhline(7, color="k", lw=0.8, ls=":")
    axis.set(xlabel="iteration", ylabel="wrong validation trials (%)", ylim=(0, 60))
    axis.legend(frameon=False)
    fig.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses-only", action="store_true", help="print the five losses and stop")
    parser.add_argument("--iterations", type=int, default=700)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    losses = first_losses()
    print("five losses:", *(f"{loss:.12f}" for loss in losses))
    if options.losses_only:
        return
    setting = {"iterations": options.iterations, "batch_size": options.batch_size, "seed": options.seed}
    runs = [learn(adaptive=True, **setting), learn(adaptive=False, **setting | {"iterations": LIF_ITERATIONS})]
    for run in runs:
        print(f"{run['units']}: {run['iterations']} iterations, test error {run['test_error']:.3f}")
    RESULTS.write_text(json.dumps({"five_losses": losses, "runs": runs}, indent=1) + "\n")
    figure(runs)


if __name__ == "__main__":
    main()
