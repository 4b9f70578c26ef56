"""Files that claim what they do not hold, unpack to far more than they are, or are no files: made, none stored."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.make import digit, idx, text
from tests.hostile.model_files import Case

X = np.arange(21.0).reshape(7, 3)


Y = np.array([0, 1, 2, 0, 1, 2, 0])


MB = 1 << 20


BOMB = "decompression bomb"


Content = bytes | Callable[[], bytes]


def plain(name: str, content: Content, says: str, code: int = 3) -> Case:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content())
        return path

    return Case(make, says, code)


def tree(says: str, files: Mapping[str, Content], **links: str) -> Case:
    """A folder of files by their paths, and of links by their names."""

    def make(folder: Path) -> Path:
        root = folder / "data"
        root.mkdir()
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content if isinstance(content, bytes) else content())
        for name, target in links.items():
            (root / name.replace("__", ".")).symlink_to(target)
        return root

    return Case(make, says)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(words: str, data: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    """An array of NumPy's whose header says anything."""
    raw = words.encode()
    size = struct.pack("<H" if version == 1 else "<I", len(raw) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + data


def shaped(shape: str, descr: str = "'<f8'", data: bytes = bytes(168)) -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n", data)


def pair(x: Content, says: str, y: Content | None = None) -> Case:
    return Case(lambda folder: tree("", {"X.npy": x, "y.npy": y or npy(Y)}).make(folder) / "X.npy", says)


def member(name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED, **fields: Any) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.compress_type = how
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def zipped(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in members:
            archive.writestr(info, content)
    return file.getvalue()


def digits_zip(*members: tuple[zipfile.ZipInfo, bytes]) -> Callable[[], bytes]:
    good = [member(f"trainingDigits/{i}_{i}.txt", text(digit(i)).encode()) for i in range(3)]
    return lambda: zipped(*good, *members)


def arrays_zip(*members: tuple[zipfile.ZipInfo, bytes]) -> Callable[[], bytes]:
    names = {info.filename for info, _ in members}
    good = [member(f"{k}.npy", npy(a)) for k, a in (("X", X), ("y", Y)) if f"{k}.npy" not in names]
    return lambda: zipped(*good, *members)


def zeros(megabytes: int, head: bytes = b"") -> bytes:
    """gzip of so many megabytes of zeros, a thousandth of them long, made without holding them."""
    return repeated(b"\0", megabytes, head)


def repeated(line: bytes, megabytes: int, head: bytes = b"") -> bytes:
    """gzip of so many megabytes of a line; one is packed so that it stands for itself, and put there so many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = line * (MB // len(line))
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(megabytes):
        check = zlib.crc32(block, check)
    end = struct.pack("<II", check, len(head) + megabytes * len(block))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + first + once * megabytes + packer.flush() + end


def bomb_member(name: str, head: bytes, megabytes: int) -> tuple[zipfile.ZipInfo, bytes]:
    return member(name, head + bytes(megabytes * MB))


def overlapping() -> bytes:
    """A thousand entries of one and the same packed megabyte (D. Fifield 2019, "A better zip bomb")."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", npy(np.zeros((MB // 8, 1))))
        first = archive.infolist()[0]
        for i in range(1000):
            other = zipfile.ZipInfo(f"x{i}.npy")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(other, field, getattr(first, field))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        setattr(archive, "_didModify", True)  # noqa: B010  # a private name: the list is written anew
    return file.getvalue()


def directory(entries: int) -> bytes:
    """A zip that is nothing but a list of members."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    listed = entry * entries
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(listed), 0, 0)
    return listed + end


def png(width: int, height: int, idat: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def blank(side: int) -> bytes:
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    return png(side, side, b"".join([packer.compress(row) for _ in range(side)]) + packer.flush())


def special(kind: str) -> Case:
    def make(folder: Path) -> Path:
        path = folder / "data.csv"
        if kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(kind)
        return path

    says = {"fifo": "expected a file or a folder", "/dev/zero": "expected a file or a folder"}
    return Case(make, says.get(kind, "no such file or folder"))


IMAGES = idx(np.zeros((3, 2, 2), np.uint8))


LABELS = idx(np.array([0, 1, 2], np.uint8))


HUGE = bytes([0, 0, 8, 3]) + b"\xff" * 12


def mnist(images: Content, says: str, labels: Content = LABELS, end: str = "") -> Case:
    return tree(says, {f"train-images-idx3-ubyte{end}": images, "train-labels-idx1-ubyte": labels})
