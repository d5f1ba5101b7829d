"""Do large networks overfit? Error against width on digits with 20 % wrong labels; random labels; dimension.

python benchmarks/theory/double_descent.py [figure.svg]

Four ways to use width: least squares of least norm on random ReLU features and on spike counts of random LIF neurons,
and all weights trained, of ReLU and of spiking networks, without early stopping. Five seeds of features and weights;
the 300 training samples and their wrong labels are the same for all. Nothing is selected. Then: can a spiking network
fit random labels; and what does dimension cost where the Bayes risk is known. Stopped, it goes on where it was.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import snnlearn as sl
from snnlearn import data, risk
from snnlearn.algorithms.gradient_descent import seed as network_of_seed
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, predict

TRAIN, NOISE, SEEDS = 300, 0.2, 5
RANDOM_WIDTHS = (10, 30, 60, 100, 150, 200, 250, 280, 300, 320, 350, 400, 500, 800, 1500, 3000)
TRAINED_WIDTHS = (2, 4, 8, 12, 16, 24, 32, 64, 128, 256, 512)
EPOCHS, BATCH = 250, 50
# The default surrogate when the results were made.
NEURON = sl.neurons.LIF(surrogate=sl.neurons.Atan())
RESULTS = Path(__file__).parent / "results" / "double_descent.json"


def task() -> tuple[Sample, Sample]:
    """Training and test sample; a fifth of the training labels is replaced by another class at random."""
    digits = sl.data.digits(seed=0)
    x, y = digits.train.x[:TRAIN], digits.train.y[:TRAIN].copy()
    rng = np.random.default_rng(1)
    wrong = rng.random(TRAIN) < NOISE
    y[wrong] = (y[wrong] + rng.integers(1, 10, wrong.sum())) % 10
    return Sample(x, y), digits.test


def least_squares(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decisions of the solution of least norm, which double precision makes exact enough at the threshold."""
    weights = np.linalg.pinv(train.astype(float), rcond=1e-10) @ np.eye(10)[y]
    return (train @ weights).argmax(axis=1), (test @ weights).argmax(axis=1)


def relu_features(x: np.ndarray, width: int, seed: int) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    return np.maximum(flat @ np.random.default_rng(seed).standard_normal((flat.shape[1], width)) / 8, 0)


def spike_counts(x: np.ndarray, width: int, seed: int) -> np.ndarray:
    """Of random LIF neurons over 50 steps of constant current, tau 10 ms."""
    flat = x.reshape(len(x), -1)
    current = 2 * flat @ np.random.default_rng(seed).standard_normal((flat.shape[1], width))
    v, counts = 0.0 * current, 0.0 * current
    alpha = np.exp(-1e-3 / 10e-3)
    for _ in range(50):
        v = alpha * v + (1 - alpha) * current
        spikes = v > 1.0
        v, counts = v - spikes, counts + spikes
    return counts


def random_features(features) -> dict:
    train, test = task()
    found = {}
    for width in RANDOM_WIDTHS:
        errors = []
        for seed in range(SEEDS):
            both = features(np.concatenate([train.x, test.x]), width, seed)
            on_train, on_test = least_squares(both[:TRAIN], train.y, both[TRAIN:])
            errors.append([np.mean(on_train != train.y), np.mean(on_test != test.y)])
        found[width] = np.array(errors).T.tolist()
    return found


def trained(kind: str) -> dict:
    train, test = task()
    return {width: errors_after_training(kind, width, train, test) for width in TRAINED_WIDTHS}


def errors_after_training(kind: str, width: int, train: Sample, test: Sample) -> list:
    """Training and test errors of each seed, after the last epoch."""
    if kind == "spiking":
        return _spiking(width, train, test)
    x, y = jnp.asarray(train.x.reshape(len(train.x), -1)), jnp.asarray(train.y)
    optimizer = optax.adam(5e-3)

    def run(key):
        first, second, order = jax.random.split(key, 3)
        weights = (
            jax.random.normal(first, (x.shape[1], width)) * jnp.sqrt(2 / x.shape[1]),
            jnp.zeros(width),
            jax.random.normal(second, (width, 10)) * jnp.sqrt(1 / width),
            jnp.zeros(10),
        )

        def loss(w, x, y):
            scores = jnp.maximum(x @ w[0] + w[1], 0) @ w[2] + w[3]
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, y))

        def update(carry, index):
            w, state = carry
            updates, state = optimizer.update(jax.grad(loss)(w, x[index], y[index]), state)
            return (optax.apply_updates(w, updates), state), None

        keys = jax.random.split(order, EPOCHS)
        batches = jax.vmap(lambda k: jax.random.permutation(k, len(x)).reshape(-1, BATCH))(keys).reshape(-1, BATCH)
        return jax.lax.scan(update, (weights, optimizer.init(weights)), batches)[0][0]

    weights = jax.jit(jax.vmap(run))(jax.vmap(jax.random.key)(np.arange(SEEDS)))
    found = []
    for sample in (train, test):
        flat = sample.x.reshape(len(sample.x), -1)
        hidden = jnp.maximum(jnp.einsum("bi,kih->kbh", flat, weights[0]) + weights[1][:, None], 0)
        scores = jnp.einsum("kbh,khc->kbc", hidden, weights[2]) + weights[3][:, None]
        found.append(np.mean(np.asarray(scores.argmax(axis=2)) != sample.y, axis=1).tolist())
    return found


def _spiking(width: int, train: Sample, test: Sample) -> list:
    encoder = sl.coding.Current(num_steps=10)
    network = sl.network.feedforward((64, width, 10), neuron=NEURON, use_bias=True, key=jax.random.key(0))
    algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(2e-2), epochs=EPOCHS, batch_size=BATCH)
    # The training sample stands where the validation sample belongs, so that nothing else is looked at; the network of
    # the last epoch is taken, not the best.
    data = Dataset("noisy digits", train, train, test, 10, "values")
    keys = jax.vmap(jax.random.key)(np.arange(SEEDS))
    training = sl.Experiment(data, encoder, network, algorithm, keys).run()
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    wrong = []
    for k in range(SEEDS):
        last = network_of_seed(training.network, k)
        wrong.append(predict(Hypothesis(encoder, last, sl.coding.MeanMembrane()), x) != y)
    wrong = np.array(wrong)
    return [wrong[:, : len(train.y)].mean(axis=1).tolist(), wrong[:, len(train.y) :].mean(axis=1).tolist()]


def random_labels() -> dict:
    """The same training on labels that have nothing to do with the images."""
    train, test = task()
    train = Sample(train.x, np.random.default_rng(2).permutation(train.y))
    train_errors, test_errors = _spiking(512, train, test)
    return {"width": 512, "train_errors": train_errors, "test_errors": test_errors}


def dimension() -> dict:
    """Two Gaussians at the same distance in more and more dimensions: the Bayes risk stays, the samples needed grow."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier

    found: dict = {}
    for d in (1, 3, 10, 30, 100):
        distribution = data.GaussianPair(1.5, d)
        encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=10), -5.0, 5.0)
        network = sl.network.feedforward((d, 24, 2), neuron=NEURON, use_bias=True, key=jax.random.key(0))
        of_size: dict = {"bayes_risk": distribution.bayes_risk}
        for m in (100, 1000):
            # About a thousand updates.
            algorithm = sl.algorithms.GradientDescent(
                optimizer=optax.adam(2e-2), epochs=max(1, 25_000 // m), batch_size=20
            )
            learners = {
                "spiking": risk.from_algorithm(algorithm, encoder, network, key=jax.random.key(1)),
                "linear discriminant": risk.from_estimator(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
                "15 neighbours": risk.from_estimator(KNeighborsClassifier(15)),
            }
            for name, learn in learners.items():
                of_size.setdefault(name, {})[str(m)] = [
                    risk.excess_risk(learn(distribution.draw(m, seed=s)), distribution, m=10_000, seed=10**5)[0]
                    for s in range(SEEDS)
                ]
        found[d] = of_size
    return found


def draw(found: dict, path: str) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    from snnlearn.report.figures import BLUE, GREY, ORANGE, STYLE

    with matplotlib.rc_context({**STYLE, "svg.fonttype": "path", "text.parse_math": True}):
        figure = Figure(figsize=(10, 5.6), layout="constrained")
        axes = figure.subplots(2, 3)
        for ax, name in zip(axes.flat, CURVES, strict=False):
            widths = [int(w) for w in found[name]]
            errors = 100 * np.array(list(found[name].values()))
            for part, color, label in ((0, GREY, "training, noisy labels"), (1, BLUE, "test, clean labels")):
                mean = errors[:, part].mean(axis=1)
                ax.plot(widths, mean, "o-", color=color, markersize=3, label=label)
                ax.fill_between(widths, errors[:, part].min(1), errors[:, part].max(1), color=color, alpha=0.2)
            if "random" in name:
                ax.axvline(TRAIN, color=ORANGE, linewidth=1, linestyle="--")
            ax.set(xscale="log", xlabel="width", ylabel="error (%)", ylim=(-2, 95))
            ax.set_title(name)
        axes[0, 2].legend(fontsize=7)
        ax = axes.flat[4]
        names = ["training", "test", "chance"]
        values = [np.mean(found["random labels"]["train_errors"]), np.mean(found["random labels"]["test_errors"]), 0.9]
        ax.bar(names, 100 * np.array(values), color=[GREY, BLUE, ORANGE])
        ax.set_title("random labels, 512 spiking")
        ax.set_ylabel("error (%)")
        ax = axes.flat[5]
        for color, name in ((BLUE, "spiking"), (GREY, "linear discriminant"), (ORANGE, "15 neighbours")):
            for m, style in ((100, "--"), (1000, "-")):
                means = [100 * np.mean(one[name][str(m)]) for one in found["dimension"].values()]
                ax.plot([int(d) for d in found["dimension"]], means, style, color=color, label=f"{name}, m = {m}")
        ax.set(xscale="log", xlabel="dimension", ylabel="excess risk (%)")
        ax.set_title("dimension, Bayes risk 6.7 %")
        ax.legend(fontsize=6)
        figure.savefig(path)


CURVES = {
    "random ReLU features": lambda: random_features(relu_features),
    "random spiking features": lambda: random_features(spike_counts),
    "trained ReLU": lambda: trained("relu"),
    "trained spiking": lambda: trained("spiking"),
}

if __name__ == "__main__":
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, measure in {**CURVES, "random labels": random_labels, "dimension": dimension}.items():
        if name not in found:
            start = time.time()
            found[name] = measure()
            print(f"{name}: {time.time() - start:.0f} s", flush=True)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for name in CURVES:
        print(name, {w: round(100 * float(np.mean(e[1])), 1) for w, e in found[name].items()})
    print(
        "random labels", np.mean(found["random labels"]["train_errors"]), np.mean(found["random labels"]["test_errors"])
    )
    if len(sys.argv) > 1:
        draw(found, sys.argv[1])
