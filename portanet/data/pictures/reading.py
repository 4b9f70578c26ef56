"""Many pictures as one array, or left on disk: all are brought to one form, or must be alike."""

from __future__ import annotations

import copy
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.files import Capacity
from portanet.data.lazy.block_order import BLOCK
from portanet.data.lazy.readable import Samples
from portanet.data.pictures.decode import DepthError, decoded, shape_of
from portanet.data.pictures.files import Picture
from portanet.data.pictures.form import Pictures
from portanet.errors import DataError, MissingPackageError
from portanet.typing import Shape

logger = logging.getLogger("portanet")

_NAMED = 20  # broken files that are logged one by one
_SOME = 0.05  # share of nearly black pictures that is logged
_DARK = 16  # of 255: a picture of smaller values alone is nearly black


def common_shape(name: str, pictures: Sequence[Picture], form: Pictures) -> Shape:
    """Return the shape that all pictures are to have: the form's, or that of the first one.

    Raises
    ------
    DataError
        If all of them would take more memory than their files can hold, or none can be decoded.
    """
    for picture in pictures:
        try:
            shape = shape_of(picture, form)
        except DepthError:
            raise unlike(name, pictures, form) from None
        except DataError as error:
            if not form.skip_broken or isinstance(error, MissingPackageError):
                raise
            continue
        room, need = Capacity.of_packed(sum(own.bytes for own in pictures)), len(pictures) * math.prod(shape)
        if form.size is None and need > room.bytes:
            room.refuse(picture.place, f"images of {shape[1]}×{shape[0]} pixels take {need} bytes")
        return shape
    message = f"{name}: expected pictures, got {len(pictures)} files of which none can be decoded; replace them"
    raise DataError(message)


def read(name: str, pictures: Sequence[Picture], form: Pictures, shape: Shape) -> tuple[list[Picture], HostArray]:
    """Return the pictures that could be decoded, all of them unless the form skips broken ones, and their pixels."""
    pixels = np.empty((len(pictures), *shape), dtype=np.uint8)
    kept: list[Picture] = []
    try:
        for picture, own in _sound(name, pictures, form):
            if own.shape != shape:
                raise unlike(name, pictures, form)
            pixels[len(kept)] = own
            kept.append(picture)
    except DepthError:
        raise unlike(name, pictures, form) from None
    return kept, pixels[: len(kept)]


def in_blocks(
    name: str, pictures: Sequence[Picture], form: Pictures, rows: int
) -> Iterator[tuple[list[Picture], HostArray]]:
    """Yield the pictures that could be decoded and their pixels, so many at a time; the form has a size."""
    kept, pixels = [], []
    for picture, own in _sound(name, pictures, form):
        kept.append(picture)
        pixels.append(own)
        if len(kept) == rows:
            yield kept, np.stack(pixels)
            kept, pixels = [], []
    if kept:
        yield kept, np.stack(pixels)


def sound(name: str, pictures: Sequence[Picture], form: Pictures) -> list[Picture]:
    """Return the pictures that can be decoded, and log the others."""
    return [picture for picture, _ in _sound(name, pictures, form)]


def _sound(name: str, pictures: Sequence[Picture], form: Pictures) -> Iterator[tuple[Picture, HostArray]]:
    """Yield each picture with its pixels; broken ones are skipped, and logged at the end, if the form says so.

    Pictures that are nearly black are counted, and logged at the end.
    """
    broken: list[str] = []
    dark: list[Picture] = []
    for i, picture in enumerate(pictures):
        try:
            own = decoded(picture, form)
        except DataError as error:
            if isinstance(error, MissingPackageError | DepthError) and not form.skip_broken:
                raise
            if not form.skip_broken:
                raise _with_others(error, pictures[i + 1 :], form) from error
            broken.append(str(error).partition(";")[0])
            continue
        if int(own.max(initial=0)) < _DARK:
            dark.append(picture)
        yield picture, own
    _report(name, broken, dark, len(pictures))


def _with_others(error: DataError, rest: Sequence[Picture], form: Pictures) -> DataError:
    """Return the error of the first broken picture with the number of those after it, which are decoded for that."""
    others = []
    for picture in rest:
        try:
            decoded(picture, form)
        except DataError:
            others.append(picture.place)
    more = f"; {len(others)} more cannot be decoded, such as {others[0]}" if others else ""
    return DataError(f"{error}{more}")


def _report(name: str, broken: Sequence[str], dark: Sequence[Picture], total: int) -> None:
    if len(dark) > _SOME * total:  # a dark night among others is none
        words = "%s: %d of %s pictures are nearly black (no value above %d of 255), such as %s; "
        words += "if they are of 16 bits, scale their values to 0 ... 65535"
        logger.warning(words, name, len(dark), f"{total:,}", _DARK - 1, dark[0].place)
    for line in broken[:_NAMED]:
        logger.warning("skipped: %s", line)
    if broken:
        more = f" ({len(broken) - _NAMED} more are not named)" if len(broken) > _NAMED else ""
        logger.warning(
            "%s: skipped %d of %s pictures, which cannot be decoded%s", name, len(broken), f"{total:,}", more
        )


def unlike(name: str, pictures: Sequence[Picture], form: Pictures) -> DataError:
    """Return the error that pictures are not alike: how many, which one for example, and the options that help.

    Their headers are read again, to count them.
    """
    shapes: dict[str, Shape] = {}
    deep: list[tuple[str, DataError]] = []
    for picture in pictures:
        try:
            shapes[picture.place] = shape_of(picture, form)
        except DepthError as error:
            deep.append((picture.place, error))
        except DataError:  # broken: it is not what this error is about
            continue
    wrong, options = [], []
    total = len(shapes) + len(deep)
    if not shapes:
        return DataError(str(deep[0][1]))
    sizes, kinds = (Counter(part) for part in zip(*((own[:2], own[2:]) for own in shapes.values()), strict=True))
    (height, width), usual = sizes.most_common(1)[0]
    if usual < len(shapes):
        other, example = next((place, shape) for place, shape in shapes.items() if shape[:2] != (height, width))
        came = f"{_share(len(shapes) - usual, total)} not of {width}×{height} pixels"
        wrong.append(f"{came}, such as {other} of {example[1]}×{example[0]}")
        side = sorted(min(shape[:2]) for shape in shapes.values())[len(shapes) // 2]
        common = f"{width}" + ("" if width == height else f"x{height}")
        # Of the usual size if most have it; else what nets take that most need not be enlarged to.
        options.append(f"--image-size {common if 2 * usual > len(shapes) else min(1 << side.bit_length() - 1, 128)}")
    if len(kinds) > 1 or deep:
        (most, count), *rest = kinds.most_common()
        for kind, some in rest:
            other = next(place for place, shape in shapes.items() if shape[2:] == kind)
            wrong.append(f"{_share(some, total)} {_colours(kind)}, such as {other}")
        if deep:
            wrong.append(f"{_share(len(deep), total)} of more than 8 bits a channel, such as {deep[0][0]}")
        wrong.append(f"{count:,} {_colours(most)}")
        options.append("--grey or --colour")
    message = f"{name}: expected pictures of one size and kind: {'; '.join(wrong)}; "
    return DataError(message + f"bring them to one form by {' and '.join(options)}")


def _share(some: int, total: int) -> str:
    return f"{some:,} of {total:,} {'is' if some == 1 else 'are'}"


def _colours(channels: Shape) -> str:
    return {(): "in grey", (3,): "in colour", (4,): "in colour with transparency"}[channels]


class PictureSamples(Samples):
    """Pictures on disk, in the order of the rows, each decoded when it is read."""

    def __init__(self, name: str, pictures: Sequence[Picture], form: Pictures, shape: Shape) -> None:
        self.pictures, self.form, self.name, self.dtype = list(pictures), form, name, np.dtype(np.uint8)
        self._sample, self.shape = shape, (len(self.pictures), *shape)
        # Files lie anywhere: many small blocks mix better, and cost no more.
        self.blocks = max(min(16, BLOCK // math.prod(shape)), 1)

    def _read(self, start: int, stop: int) -> HostArray:
        pixels = np.empty((stop - start, *self._sample), dtype=np.uint8)
        for i, picture in enumerate(self.pictures[start:stop]):
            own = decoded(picture, self.form)
            if own.shape != self._sample:
                raise unlike(self.name, self.pictures, self.form)
            pixels[i] = own
        return pixels

    def take(self, rows: HostArray) -> Samples:
        other = copy.copy(self)
        other.pictures, other.shape = [self.pictures[i] for i in rows.tolist()], (len(rows), *self.shape[1:])
        return other
