"""The form that pictures are brought to before a network sees them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from portanet.errors import ConfigError
from portanet.typing import Shape

FITS = ("pad", "crop")
MODES = {"grey": "L", "colour": "RGB", "alpha": "RGBA"}
"""What Pillow calls the colours of a form."""

_CHANNELS = {1: "grey", 3: "colour", 4: "alpha"}
_LARGEST = 1 << 13  # pixels along a side


@dataclass(frozen=True)
class Pictures:
    """The size and the colours that pictures are converted to; None leaves them as they are in the files.

    Attributes
    ----------
    size : (int, int) or None
        Width and height in pixels. The aspect ratio of a picture is kept.
    fit : {"pad", "crop"}
        How a picture of another aspect ratio is made to fit: ``"pad"`` shows all of it, centred, with black bars;
        ``"crop"`` fills the size and cuts off what is outside of it, the same on both sides.
    colours : {"grey", "colour", "alpha"} or None
        Channels of 8 bits: 1, 3 (RGB) or 4 (RGBA). Transparent pixels become white, unless alpha is kept; 16 bits are
        reduced to 8.
    skip_broken : bool
        Leave out files that cannot be decoded, and log which. It is no part of the form that a model keeps.
    """

    size: tuple[int, int] | None = None
    fit: str = "pad"
    colours: str | None = None
    skip_broken: bool = False

    def __post_init__(self) -> None:
        size, wrong = self.size, ""
        if size is not None and not _is_size(size):
            wrong = f"size: expected a width and a height from 1 to {_LARGEST}, got {size!r:.60}"
        elif self.fit not in FITS:
            wrong = f"fit: expected pad or crop, got {self.fit!r:.60}"
        elif self.colours not in (None, *MODES):
            wrong = f"colours: expected {', '.join(MODES)} or None, got {self.colours!r:.60}"
        if wrong:
            message = f"Pictures: {wrong}"
            raise ConfigError(message)

    def as_dict(self) -> dict[str, Any]:
        """Return the form as plain values, for files."""
        return {"size": None if self.size is None else list(self.size), "fit": self.fit, "colours": self.colours}

    @classmethod
    def from_dict(cls, found: Any) -> Pictures:
        """Return the form of :meth:`as_dict`; raise ConfigError, TypeError or KeyError if it is none."""
        size = found["size"]
        return cls(None if size is None else tuple(size), found["fit"], found["colours"])

    def in_words(self) -> str:
        """Return the form as people say it: ``28×28 pixels, padded, in grey``."""
        size = [] if self.size is None else [f"{self.size[0]}×{self.size[1]} pixels", f"{self.fit}{self.fit[-1]}ed"]
        size = [words.replace("padded", "padded with black").replace("cropped", "cropped to fit") for words in size]
        colours = {"grey": "in grey", "colour": "in RGB", "alpha": "in RGBA", None: ""}[self.colours]
        return ", ".join([*size, *([colours] if colours else [])]) or "as they are"


def form_for(shape: Shape, kept: Pictures | None = None, *, skip_broken: bool = False) -> Pictures | None:
    """Return the form of the pictures that a network takes whose samples have this shape; None if it takes none.

    Parameters
    ----------
    shape : tuple of int
        (height, width), (height, width, channels), or the number of pixels of a square in grey.
    kept : Pictures, optional
        The form of the pictures that it was trained on; else they are padded.
    """
    fit = "pad" if kept is None else kept.fit
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        if kept is not None and kept.size is not None and kept.size[0] * kept.size[1] == shape[0]:
            return Pictures(kept.size, fit, "grey", skip_broken)
        return Pictures((side, side), fit, "grey", skip_broken) if side * side == shape[0] else None
    height, width, channels = (*shape, 1, 1)[:3]
    if len(shape) > 3 or channels not in _CHANNELS or max(height, width) > _LARGEST:
        return None
    return Pictures((width, height), fit, _CHANNELS[channels], skip_broken)


def resembles_channels_first(shape: Shape) -> bool:
    """Whether a sample's shape looks like (channels, height, width): 3 or 4 rows and many "channels", or a square."""
    if len(shape) != 3 or shape[0] not in (1, 3, 4) or shape[2] <= 4:
        return False
    return shape[1] == shape[2] or (shape[0] != 1 and shape[2] > 16)


def size_of(text: str) -> tuple[int, int]:
    """Return the width and height that ``28`` or ``32x24`` mean; raise ValueError if it is no size."""
    found = re.fullmatch(r"(\d{1,4})(?:[x×](\d{1,4}))?", text.strip().lower())
    if found is None or not _is_size(size := (int(found[1]), int(found[2] or found[1]))):
        raise ValueError
    return size


def _is_size(size: Any) -> bool:
    return (
        isinstance(size, tuple) and len(size) == 2 and all(type(side) is int and 1 <= side <= _LARGEST for side in size)
    )
