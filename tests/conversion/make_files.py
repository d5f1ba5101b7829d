"""Make the files of other software in `files`: with Keras (on JAX), PyTorch, onnxscript, safetensors,
scikit-learn and skops installed.

python tests/conversion/make_files.py
"""

# pyright: reportMissingImports=false
import os
import zipfile
from pathlib import Path

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
OUT = Path(__file__).parent / "files"


def decided(logits, shift, rng, shape) -> dict[str, np.ndarray]:
    """Samples, as bytes, and the classes that a model decides for; its last biases are shifted, so that all occur."""
    many = rng.integers(0, 256, (120, *shape), np.uint8)
    xs = many.astype(np.float32) / 255
    shift(-np.median(logits(xs), axis=0))
    return {"many": many, "classes": logits(xs).argmax(axis=1)}


def keras_files() -> None:
    """A functional model with most kinds of layers, and a sequential one of one dimension."""
    import keras
    from keras import layers as of

    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    x = entered = of.Input((9, 8, 2))
    x = of.Conv2D(4, 3, strides=2, padding="same", name="c1")(x)
    x = of.ReLU(name="r1")(of.BatchNormalization(name="bn")(x))
    y = of.DepthwiseConv2D(3, padding="same", activation="relu", name="dw")(x)
    z = of.LeakyReLU(negative_slope=0.1, name="leaky")(of.Add(name="add")([x, y]))
    z = of.AveragePooling2D(2, padding="same", name="pool")(of.Concatenate(name="cat")([z, y]))
    z = of.Conv2D(5, 1, activation="relu6", name="c2")(z)
    z = of.Dropout(0.5)(of.Flatten(name="flat")(z))
    z = of.Dense(6, activation="relu", name="d1")(z)
    model = keras.Model(entered, of.Dense(3, activation="softmax", name="d2")(z))
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(1.5, 2.0, weight.shape))
        else:
            weight.assign(np.asarray(weight) + 0.2 * rng.standard_normal(weight.shape))
    bias = model.get_layer("d2").bias
    logits = keras.Model(entered, model.get_layer("d1").output)

    def scores(xs):
        return np.asarray(logits(xs)) @ np.asarray(model.get_layer("d2").kernel) + np.asarray(bias)

    more = decided(scores, lambda by: bias.assign(np.asarray(bias) + by), rng, (9, 8, 2))
    model.save(OUT / "keras.keras")
    model.save(OUT / "keras.h5")
    xs = rng.random((3, 9, 8, 2)).astype(np.float32)
    names = ("r1", "dw", "leaky", "c2", "d1")
    found = keras.Model(entered, [model.get_layer(name).output for name in names])(xs)
    arrays = {name: np.asarray(one) for name, one in zip(names, found, strict=True)}
    np.savez_compressed(OUT / "keras.npz", x=xs, logit=np.log(np.asarray(model(xs))), **arrays, **more)
    convolved = of.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="relu")
    model = keras.Sequential([of.Input((12, 2)), convolved, of.GlobalAveragePooling1D(), of.Dense(2)])
    model.save(OUT / "sequential.keras")
    xs = rng.random((3, 12, 2)).astype(np.float32)
    np.savez(OUT / "sequential.npz", x=xs, y=np.asarray(model(xs)))


def scikit_learn_files() -> None:
    """A classifier of names, with two hidden layers, and a regressor of two values."""
    import skops.io
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (150, 4)).astype(np.float32)
    y = np.array(["high", "low", "middle"])[(x[:, 0] > 3).astype(int) + (x[:, 1] > 3)]
    options = dict(solver="lbfgs", max_iter=60, random_state=0)
    classifier = MLPClassifier(hidden_layer_sizes=(9, 7), **options).fit(x, y)
    values = np.stack([x[:, 0] * x[:, 1], x[:, 2] - x[:, 3]], axis=1)
    regressor = MLPRegressor(hidden_layer_sizes=(12,), **options).fit(x, values)
    skops.io.dump(classifier, OUT / "classifier.skops", compression=zipfile.ZIP_DEFLATED)
    skops.io.dump(regressor, OUT / "regressor.skops", compression=zipfile.ZIP_DEFLATED)
    np.savez_compressed(
        OUT / "scikit_learn.npz",
        x=x,
        y=values,
        classes=classifier.predict(x),
        values=regressor.predict(x),
        probabilities=classifier.predict_proba(x),
    )


def torch_files() -> None:
    """A residual network as ONNX, and the weights of a plain one, as DataParallel names them."""
    import torch
    from safetensors.torch import save_file
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.b1 = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)
            self.c, self.b = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4)
            self.c2 = nn.Conv2d(4, 3, (3, 1), dilation=(2, 1), padding=(0, 1))
            self.f, self.g = nn.Linear(12, 5), nn.Linear(5, 3)

        def forward(self, x):
            x = functional.relu6(self.b1(self.c1(x)))
            x = functional.leaky_relu(self.c2(torch.relu(x + self.b(self.c(x)))), 0.1)
            x = functional.avg_pool2d(x, 3, stride=(1, 2), padding=1)
            return torch.softmax(self.g(torch.relu(self.f(torch.flatten(x, 1)))), 1)

    features = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    )
    plain = nn.Sequential()
    plain.features, plain.flat, plain.classifier = features, nn.Flatten(), nn.Linear(16, 3)
    residual = Residual()
    with torch.no_grad():
        for _ in range(20):  # so that batch normalisation has statistics
            residual(torch.rand(16, 1, 10, 10))
            plain(torch.rand(16, 1, 8, 8))
        residual.eval()
        plain.eval()
        rng = np.random.default_rng(0)

        def scores(xs):
            return plain(torch.from_numpy(xs)[:, None]).numpy()

        more = decided(scores, lambda by: plain.classifier.bias.add_(torch.from_numpy(by)), rng, (8, 8))
        x, x8 = torch.rand(3, 1, 10, 10), torch.rand(3, 1, 8, 8)
        torch.onnx.export(residual, (x,), OUT / "torch.onnx", dynamo=False, input_names=["x"])
        logit, y8 = np.log(residual(x).numpy()), plain(x8).numpy()
    np.savez_compressed(OUT / "torch.npz", x=x.numpy(), logit=logit, x8=x8.numpy(), y8=y8, **more)
    state = nn.DataParallel(plain).state_dict()
    torch.save(state, OUT / "plain.pt")
    save_file(state, OUT / "plain.safetensors")


if __name__ == "__main__":
    keras_files()
    scikit_learn_files()
    torch_files()
