"""The files of the page, as they are installed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDER", "TYPES", "page_files"]

FOLDER = Path(__file__).parent / "static"

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "py": "text/plain; charset=utf-8",
}
"""Media types by the ends of names."""


def page_files() -> dict[str, bytes]:
    """Return what the page is made of, by name; all of it is read at once, so that no request reads from the disk."""
    return {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix[1:] in TYPES}
