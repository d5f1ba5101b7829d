"""Folders of images that Pillow writes, and IDX files that are written here."""

from __future__ import annotations

import gzip
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from snnlearn.data import load, read_like

from .refusals import refused, spoil

RNG = np.random.default_rng(0)


def write(root, pixels, mode="L", suffix="png", per_class=10, classes=("cat", "dog")):
    """Each image in the folder of its class."""
    for i, one in enumerate(pixels):
        path = root / classes[i // per_class] / f"{i:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one, mode=None).convert(mode).save(path)
    return root


def images_of(task):
    parts = (task.train, task.validation, task.test)
    return sorted((x.tolist(), task.class_names[y]) for part in parts for x, y in zip(part.x, part.y, strict=True))


def expected(values, per_class=10, classes=("cat", "dog")):
    return sorted((one.tolist(), classes[i // per_class]) for i, one in enumerate(values))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "pgm"])
def test_grey_images_are_their_bytes(tmp_path, suffix):
    pixels = RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8)
    task = load(write(tmp_path, pixels, suffix=suffix))
    assert images_of(task) == expected(pixels / np.float32(255)) and task.shape == (4, 5)
    assert task.class_names == ("cat", "dog") and (task.low, task.high) == (0.0, 1.0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_coloured_images_have_an_axis_more(tmp_path, mode):
    pixels = RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
    task = load(write(tmp_path, pixels, mode=mode))
    assert images_of(task) == expected(np.moveaxis(pixels, -1, 1) / np.float32(255)) and task.shape == (3, 4, 5)


def test_sixteen_bits_palettes_and_one_coloured_among_grey(tmp_path):
    deep = RNG.integers(0, 65536, (20, 4, 5), dtype=np.uint16)
    for i, one in enumerate(deep):
        (tmp_path / "deep" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(tmp_path / "deep" / "ab"[i % 2] / f"{i}.png")
    task = load(tmp_path / "deep")
    assert {tuple(x.ravel().tolist()) for x in task.train.x} <= {
        tuple(one.ravel().tolist()) for one in deep / np.float32(65535)
    }
    pixels = RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8)
    mixed = write(tmp_path / "mixed", pixels)
    Image.fromarray(np.full((4, 5, 3), [255, 0, 0], np.uint8)).convert("P").save(mixed / "cat" / "99.png")
    task = load(mixed)
    assert task.shape == (3, 4, 5)
    found = np.concatenate([part.x for part in (task.train, task.validation, task.test)])
    grey = found[(found == found[:, :1]).all(axis=(1, 2, 3))]
    assert len(grey) == 20 and (found[:, 0] == 1).all(axis=(1, 2)).sum() == 1


def test_folders_of_training_and_test(tmp_path):
    pixels = RNG.integers(0, 256, (24, 3, 3), dtype=np.uint8)
    write(tmp_path / "train", pixels[:20])
    write(tmp_path / "test", pixels[20:], per_class=2)
    task = load(tmp_path)
    np.testing.assert_array_equal(task.test.x, pixels[20:] / np.float32(255))
    assert task.test.y.tolist() == [0, 0, 1, 1] and len(task.train.y) + len(task.validation.y) == 20
    write(tmp_path / "val", pixels[:4] // 2, per_class=2)
    np.testing.assert_array_equal(load(tmp_path).validation.x, pixels[:4] // 2 / np.float32(255))


def test_images_for_a_network(tmp_path):
    task = load(write(tmp_path / "grey", RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8)))
    pixels = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    read = read_like(tmp_path / "one.png", task.form)
    assert read.y is None
    np.testing.assert_allclose(read.x, pixels.mean(axis=-1)[None] / 255, rtol=1e-6)
    coloured = write(tmp_path / "rgb", RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8), mode="RGB")
    read = read_like(tmp_path / "one.png", load(coloured).form)
    np.testing.assert_array_equal(read.x, np.moveaxis(pixels, -1, 0)[None] / np.float32(255))
    assert read_like(tmp_path / "grey", task.form).y.tolist() == [0] * 10 + [1] * 10


def png_of(width, height):
    """A PNG whose header says so, with next to nothing in it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as an image"),
        (b"words", "cannot be read as an image"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read as an image"),
        (png_of(4, 4), "cannot be read as an image"),
        (png_of(100_000, 100_000), "cannot be read as an image|pixels; make it smaller"),
        (png_of(2**31 - 1, 2**31 - 1), "cannot be read as an image|pixels; make it smaller"),
        (b"GIF89a" + bytes(20), "cannot be read as an image"),
        (b"\x1f\x8bwords", "damaged gzip file"),
    ],
)
def test_files_that_are_no_images(tmp_path, content, message):
    write(tmp_path, RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8))
    (tmp_path / "dog" / "13.png").write_bytes(content)
    refused(tmp_path, f"13.png.*({message})")


def test_folders_that_cannot_be_used(tmp_path):
    pixels = RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8)
    root = write(tmp_path / "a", pixels)
    Image.fromarray(pixels[0, :3]).save(root / "dog" / "15.png")
    refused(root, r"15.png has 5 × 3 pixels and .*00.png 5 × 4 \(1 of 20 differ\)")
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.fromarray(pixels[0]).save(flat / "1.png")
    refused(flat, "1 files such as 1.png and no folder for each class")
    (flat / "cat").mkdir()
    Image.fromarray(pixels[0]).save(flat / "cat" / "1.png")
    refused(flat, "1.png beside folders of classes")
    refused(write(tmp_path / "alone", pixels[:3]), "only class cat")
    refused(root / "cat" / "00.png", "has no labels")
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", "a folder of no known format")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_spoilt_images_are_read_or_refused(tmp_path, suffix):
    write(tmp_path, RNG.integers(0, 256, (20, 4, 5), dtype=np.uint8), suffix=suffix)
    spoil(tmp_path / "dog" / f"13.{suffix}", load_path=tmp_path, times=24)


# --- IDX


def idx(values, kind):
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, kind, values.ndim]) + shape + values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("dtype", "kind", "shape"),
    [("u1", 8, (3, 4)), ("i1", 9, (3,)), ("i2", 11, (2, 2)), ("i4", 12, (5,)), ("f4", 13, (3, 2)), ("f8", 14, (4,))],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_any_idx_with_labels_beside_it(tmp_path, dtype, kind, shape, zipped):
    x = RNG.integers(0, 100, (20, *shape)).astype(dtype)
    y, axes = (np.arange(20) % 3).astype(np.uint8), x.ndim
    pack, end = (gzip.compress, ".gz") if zipped else (bytes, "")
    (tmp_path / f"a-images-idx{axes}-ubyte{end}").write_bytes(pack(idx(x, kind)))
    (tmp_path / f"a-labels-idx1-ubyte{end}").write_bytes(pack(idx(y, 8)))
    for source in (tmp_path, tmp_path / f"a-images-idx{axes}-ubyte{end}"):
        task = load(source)
        scaled = x / np.float32(255) if dtype == "u1" else x.astype(np.float32)
        found = sorted(
            (one.tolist(), int(c))
            for part in (task.train, task.validation, task.test)
            for one, c in zip(part.x, part.y, strict=True)
        )
        assert found == sorted((one.tolist(), int(c)) for one, c in zip(scaled, y, strict=True))


def test_idx_with_a_test_part(tmp_path):
    for part, m in (("train", 20), ("t10k", 6)):
        (tmp_path / f"{part}-images.idx3-ubyte").write_bytes(idx(RNG.integers(0, 255, (m, 2, 2)).astype("u1"), 8))
        (tmp_path / f"{part}-labels.idx1-ubyte").write_bytes(idx((np.arange(m) % 2).astype("u1"), 8))
    assert len(load(tmp_path).test.y) == 6


def test_idx_that_cannot_be_used(tmp_path):
    x, y = RNG.integers(0, 255, (20, 2, 2)).astype("u1"), (np.arange(20) % 2).astype("u1")
    images, labels = tmp_path / "a-images-idx3-ubyte", tmp_path / "a-labels-idx1-ubyte"
    images.write_bytes(idx(x, 8))
    refused(images, "no labels beside it")
    for content, message in {
        idx(y[:19], 8): "20 samples and .* 19 labels",
        idx(x, 8): "expected whole numbers, one for each sample",
        idx(y.astype("f4"), 13): "expected whole numbers",
        b"": "not an IDX header",
        bytes([0, 0, 8, 1, 255, 255, 255, 255]): "its IDX header says",
        bytes([0, 0, 8, 200]): "200 axes",
        idx(y, 7): "not an IDX header",
        idx(y * 0, 8): "only class 0",
    }.items():
        labels.write_bytes(content)
        refused(images, message)
    labels.write_bytes(idx(y, 8))
    (tmp_path / "b-images-idx3-ubyte").write_bytes(idx(x, 8))
    refused(tmp_path, "2 IDX files of samples for training")
    (tmp_path / "b-images-idx3-ubyte").unlink()
    assert spoil(images, load_path=tmp_path) > 10
