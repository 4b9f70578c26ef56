"""Damaged files out of good ones: bytes and words are changed, also within what is packed, listed or checksummed."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

STRANGE = (b'-1 0 1e999 nan null true [] {} [1] "" "x" 1.5 2147483648 9223372036854775808 1e-320 -0.0').split()
STRANGE += [b"9" * 400, b"[" * 900, b"\x00", "\u2028é\U0001f600".encode()]
NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 62,
    (1 << 64) - 1,
)
WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+')


class Change(NamedTuple):
    """What to do, where, how much or which, and with what bytes; all of them are cut to what fits."""

    kind: int
    at: int
    much: int
    what: bytes


def changed(data: bytes, changes: list[Change]) -> bytes:
    """Return `data` with all changes made."""
    for change in changes:
        data = KINDS[change.kind % len(KINDS)](data, change)
    return data


def _place(data: bytes, number: int) -> int:
    """Return a place in the data; the small numbers are the first bytes, where headers are."""
    return number % (len(data) + 1) if number < 256 else (number * 2654435761 % (1 << 32)) * (len(data) + 1) >> 32


def _flip(data: bytes, c: Change) -> bytes:
    i = _place(data, c.at)
    return data[:i] + bytes([data[i] ^ 1 << c.much % 8]) + data[i + 1 :] if i < len(data) else data


def _overwrite(data: bytes, c: Change) -> bytes:
    i = _place(data, c.at)
    return data[:i] + c.what + data[i + len(c.what) :]


def _insert(data: bytes, c: Change) -> bytes:
    i = _place(data, c.at)
    return data[:i] + c.what * (1 + c.much % 300) + data[i:]


def _truncate(data: bytes, c: Change) -> bytes:
    return data[: _place(data, c.at)]


def _delete(data: bytes, c: Change) -> bytes:
    i = _place(data, c.at)
    return data[:i] + data[i + 1 + c.much % 64 :]


def _duplicate(data: bytes, c: Change) -> bytes:
    i, size = _place(data, c.at), 1 + c.much % 128
    return data[:i] + data[i : i + size] * (2 + c.much % 5) + data[i + size :]


def _splice(data: bytes, c: Change) -> bytes:
    i, j = _place(data, c.at), _place(data, c.much)
    size = 1 + len(c.what) * 16
    return data[:i] + data[j : j + size] + data[i + size :]


def _number(data: bytes, c: Change) -> bytes:
    i, value = _place(data, c.at), NUMBERS[c.much % len(NUMBERS)]
    size, order = (1, 2, 4, 8)[c.much // 16 % 4], ("little", "big")[c.much // 64 % 2]
    return data[:i] + (value % (1 << 8 * size)).to_bytes(size, order) + data[i + size :]


def _word(data: bytes, c: Change) -> bytes:
    """Put a strange word, or another one of the file's, in the place of a word."""
    found = list(WORD.finditer(data))
    if not found:
        return data
    old, other = found[c.at % len(found)], found[c.much // 32 % len(found)][0]
    new = other if c.much % 4 == 0 else STRANGE[c.much // 4 % len(STRANGE)]
    return data[: old.start()] + new + data[old.end() :]


KINDS = (_flip, _overwrite, _insert, _truncate, _delete, _duplicate, _splice, _number, _word, _word)


class View(NamedTuple):
    """A part of a file that can be changed by itself: what is in it, and how it becomes the file again."""

    data: bytes
    again: Callable[[bytes], bytes]


def views(content: bytes) -> list[View]:
    """Return the file as it is, and what is packed or wrapped in it."""
    found = [View(content, lambda data: data)]
    if content.startswith(b"\x1f\x8b"):
        found.append(View(gzip.decompress(content), lambda data: gzip.compress(data, 1, mtime=0)))
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        found += [View(members[name], _member(members, name)) for name in members]
    if content.startswith(b"\x89PNG"):
        found.append(View(content, _checksums))
    if content[8:10] == b'{"':
        size = int.from_bytes(content[:8], "little")
        header, rest = content[8 : 8 + size], content[8 + size :]
        found.append(View(header, lambda data: struct.pack("<Q", len(data)) + data + rest))
        about = json.loads(header)
        inner = about["__metadata__"]["portanet"].encode()
        found += [View(inner, lambda data: _described(about, data) + rest)] * 3  # there most can go wrong
    return found


def _member(members: dict[str, bytes], name: str) -> Callable[[bytes], bytes]:
    def again(data: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for other, content in members.items():
                archive.writestr(zipfile.ZipInfo(other), data if other == name else content)
        return file.getvalue()

    return again


def _checksums(data: bytes) -> bytes:
    """Return a PNG with the checksum of each chunk as it should be."""
    out, i = bytearray(data[:8]), 8
    while i + 12 <= len(data):
        size = int.from_bytes(data[i : i + 4], "big")
        if i + 12 + size > len(data):
            break
        chunk = data[i + 4 : i + 8 + size]
        out += data[i : i + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        i += 12 + size
    return bytes(out) + data[i:]


def _described(about: dict[str, dict[str, str]], data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    header = json.dumps({**about, "__metadata__": {"portanet": text}}).encode()
    return struct.pack("<Q", len(header)) + header
