"""Names of classes, columns and layers: what may stand in one, and how a foreign one is shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

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


def listed(names: Sequence[object], most: int = 12, separator: str = ", ") -> str:
    """Return names for a message: each in one line and of 60 characters at most, and no more than `most` of them."""
    shown = separator.join(escaped(str(name)) if len(str(name)) <= 60 else _cut(str(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _cut(name: str) -> str:
    return f"{escaped(name[:57])}..."


def _escape_record(record: logging.LogRecord) -> bool:
    """Write out what is not safe in a message of the library's: a program's handler may print it on a terminal."""
    if not is_safe(text := record.getMessage()):
        record.msg, record.args = escaped(text), ()
    return True


logging.getLogger("portanet").addFilter(_escape_record)
