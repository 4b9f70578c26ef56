"""What the pictures share: the canvas, the colours, the dress of axes and legends, and the way into a file."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portanet.errors import ConfigError, DataError, need
from portanet.files.atomic import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")  # Okabe & Ito 2008
DPI = 150


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, on the canvas that needs no display.

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    need("matplotlib.figure", "plot", "a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    class Picture(Figure):
        """A figure that notebooks show without pyplot."""

        def _repr_png_(self) -> bytes:
            return as_bytes(self, "png", 100)

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Picture(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)  # takes the place of the figure's canvas
    return figure


def check(path: str | os.PathLike[str]) -> None:
    """Tell, before anything is worked out, that no picture can be written to a file of that name.

    Raises
    ------
    ConfigError
        If matplotlib is not installed, or the suffix is none of .png, .svg and .pdf.
    """
    canvas(1, 1)
    _suffix(path)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to `path` in one piece or not at all, in the format of its suffix: .png, .svg or .pdf.

    Raises
    ------
    ConfigError
        If the suffix is none of these.
    DataError
        If the file cannot be written.
    """
    write(path, as_bytes(figure, _suffix(path)))


def as_bytes(figure: Figure, form: str, dpi: int = DPI) -> bytes:
    """Return a figure as the content of a file in this format, with so many dots an inch."""
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=dpi)
    return file.getvalue()


def colours(n: int) -> list[str]:
    """Return `n` colours that can be told apart without seeing red or green; beyond seven, steps of one scale."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps["viridis"]
    return [to_hex(scale(0.95 * i / (n - 1))) for i in range(n)]


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title, labels, a faint grid and no box. Names are taken as they are: a $ in them is no formula."""
    axes.set_title(title, fontsize=12, fontweight="bold", loc="left", parse_math=False)
    axes.set_xlabel(x, fontsize=11, parse_math=False)
    axes.set_ylabel(y, fontsize=11, parse_math=False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10, color="0.6")


def legend(place: Axes | Figure, handles: Sequence[Any], names: Sequence[str], **options: Any) -> None:
    """Add a legend. Its texts are set afterwards: matplotlib would drop names that begin with an underscore."""
    found = place.legend(handles, [str(i) for i in range(len(handles))], fontsize=10, frameon=False, **options)
    for text, name in zip(found.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def short(name: object, length: int) -> str:
    """Return a name, cut in its middle where it is longer than `length`: names differ most often at an end."""
    text = " ".join(str(name).split())
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def class_names(classes: Sequence[str], count: int, length: int, place: str) -> list[str]:
    """Return a name for each class, cut to `length`; the indices where `classes` is empty.

    Raises
    ------
    DataError
        If there are other than `count` of them.
    """
    if len(classes) not in (0, count):
        message = f"{place}: expected {count} names of classes, got {len(classes)}; give one for each, or none"
        raise DataError(message)
    return [short(name, length) for name in (classes or range(count))]


def percent(share: float) -> str:
    """Return a share as percent, never rounded up to all or down to none."""
    text = f"{100 * share:.1f}"
    if (text == "100.0" and share < 1) or (text == "0.0" and share > 0):
        text = "> 99.9" if share > 0.5 else "< 0.1"
    return f"{text}%"


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        message = f"{path}: expected a name that ends in .{', .'.join(FORMATS)}, got {suffix or 'no suffix'!r}"
        raise ConfigError(message)
    return suffix
