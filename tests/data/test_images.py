"""Digits and IDX files: written here byte by byte, as the format's definition says."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import digits, fashion_mnist, idx, mnist, read_idx

FASHION = Path("/usr/share/datasets/fashion-mnist")


def idx_bytes(a: np.ndarray, code: int = 0x08) -> bytes:
    return (
        bytes([0, 0, code, a.ndim])
        + struct.pack(f">{a.ndim}I", *a.shape)
        + a.astype(a.dtype.newbyteorder(">")).tobytes()
    )


def write_set(folder: Path, m: int = 60, m_test: int = 20, *, style: str = "-", zipped: bool = False) -> dict:
    """The four files of an image set with 2 classes; image j has j in each of its 2 × 3 pixels."""
    suffix, pack = (".gz", gzip.compress) if zipped else ("", bytes)
    written = {}
    for part, size in (("train", m), ("t10k", m_test)):
        x = np.repeat(np.arange(size, dtype=np.uint8), 6).reshape(size, 2, 3)
        y = (np.arange(size) % 2).astype(np.uint8)
        (folder / f"{part}-images{style}idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(x)))
        (folder / f"{part}-labels{style}idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(y)))
        written[part] = (x, y)
    return written


def test_digits_are_the_1797_known_ones():
    d = digits(validation=0.2, test=0.3, seed=5)
    parts = (d.train, d.validation, d.test)
    assert sum(part.y.size for part in parts) == 1797
    assert d.shape == (8, 8) and d.num_classes == 10 and d.kind == "values"
    assert d.train.x.dtype == np.float32 and d.train.y.dtype == np.int32
    assert min(p.x.min() for p in parts) == 0.0 and max(p.x.max() for p in parts) == 1.0
    # Counts of each digit, from the description that scikit-learn ships with the data.
    assert np.sum([np.bincount(p.y) for p in parts], axis=0).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert abs(d.validation.y.size / 1797 - 0.2) < 0.005 and abs(d.test.y.size / 1797 - 0.3) < 0.005
    # The first image of the set, a 0, has these pixels in its first row; it is in one of the parts.
    first = np.array([0, 0, 5, 13, 9, 1, 0, 0], np.float32) / 16
    assert sum((p.x[:, 0] == first).all(axis=1).sum() for p in parts) >= 1


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_read_idx_reads_every_type(tmp_path, code, dtype, zipped):
    a = np.arange(24).reshape(2, 3, 4).astype(dtype)
    file = tmp_path / "a.idx"  # no .gz in the name: the content decides
    file.write_bytes(gzip.compress(idx_bytes(a, code)) if zipped else idx_bytes(a, code))
    b = read_idx(file)
    np.testing.assert_array_equal(a, b)
    assert b.dtype == np.dtype(dtype) and b.dtype.isnative


def damaged() -> dict[str, tuple[bytes, str]]:
    good = idx_bytes(np.arange(200, dtype=np.uint8).reshape(10, 20))
    packed = gzip.compress(np.random.default_rng(0).bytes(500))
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 255
    return {
        "empty": (b"", "not an IDX header"),
        "text": (b"<html>not found</html>", "not an IDX header"),
        "type": (b"\0\0\x07" + good[3:], "'00 00 07 02'"),
        "no axes": (b"\0\0\x08\0", "not an IDX header"),
        "header": (good[:7], "ends within its IDX header"),
        "short": (good[:-1], "holds 211 bytes; its IDX header says 212"),
        "long": (good + b"\0", "holds 213 bytes; its IDX header says 212"),
        "shape": (good[:4] + b"\xff\xff\xff\xff" + good[8:], "holds 212 bytes"),
        "gzip cut": (packed[:-20], "damaged gzip"),
        "gzip head": (packed[:5], "damaged gzip"),
        "gzip flipped": (bytes(flipped), "damaged gzip"),
        "gzip trailer": (packed[:-1], "damaged gzip"),
    }


@pytest.mark.parametrize("name", damaged())
def test_read_idx_refuses_damaged_files(tmp_path, name):
    content, message = damaged()[name]
    file = tmp_path / "images-idx3-ubyte"
    file.write_bytes(content)
    with pytest.raises(SnnlearnError, match=message) as raised:
        read_idx(file)
    assert str(file) in str(raised.value)


def test_read_idx_refuses_what_is_not_a_file(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(SnnlearnError, match="cannot be read"):
            read_idx(path)


@pytest.mark.parametrize("style", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_keeps_the_official_test_set_and_cuts_validation(tmp_path, style, zipped):
    written = write_set(tmp_path, style=style, zipped=zipped)
    d = idx(tmp_path, name="tiny", validation=0.2, seed=3, class_names=("even", "odd"))
    assert d.name == "tiny" and d.shape == (2, 3) and d.num_classes == 2 and d.class_names == ("even", "odd")
    assert (d.low, d.high) == (0.0, 1.0)
    np.testing.assert_allclose(d.test.x, written["t10k"][0] / 255, rtol=1e-7)
    np.testing.assert_array_equal(d.test.y, written["t10k"][1])
    assert np.bincount(d.validation.y).tolist() == [6, 6]
    together = np.concatenate([d.train.x, d.validation.x])[:, 0, 0]
    np.testing.assert_allclose(np.sort(together), np.arange(60) / 255, rtol=1e-6)
    for part in (d.train, d.validation):
        np.testing.assert_array_equal(np.rint(part.x[:, 1, 2] * 255).astype(int) % 2, part.y)
    assert d.train.x.dtype == np.float32 and d.train.y.dtype == np.int32


def test_idx_refuses_sets_that_do_not_match(tmp_path):
    write_set(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    for y, message in (
        (np.arange(59, dtype=np.uint8) % 2, "60 images .* 59 labels"),
        (np.zeros(60, np.uint8), "only class 0"),
        (np.arange(60, dtype=np.uint8) % 2 * 2, "no sample of class 1"),
        (np.zeros((60, 1), np.uint8), r"uint8 of shape \(60, 1\)"),
    ):
        labels.write_bytes(idx_bytes(y))
        with pytest.raises(SnnlearnError, match=message):
            idx(tmp_path, name="tiny")
    labels.unlink()
    with pytest.raises(SnnlearnError, match="holds no train-labels-idx1-ubyte"):
        mnist(tmp_path)


def test_idx_refuses_images_of_other_types_and_shapes(tmp_path):
    write_set(tmp_path)
    file = tmp_path / "t10k-images-idx3-ubyte"
    for x, code, message in (
        (np.zeros((20, 2, 3), np.float32), 0x0D, "float32 of shape"),
        (np.zeros((20, 6), np.uint8), 0x08, r"uint8 of shape \(20, 6\)"),
        (np.zeros((20, 3, 3), np.uint8), 0x08, "in training it is"),
        (np.zeros((0, 2, 3), np.uint8), 0x08, "0 images and"),
    ):
        file.write_bytes(idx_bytes(x, code))
        with pytest.raises(SnnlearnError, match=message):
            idx(tmp_path, name="tiny")


def test_fashion_mnist_says_where_to_get_it(monkeypatch):
    monkeypatch.setattr("snnlearn.data.images._DEBIAN_FASHION_MNIST", "/nowhere")
    with pytest.raises(SnnlearnError, match=r"/nowhere does not exist; install .* dataset-fashion-mnist"):
        fashion_mnist()


@pytest.mark.skipif(not FASHION.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_the_published_set():
    d = fashion_mnist()
    assert [p.x.shape for p in (d.train, d.validation, d.test)] == [(n, 28, 28) for n in (55000, 5000, 10000)]
    for part, each in ((d.train, 5500), (d.validation, 500), (d.test, 1000)):
        assert np.bincount(part.y).tolist() == [each] * 10
    # The published mean and standard deviation of the training pixels, in common use to normalise them.
    x = np.concatenate([d.train.x.reshape(-1), d.validation.x.reshape(-1)])
    assert abs(x.mean(dtype=np.float64) - 0.2860) < 5e-5 and abs(x.std(dtype=np.float64) - 0.3530) < 5e-5
    assert [d.class_names[c] for c in d.test.y[:4]] == ["Ankle boot", "Pullover", "Trouser", "Trouser"]
