"""What the pages of a Parquet file unpack to, by their own headers: the description at its end may claim less.

Source: https://github.com/apache/parquet-format (PageHeader), and Thrift's compact protocol,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from typing import IO, Any

_HEADER = 1 << 12
"""Bytes that hold a header, unless the statistics in it are long texts."""

_LONGEST = 16 << 20
"""Bytes of the longest header that pyarrow reads."""

_DEPTH = 8  # structs within structs; a header has 3
_FIXED = {1: 0, 2: 0, 3: 1, 7: 8}  # bytes of a value, by its type; true and false are types
_NUMBERS, _TEXT, _LISTS, _MAP, _STRUCT = (4, 5, 6), 8, (9, 10), 11, 12


def unpacked(file: IO[bytes], chunk: Any) -> int:
    """Return the bytes that the pages of a column chunk unpack to; raise ValueError if a header is damaged."""
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end, total = at + chunk.total_compressed_size, 0
    while at < end:
        size, packed, length = _header(file, at, end)
        total += size
        at += length + packed
    return total


def _header(file: IO[bytes], at: int, end: int) -> tuple[int, int, int]:
    """Return the unpacked and the packed size of the page at a place, and the length of its header."""
    for most in (_HEADER, _LONGEST):
        file.seek(at)
        data = file.read(min(most, end - at))
        try:
            numbers, length = _struct(data, 0, 0)
        except IndexError:
            if len(data) == most:
                continue
            break
        if min(numbers.get(2, -1), numbers.get(3, -1)) >= 0:
            return numbers[2], numbers[3], length
        break
    message = "a page's header is damaged"
    raise ValueError(message)


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, int], int]:
    """Return the numbers among the fields of a struct, and where it ends; IndexError if that is beyond the data."""
    found, field = {}, 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            field += head >> 4
        else:
            field, at = _number(data, at)
        kind = head & 15
        if kind in _NUMBERS:
            found[field], at = _number(data, at)
        else:
            at = _after(data, at, kind, depth)
    return found, at + 1


def _after(data: bytes, at: int, kind: int, depth: int) -> int:
    """Return where a value ends."""
    if depth > _DEPTH:
        raise IndexError
    if kind in _FIXED:
        return at + _FIXED[kind]
    if kind in _NUMBERS:
        return _number(data, at)[1]
    if kind == _TEXT:
        size, at = _varint(data, at)
        return at + size
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)[1]
    kinds: tuple[int, ...]
    if kind in _LISTS:
        size, kinds, at = data[at] >> 4, (data[at] & 15,), at + 1
        if size == 15:
            size, at = _varint(data, at)
    elif kind == _MAP:
        size, at = _varint(data, at)
        kinds, at = ((data[at] >> 4, data[at] & 15), at + 1) if size else ((), at)
    else:
        raise IndexError
    if all(inner in _FIXED for inner in kinds):  # without a loop: a list may claim any length
        return at + size * sum(max(_FIXED[inner], 1) for inner in kinds)
    for _ in range(size):
        for inner in kinds:
            at = at + 1 if inner in (1, 2) else _after(data, at, inner, depth + 1)
    return at


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, seven bits a byte, and where it ends."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise IndexError
