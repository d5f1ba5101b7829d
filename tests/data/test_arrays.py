"""`.npz` data sets and inputs to predict from, written here with NumPy and Matplotlib."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from matplotlib.image import imsave

from snnlearn._errors import SnnlearnError
from snnlearn.data import npz, read_labelled, read_series, read_values

X, Y = np.linspace(-3, 5, 120).reshape(40, 3), np.arange(40) % 4


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return write


def test_npz_scales_nothing_and_knows_the_range_of_training(save):
    d = npz(save(x=X, y=Y), validation=0.2, test=0.3, seed=2)
    assert (d.name, d.kind, d.num_classes, d.shape) == ("mine", "values", 4, (3,))
    assert [p.y.size for p in (d.train, d.validation, d.test)] == [20, 8, 12]
    assert (d.low, d.high) == (d.train.x.min(), d.train.x.max())
    rows = {tuple(row): y for row, y in zip(X.astype(np.float32).tolist(), Y.tolist(), strict=True)}
    for part in (d.train, d.validation, d.test):
        assert part.x.dtype == np.float32 and part.y.dtype == np.int32
        assert [rows.pop(tuple(row)) for row in part.x.tolist()] == part.y.tolist()
    assert not rows


def test_npz_uses_its_own_test_part(save):
    d = npz(save(x=X, y=Y, x_test=X[:5] * 2, y_test=Y[:5].astype(np.uint8)), validation=0.1)
    np.testing.assert_array_equal(d.test.x, (X[:5] * 2).astype(np.float32))
    np.testing.assert_array_equal(d.test.y, Y[:5])
    assert d.train.y.size == 36 and d.validation.y.size == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64, np.bool_])
def test_npz_takes_numbers_of_any_type(save, dtype):
    x = (np.arange(160).reshape(40, 2, 2) % 2).astype(dtype)
    d = npz(save(x=x, y=Y))
    assert d.kind == "values" and d.train.x.dtype == np.float32 and (d.low, d.high) == (0.0, 1.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_npz_with_dt_is_spikes(save, dtype):
    x = np.random.default_rng(0).random((40, 6, 5)) < 0.3
    d = npz(save(x=x.astype(dtype), y=Y, dt=2e-3))
    assert d.kind == "spikes" and d.dt == 2e-3 and d.shape == (6, 5) and d.train.x.dtype == np.uint8
    assert sum(p.x.sum() for p in (d.train, d.validation, d.test)) == x.sum() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y[:-1]}, "40 samples and 39 labels"),
        ({"y": Y + 0.5}, "expected integers"),
        ({"y": Y * 0}, "only class 0"),
        ({"y": np.where(np.arange(40) < 2, 1, 0)}, "class 1 has 2 samples"),
        ({"x": np.where(X > 4.9, np.nan, X)}, "NaN"),
        ({"x": np.where(X > 4.9, np.inf, X)}, "infinite"),
        ({"x": X * 0 + 7}, "all equal"),
        ({"x": X.astype(str)}, "expected real numbers"),
        ({"x": X.astype(object)}, "Python objects"),
        ({"x_test": X}, "lacks the array y_test"),
        ({"x_test": X[:, :2], "y_test": Y}, "in training it is"),
        ({"x_test": X, "y_test": Y + 1}, "has the label 4"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "empty"),
        ({"dt": 1e-3}, "has dt, but its x is float64"),
        ({"dt": 1e-3, "x": np.full((40, 2, 2), 2, np.uint8)}, "not spikes"),
        ({"dt": -1e-3, "x": np.ones((40, 2, 2), np.uint8)}, "time step dt"),
        ({"dt": [1, 2], "x": np.ones((40, 2, 2), np.uint8)}, "one time in s"),
    ],
)
def test_npz_refuses_what_it_cannot_use(save, changes, message):
    with pytest.raises(SnnlearnError, match=message):
        npz(save(**({"x": X, "y": Y} | changes)))


def test_npz_names_the_missing_array(save):
    with pytest.raises(SnnlearnError, match="lacks the array y; it has labels, x"):
        npz(save(x=X, labels=Y))


@pytest.mark.parametrize("content", [b"", b"plain text", b"PK\x03\x04 and no more", "cut", "flipped"])
def test_npz_refuses_damaged_files(save, content):
    file = save(x=X, y=Y)
    whole = bytearray(file.read_bytes())
    if content == "flipped":
        whole[len(whole) // 3] ^= 255
    file.write_bytes(content if isinstance(content, bytes) else whole[:-50] if content == "cut" else whole)
    for read in (npz, read_values):
        with pytest.raises(SnnlearnError, match=r"mine\.npz is damaged"):
            read(file)


def test_npz_refuses_missing_files_and_single_arrays(tmp_path):
    with pytest.raises(SnnlearnError, match="No such file"):
        npz(tmp_path / "none.npz")
    with open(tmp_path / "single.npz", "wb") as file:
        np.save(file, X)
    with pytest.raises(SnnlearnError, match="single array"):
        npz(tmp_path / "single.npz")


def test_read_values_from_arrays(tmp_path, save):
    np.save(tmp_path / "a.npy", X)
    np.testing.assert_array_equal(read_values(tmp_path / "a.npy"), X.astype(np.float32))
    np.testing.assert_array_equal(read_values(save(x=X)), X.astype(np.float32))
    np.save(tmp_path / "b.npy", np.full((2, 3), 200, np.uint8))
    assert read_values(tmp_path / "b.npy").max() == 200


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", "x-idx3-ubyte.gz", "x.idx"])
def test_read_values_from_idx(tmp_path, name):
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 255, 102])
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    np.testing.assert_allclose(read_values(tmp_path / name), [[[0, 0.2]], [[1, 0.4]]], rtol=1e-6)


def test_read_values_from_images_is_the_mean_of_the_colours(tmp_path):
    colours = np.zeros((2, 3, 4), np.uint8)
    colours[..., :3] = [[[255, 0, 0]] * 3, [[30, 60, 90]] * 3]
    colours[..., 3] = 255
    imsave(tmp_path / "a.png", colours)
    expected = np.repeat([[1 / 3], [60 / 255]], 3, axis=1)[None]
    np.testing.assert_allclose(read_values(tmp_path / "a.png"), expected, rtol=1e-6)
    grey = np.repeat(np.array([[[128]]], np.uint8), 3, axis=2).repeat(16, axis=0).repeat(8, axis=1)
    imsave(tmp_path / "b.JPG", grey, format="jpg")
    x = read_values(tmp_path / "b.JPG")
    assert x.shape == (1, 16, 8) and x.dtype == np.float32
    np.testing.assert_allclose(x, 128 / 255, atol=0.01)


def test_read_values_refuses_what_it_cannot_use(tmp_path):
    np.save(tmp_path / "nan.npy", X * np.nan)
    np.save(tmp_path / "objects.npy", np.array([{}, {}]))
    np.save(tmp_path / "scalar.npy", 1.0)
    np.save(tmp_path / "none.npy", X[:0])
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "text.jpg").write_bytes(b"text")
    (tmp_path / "a.csv").write_text("1,2")
    for name, message in {
        "nan.npy": "NaN",
        "objects.npy": "Python objects",
        "scalar.npy": "at least two axes",
        "none.npy": "empty",
        "cut.png": "cannot be read as an image",
        "text.jpg": "cannot be read as an image",
        "a.csv": "unknown suffix",
        "gone.npy": "is not a file",
        "": "is not a file",
    }.items():
        with pytest.raises(SnnlearnError, match=message):
            read_values(tmp_path / name)


def test_a_cell_that_is_no_number_makes_no_header(tmp_path):
    """A byte-order mark, as spreadsheets write, is no part of the first number either."""
    for name, text in (("mark", "\ufeff1,2\n3,4\n"), ("header", "\ufeffa,b\n1,2\n3,4\n")):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        assert read_series(tmp_path / f"{name}.csv").tolist() == [[[1, 2], [3, 4]]]
    (tmp_path / "bad.csv").write_text("1,x\n3,4\n")
    with pytest.raises(SnnlearnError, match="is not a table of numbers"):
        read_series(tmp_path / "bad.csv")


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_features_that_float32_cannot_tell_apart_are_refused(dtype, tmp_path):
    y = np.arange(40) % 2
    x = (1_700_000_000 + np.arange(40)[:, None]).astype(dtype)  # seconds since 1970
    np.savez(tmp_path / "times.npz", x=np.concatenate([x - 1_700_000_000, x], axis=1), y=y)
    for read in (npz, read_labelled, read_values):
        with pytest.raises(SnnlearnError, match=r"a feature \(number 1\) from 17.* subtract its mean"):
            read(tmp_path / "times.npz")
    np.savez(tmp_path / "moved.npz", x=x - 1_700_000_000, y=y)
    assert npz(tmp_path / "moved.npz").shape == (1,)
