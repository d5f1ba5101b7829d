"""Image sets: scikit-learn's digits and the IDX files of MNIST and its relatives."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample, count_classes, hold_out, split

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
_DEBIAN_FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
_FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def digits(*, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Dataset:
    """1797 handwritten digits of 8 × 8 pixels in [0, 1], which come with scikit-learn.

    Args:
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1).
        seed: Seed of the cut.

    Returns:
        The data set, x `[m, 8, 8]`.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49 (its test
    set, as scikit-learn distributes it).

    >>> d = digits()
    >>> d.shape, d.num_classes
    ((8, 8), 10)
    """
    from sklearn.datasets import load_digits  # a slow import that only this set needs

    pixels, labels = load_digits(return_X_y=True)
    x, y = np.asarray(pixels, np.float32) / 16, np.asarray(labels, np.int32)
    sample = Sample(x.reshape(-1, 8, 8), y)
    train, held_out, tested = split(sample, validation=validation, test=test, seed=seed)
    return Dataset("digits", train, held_out, tested, 10, "values", class_names=tuple("0123456789"))


def mnist(folder: str | os.PathLike[str], *, validation: float = 1 / 12, seed: int = 0) -> Dataset:
    """MNIST: 70 000 handwritten digits of 28 × 28 pixels, from the four IDX files in a folder.

    Args:
        folder: Where `train-images-idx3-ubyte` and its three companions are, gzipped or not.
        validation: Fraction of the 60 000 training images held out, in (0, 1); 1/12 leaves about 55 000.
        seed: Seed of that cut.

    Returns:
        The data set, x `[m, 28, 28]` in [0, 1]; the test part is the official one.

    Source: LeCun, Bottou, Bengio and Haffner 1998, doi:10.1109/5.726791.

    >>> mnist("nowhere")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: nowhere holds no train-images-idx3-ubyte or train-images-idx3-ubyte.gz; ...
    """
    return idx(folder, name="mnist", validation=validation, seed=seed, class_names=tuple("0123456789"))


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None, *, validation: float = 1 / 12, seed: int = 0
) -> Dataset:
    """Fashion-MNIST: 70 000 pictures of clothes of 28 × 28 pixels, from the four IDX files in a folder.

    Args:
        folder: Where the files are; by default where Debian's package `dataset-fashion-mnist` puts them.
        validation: Fraction of the 60 000 training images held out, in (0, 1); 1/12 leaves 55 000.
        seed: Seed of that cut.

    Returns:
        The data set, x `[m, 28, 28]` in [0, 1]; the test part is the official one.

    Raises:
        SnnlearnError: if the folder or a file in it is missing or damaged.

    Source: Xiao, Rasul and Vollgraf 2017, doi:10.48550/arXiv.1708.07747.

    >>> fashion_mnist("nowhere")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: nowhere holds no train-images-idx3-ubyte or train-images-idx3-ubyte.gz; ...
    """
    if folder is None:
        folder = _DEBIAN_FASHION_MNIST
        if not Path(folder).is_dir():
            raise SnnlearnError(
                f"{folder} does not exist; install Debian's package dataset-fashion-mnist "
                "or pass the folder that holds the four IDX files"
            )
    return idx(folder, name="fashion-mnist", validation=validation, seed=seed, class_names=_FASHION_CLASSES)


def idx(
    folder: str | os.PathLike[str],
    *,
    name: str,
    validation: float = 1 / 12,
    seed: int = 0,
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """An image set in the four files of MNIST: `{train,t10k}-{images-idx3,labels-idx1}-ubyte`.

    The files may be gzipped (`.gz`), and the hyphen before `idx` may be a dot. Pixels 0 … 255 become 0 … 1.

    Args:
        folder: Where the files are.
        name: Name of the data set.
        validation: Fraction of the training images held out, in (0, 1).
        seed: Seed of that cut.
        class_names: One name for each class, or none.

    Returns:
        The data set, x `[m, H, W]`; the test part is the official one, in its order.

    Raises:
        SnnlearnError: A file is missing or damaged, or the labels do not match the images.

    >>> idx("nowhere", name="kuzushiji")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: nowhere holds no train-images-idx3-ubyte or train-images-idx3-ubyte.gz; ...
    """
    sample, test = (_read_pair(Path(folder), part) for part in ("train", "t10k"))
    num_classes = count_classes(sample.y, f"the train part of {name}")
    # Cut the bytes first: moving them costs a quarter of what moving floats does.
    train, held_out = hold_out(sample, validation=validation, seed=seed)
    return Dataset(name, _scale(train), _scale(held_out), _scale(test), num_classes, "values", class_names=class_names)


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, gzipped or not.

    The file is: two zero bytes, a type code, the number of axes, each axis' length (big-endian, 4 bytes), the values
    (big-endian).

    Args:
        path: The file.

    Returns:
        The values, with the file's shape and type.

    Raises:
        SnnlearnError: The file is missing, is not IDX, or is shorter or longer than its header says.

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits ("The IDX file format").

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
    >>> _ = file.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(file)
    array([7, 2, 1], dtype=uint8)
    """
    if Path(path).exists() and not Path(path).is_file():  # such as a pipe, whose end would be waited for
        raise SnnlearnError(f"{path} cannot be read (it is not a file); give an IDX file")
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":  # what gzip files start with: a name may lie, as browsers unzip downloads
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SnnlearnError(f"{path} is a damaged gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise SnnlearnError(f"{path} cannot be read ({error.strerror}); give an IDX file") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES or data[3] == 0:
        raise SnnlearnError(f"{path} starts with the bytes '{data[:4].hex(' ')}', which is not an IDX header; fetch it")
    if data[3] > _MOST_AXES:
        raise SnnlearnError(
            f"{path} has {data[3]} axes by its IDX header, and arrays have at most {_MOST_AXES}; fetch it again"
        )
    dtype, start = np.dtype(_IDX_TYPES[data[2]]), 4 + 4 * data[3]
    if len(data) < start:
        raise SnnlearnError(f"{path} ends within its IDX header; fetch it again")
    shape = tuple(int(length) for length in np.frombuffer(data, ">u4", count=data[3], offset=4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise SnnlearnError(f"{path} holds {len(data)} bytes; its IDX header says {expected}, so fetch it again")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_pair(folder: Path, part: str) -> Sample:
    """Images (uint8) and labels of "train" or "t10k"."""
    images, labels = _find(folder, f"{part}-images-idx3-ubyte"), _find(folder, f"{part}-labels-idx1-ubyte")
    x, y = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.ndim != 3:
        raise SnnlearnError(f"{images} holds {x.dtype} of shape {x.shape}; expected uint8 [samples, height, width]")
    if y.dtype != np.uint8 or y.ndim != 1:
        raise SnnlearnError(f"{labels} holds {y.dtype} of shape {y.shape}; expected uint8 [samples]")
    if len(x) != len(y):
        raise SnnlearnError(f"{images} holds {len(x)} images and {labels} {len(y)} labels; expected equally many")
    return Sample(x, y)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, stem.replace("-idx", ".idx")):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise SnnlearnError(f"{folder} holds no {stem} or {stem}.gz; give the folder with the four IDX files")


def _scale(sample: Sample) -> Sample:
    return Sample(scale_pixels(sample.x), sample.y.astype(np.int32))


def scale_pixels(x: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Pixels 0 … 255 as values 0 … 1."""
    return np.divide(x, 255, dtype=np.float32)
