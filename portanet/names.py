"""Names of classes, columns and layers: what may stand in one, and how a foreign one is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from portanet.errors import ConfigError

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (with newlines and escapes of a terminal), marks that turn the direction of text round, and halves
of characters, which cannot be encoded: what is not UTF-8 in the name of a file becomes such a half."""


def is_safe(name: str) -> bool:
    """Whether a name can be printed, stored and put into a script as it is."""
    return _UNSAFE.search(name) is None


def escaped(text: str) -> str:
    r"""Return `text` in one line, with what is not safe written out: ``\x1b`` for an escape."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def escaped_json(text: str) -> str:
    r"""Return JSON, which may have several lines, with the same written out as JSON does: ``\u001b``."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise ConfigError if one of the names is not safe."""
    for name in names:
        if not is_safe(name):
            message = f"{what}: expected names without control characters, in characters that exist, got {name!a:.60}"
            raise ConfigError(message + "; rename it")
