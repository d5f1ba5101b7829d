"""Images: one in a file, a folder for each class."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.files import read_bytes
from snnlearn.data.formats.class_folders import holds, listing
from snnlearn.data.found import Asked, Found

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_MOST_PIXELS = 100_000_000


def takes(path: Path) -> bool:
    """Whether a path is an image, or a folder of some."""
    return path.name.lower().endswith(SUFFIXES) or holds(path, SUFFIXES)


def read_images(path: Path, asked: Asked) -> Found:
    """Read images as values in [0, 1]: grey ones `[m, height, width]`, coloured ones `[m, 3, height, width]`.

    Pixels are divided by 255, or by 65,535 for 16 bits; opacity is dropped. If one is coloured, all are treated as
    coloured; for a network trained on grey images, colours are averaged.
    """
    parts = {}
    colours = None if asked.form is None else len(asked.form.shape) == 3
    listed = listing(path, SUFFIXES, alone=asked.form is not None)
    pixels = {part: [_read(one) for one in files.paths] for part, files in listed.items()}
    if colours is None:
        colours = any(one.ndim == 3 for images in pixels.values() for one in images)
    for part, files in listed.items():
        x = _stacked(pixels[part], files.paths, colours=colours)
        parts[part] = Found(x, None if files.labels is None else np.array(files.labels), limits=(0.0, 1.0))
    return replace(parts["train"], validation=parts.get("validation"), test=parts.get("test"))


def _read(path: Path) -> np.ndarray:
    """One image, `[height, width]` or `[height, width, 3]`, in [0, 1]."""
    import io

    from PIL import Image  # which Matplotlib needs as well

    content = read_bytes(path, "an image")
    try:
        with warnings.catch_warnings(action="error"), Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise SnnlearnError(f"{path} has {image.width} × {image.height} pixels; make it smaller")
            if image.mode.startswith("I;16") or image.mode == "I":
                return np.asarray(image).astype(np.float32) / np.float32(65535)
            grey = image.mode in ("1", "L", "LA", "La")
            pixels = np.asarray(image.convert("L" if grey else "RGBA"))
    except SnnlearnError:
        raise
    except Exception as error:  # Pillow calls a damaged PNG a SyntaxError, and one that claims to be huge a bomb
        reason = str(error).replace(repr(io.BytesIO), "").split("<")[0].strip() or "it is of no known kind"
        raise SnnlearnError(f"{path} cannot be read as an image ({reason}); save it again as PNG") from error
    pixels = pixels if grey else pixels[..., :3]
    return np.divide(pixels, 255, dtype=np.float32)


def _stacked(images: list[np.ndarray], paths: list[Path], *, colours: bool) -> np.ndarray:
    size = images[0].shape[:2]
    different = [path for path, image in zip(paths, images, strict=True) if image.shape[:2] != size]
    if different:
        other = images[paths.index(different[0])].shape[:2]
        raise SnnlearnError(
            f"{different[0]} has {other[1]} × {other[0]} pixels and {paths[0]} {size[1]} × {size[0]}"
            f" ({len(different)} of {len(paths)} differ); make all the same size"
        )
    check_memory(4 * len(images) * images[0].size * (3 if colours else 1), f"{len(images)} images", "give fewer")
    if colours:
        return np.stack([np.moveaxis(_coloured(image), -1, 0) for image in images])
    return np.stack([image if image.ndim == 2 else image.mean(axis=-1) for image in images])


def _coloured(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
