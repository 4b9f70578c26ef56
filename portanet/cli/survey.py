"""What is in a folder or a zip of pictures that are not alike: counted from their headers, for ``portanet info``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from portanet.cli.output import echo, print_table
from portanet.data import Pictures
from portanet.data.pictures.decode import DepthError, shape_of
from portanet.data.readers.images import listed, parts_of
from portanet.errors import DataError

_COLOURS = {(): "grey", (3,): "colour", (4,): "colour with transparency"}
_MOST = 8  # sizes that are shown


def survey(source: str, why: DataError) -> dict[str, Any]:
    """Return how many pictures there are by part and class, by size and by colours; `why` they are no data as they are.

    Raises
    ------
    DataError
        If no picture lies in the folder of a class.
    """
    path = Path(source).expanduser()
    sizes: Counter[str] = Counter()
    colours: Counter[str] = Counter()
    parts: dict[str, dict[str, int]] = {}
    with listed(path) as pictures:
        for part, rows in parts_of(path, pictures).items():
            parts[part] = dict(sorted(Counter(label for label, _ in rows).items()))
            for _, picture in rows:
                try:
                    height, width, *channels = shape_of(picture, Pictures())
                except DepthError:
                    colours["more than 8 bits a channel"] += 1
                except DataError:
                    colours["cannot be decoded"] += 1
                else:
                    sizes[f"{width}×{height}"] += 1
                    colours[_COLOURS[tuple(channels)]] += 1
    fix = str(why).rpartition("; ")[2]
    found = {"sizes": dict(sizes.most_common()), "colours": dict(colours.most_common())}
    return {"kind": "pictures", "name": source, **found, **parts, "hint": fix}


def show(found: dict[str, Any]) -> None:
    """Print what :func:`survey` returned."""
    parts = [part for part in ("train", "val", "test") if part in found]
    total, classes = sum(sum(found[part].values()) for part in parts), sorted({c for p in parts for c in found[p]})
    echo(f"{found['name']}: {total:,} pictures of {len(classes)} classes, not alike")
    rows = [(f"class {name}", *(str(found[part].get(name, 0)) for part in parts)) for name in classes]
    print_table(["", *parts], rows, right=range(1, 1 + len(parts)))
    for what in ("sizes", "colours"):
        shown = [f"{count:,} {name}" for name, count in list(found[what].items())[:_MOST]]
        more = len(found[what]) - len(shown)
        echo(f"{what:8} {', '.join(shown)}" + (f", and {more} more" if more else ""))
    echo(f"to train {found['hint']}")
