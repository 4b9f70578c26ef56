"""What a format of data is to `load`: each module of this folder that reads one ends with its `READERS`."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portanet.data.dataset import Dataset
from portanet.data.readers.labels import Task


@dataclass(frozen=True)
class Reader:
    """A format: how it is recognised, and how it is read."""

    order: int  # the first one that recognises a file or a folder reads it
    words: str  # what messages call it
    read: Callable[[Path, str | int | None, Task | None, bool, Any], Dataset]  # of path, target, task, stream, and how
    is_file: Callable[[Path, bytes], bool] = lambda path, start: False  # from its path and its first bytes
    is_folder: Callable[[Path], bool] = lambda folder: False
    in_memory: Callable[..., int] | None = None  # bytes that the samples take, if they can stay on disk; of path, how
    takes: tuple[str, ...] = ()  # of target, task, and reading or pictures, which say how


@functools.cache
def readers() -> list[Reader]:
    """Return the formats, in the order in which they are tried."""
    folder: Any = importlib.import_module("portanet.data.readers").__path__
    modules = (importlib.import_module(f"portanet.data.readers.{info.name}") for info in pkgutil.iter_modules(folder))
    return sorted((own for module in modules for own in getattr(module, "READERS", ())), key=lambda own: own.order)
