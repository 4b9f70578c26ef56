"""A folder of images by class: root/class/*.png, or root/train/class/*.png with root/test beside it."""

from __future__ import annotations

import contextlib
import copy
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import Capacity, regular
from portanet.data.lazy.block_order import BLOCK
from portanet.data.lazy.readable import Samples
from portanet.data.readers.labels import Part, dataset
from portanet.data.readers.reader import Reader
from portanet.errors import DataError, need
from portanet.typing import Shape

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".tif", ".tiff", ".webp"})

# What may be decoded. Pillow tells the format by the content and knows some that run other programs (PostScript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")

_PIXELS = 1 << 26  # of one image (8192×8192): more is no image to learn from, but may be a decompression bomb

# What Pillow opens, and what it becomes: nothing of a picture is lost on the way to channels of 8 bits.
_MODES = {"L": "L", "1": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "RGBA", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


def _folders(folder: Path) -> list[Path]:
    return [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.name.startswith((".", "__"))]


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def recognises_folder(folder: Path) -> bool:
    """Whether images lie in the folders of a folder, or one level deeper."""
    classes = _folders(folder)
    return any(next(_images(sub), None) for outer in classes for sub in (outer, *_folders(outer)))


def read_images(path: Path, *, stream: bool = False) -> Dataset:
    """Read images whose folder is their class; with `stream` each is decoded when it is needed.

    They are in uint8, ordered by class and name: grey ones ``(n, h, w)``, others ``(n, h, w, channels)``. All must be
    like the first in size and colours.
    """
    train, test = _parts(path)
    x: Any  # an array, or samples on disk
    x_test: Any
    if stream:
        x, x_test = ImageSamples(train), ImageSamples(test, train[0]) if test else None
    else:
        # One array, allocated once the first image gives its shape.
        images = np.empty((len(train) + len(test), *_shape([*train, *test], train[0])), dtype=np.uint8)
        _decode([*train, *test], images, train[0])
        x, x_test = images[: len(train)], images[len(train) :]
    return dataset(path, _labelled(train, x), _labelled(test, x_test) if test else None, scale=255.0)


def first_shape(path: Path) -> Shape:
    """Return the shape of the first image of a folder that holds folders of them."""
    with _image(_parts(path)[0][0]) as (_, _, shape):
        return shape


def _parts(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the images of the training part and of the test part, which may be none."""
    parts = {sub.name.lower(): sub for sub in _folders(path)}
    test = _files(parts["test"]) if "train" in parts and "test" in parts else []
    return _files(parts.get("train", path)), test


def _labelled(files: list[Path], x: Any) -> Part:
    return Part(x, [file.parent.name for file in files], lambda i: str(files[i]))


def _files(folder: Path) -> list[Path]:
    """Return the images of all classes of a part."""
    files = []
    for sub in _folders(folder):
        images = sorted(_images(sub))
        if not images:
            message = f"{sub}: expected images of the class {sub.name!r}, got none; add some or remove the folder"
            raise DataError(message)
        files += images
    if not files:
        message = f"{folder}: expected a folder of images for each class, got none"
        raise DataError(message)
    return files


def _shape(files: list[Path], first: Path) -> Shape:
    """Return the shape of the first image; refuse one with which all would take more than their files can hold."""
    with _image(first) as (_, _, shape):
        room = Capacity.of_packed(sum(file.stat().st_size for file in files))
        if len(files) * math.prod(shape) > room.bytes:
            room.refuse(first, f"images of {shape[1]}×{shape[0]} pixels take {len(files) * math.prod(shape)} bytes")
    return shape


def _decode(files: list[Path], pixels: HostArray, first: Path) -> None:
    """Fill in the images, which must be like the `first` one."""
    for i, file in enumerate(files):
        with _image(file) as (image, mode, shape):
            if pixels.shape[1:] != shape:
                message = f"{file}: expected an image of {_form(pixels.shape[1:])} as {first} is, got {_form(shape)}; "
                raise DataError(message + "bring all to one size and kind")
            pixels[i] = np.asarray(image.convert(mode))


@contextlib.contextmanager
def _image(file: Path) -> Iterator[tuple[Any, str, Shape]]:
    """Open an image, and yield it with the mode that it is to be converted to and the shape of its array."""
    pillow = need("PIL.Image", "data", "reading images", exit_code=3)
    regular(file)
    try:
        with pillow.open(file, formats=_FORMATS) as image:
            # The size is in the header: nothing is decoded before it is known to be sane.
            (width, height), wrong = image.size, ""
            if width * height > _PIXELS:
                wrong = f"expected an image of at most {_PIXELS} pixels, got {width}×{height}; make it smaller"
            elif image.mode not in _MODES:
                wrong = f"expected 8 bits a channel, got the mode {image.mode}; convert it to grey or RGB"
            if wrong:
                message = f"{file}: {wrong}"
                raise DataError(message)
            mode = _MODES[image.mode]
            yield image, mode, (height, width) if mode == "L" else (height, width, len(mode))
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        why = "another format" if "cannot identify" in str(error) else str(error).replace(str(file), file.name)
        message = f"{file}: expected an image that can be decoded, got {why}; replace or remove it"
        raise DataError(message) from error


class ImageSamples(Samples):
    """Images on disk, in the order of the rows, each decoded when it is read.

    All must be like the `first` in size and colours; by default that is the first of the files.
    """

    def __init__(self, files: list[Path], first: Path | None = None) -> None:
        self.files, self.first, self.dtype = files, first or files[0], np.dtype(np.uint8)
        self.name = str(files[0].parent.parent)
        self._sample = _shape(files, self.first)
        self.shape = (len(files), *self._sample)
        # Files lie anywhere: many small blocks mix better, and cost no more.
        self.blocks = max(min(16, BLOCK // math.prod(self._sample)), 1)

    def _read(self, start: int, stop: int) -> HostArray:
        pixels = np.empty((stop - start, *self._sample), dtype=np.uint8)
        _decode(self.files[start:stop], pixels, self.first)
        return pixels

    def take(self, rows: HostArray) -> Samples:
        other = copy.copy(self)
        other.files, other.shape = [self.files[i] for i in rows.tolist()], (len(rows), *self.shape[1:])
        return other


def _form(shape: Shape) -> str:
    return f"{shape[1]}×{shape[0]} pixels in {'grey' if len(shape) == 2 else {3: 'RGB', 4: 'RGBA'}[shape[2]]}"


def _size(path: Path) -> int:
    walk = ((Path(folder), name) for folder, _, names in os.walk(path) for name in names)
    sizes = [(folder / name).stat().st_size for folder, name in walk if Path(name).suffix.lower() in SUFFIXES]
    need = len(sizes) * math.prod(first_shape(path))
    return need if need <= Capacity.of_packed(sum(sizes)).bytes else 0


READERS = (
    Reader(
        *(5, "images by class", lambda path, target, task, stream, reading: read_images(path, stream=stream)),
        is_folder=recognises_folder,
        in_memory=_size,
    ),
)
