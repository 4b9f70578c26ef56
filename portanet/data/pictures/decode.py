"""From a picture file to an array, by Pillow: turned as EXIF says, in the colours and the size that are asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.pictures.files import Picture
from portanet.data.pictures.form import MODES, Pictures
from portanet.errors import DataError, need
from portanet.typing import Shape

# What may be decoded. Pillow tells the format by the content and knows some that run other programs (PostScript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")

_PIXELS = 1 << 26  # of one picture (8192×8192): more is nothing to learn from, but may be a decompression bomb

# What Pillow opens, and what it becomes where no colours are asked for: channels of 8 bits, and no pixel's are lost.
_AS_THEY_ARE = {
    **{"L": "L", "1": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "RGBA", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB"},
    **{"PA": "RGBA", "RGBX": "RGB"},
}

_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Modes of 16 bits: the last one has 32, of which a picture uses 16."""


class DepthError(DataError):
    """A picture's channels are not of 8 bits, and no colours are asked for that it could be converted to."""


_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that exchange width and height."""


def shape_of(picture: Picture, form: Pictures) -> Shape:
    """Return the shape of a picture's array; without a size in `form`, from the file's header alone."""
    with _opened(picture, form) as (_, _, shape):
        return shape


def decoded(picture: Picture, form: Pictures) -> HostArray:
    """Return a picture as an array in uint8: (height, width) in grey, else (height, width, channels).

    Of an animation it is the first frame.

    Raises
    ------
    DataError
        If it cannot be decoded, has too many pixels, or channels of other than 8 bits and no colours are asked for.
    """
    with _opened(picture, form) as (image, mode, _):
        ops = need("PIL.ImageOps", "data", "reading images", exit_code=3)
        if form.size is not None:
            # A large JPEG is decoded at a half, a quarter or an eighth of its size, at least twice what is wanted.
            image.draft(None, (2 * max(form.size),) * 2)
        image.load()
        image = _converted(ops.exif_transpose(image), mode, strict=form.colours is None)
        if form.size is not None and image.size != form.size:
            image = ops.fit(image, form.size) if form.fit == "crop" else ops.pad(image, form.size, color=0)
        return np.asarray(image)


@contextlib.contextmanager
def _opened(picture: Picture, form: Pictures) -> Iterator[tuple[Any, str, Shape]]:
    """Open a picture, and yield it with the mode that it is to be converted to and the shape of its array."""
    pillow = need("PIL.Image", "data", "reading images", exit_code=3)
    try:
        with picture.open() as file, pillow.open(file, formats=_FORMATS) as image:
            # The size is in the header: nothing is decoded before it is known to be sane.
            (width, height), wrong = image.size, ""
            mode = _AS_THEY_ARE.get(image.mode, "") if form.colours is None else MODES[form.colours]
            if width * height > _PIXELS:
                wrong = f"expected an image of at most {_PIXELS} pixels, got {width}×{height}; make it smaller"
            elif image.mode == "F":
                wrong = f"expected 8 bits a channel, got the mode {image.mode}; convert it to grey or RGB"
            if wrong:
                message = f"{picture.place}: {wrong}"
                raise DataError(message)
            if not mode:
                message = f"{picture.place}: expected 8 bits a channel, got the mode {image.mode}"
                raise DepthError(message + "; take --grey or --colour")
            if form.size is not None:
                width, height = form.size
            elif _is_on_its_side(image):
                width, height = height, width
            yield image, mode, (height, width) if mode == "L" else (height, width, len(mode))
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        why = "another format" if "cannot identify" in str(error) else str(error).replace(picture.place, "it")
        why = why if picture.bytes else "an empty file"
        message = f"{picture.place}: expected an image that can be decoded, got {why}; replace or remove it"
        raise DataError(message + ", or skip such files by --skip-broken") from error


def _is_on_its_side(image: Any) -> bool:
    """Whether EXIF exchanges width and height; found without decoding the pixels.

    Pillow itself turns a TIFF. It would decode a PNG to look for EXIF after the pixels, where hardly any has it.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return False
    return image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE


def _converted(image: Any, mode: str, *, strict: bool) -> Any:
    """Return an image in the mode that is wanted; where it is transparent, on white."""
    pillow = need("PIL.Image", "data", "reading images", exit_code=3)
    if image.mode in _DEEP:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            message = f"values from {values.min()} to {values.max()}, and not of 16 bits"
            raise ValueError(message)
        image = pillow.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if mode != "RGBA" and not strict and (image.has_transparency_data or image.mode in ("La", "RGBa")):
        image = image.convert("RGBA")
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image)
    if mode == "L" and image.mode == "LAB":  # Pillow converts it to RGB alone
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)
