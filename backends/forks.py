"""Libraries whose threads stayed in the parent when this process was forked: waiting for them would never end."""

from __future__ import annotations

import os
import sys

_LEFT: set[str] = set()


def lost_threads(library: str) -> bool:
    """Return whether this process was forked from one that had imported `library`: ``"torch"`` or ``"jax"``.

    torch with one thread needs no others.
    """
    if library not in _LEFT:
        return False
    return library != "torch" or int(sys.modules["torch"].get_num_threads()) > 1


def _note() -> None:
    _LEFT.update(name for name in ("torch", "jax") if name in sys.modules)


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_note)
