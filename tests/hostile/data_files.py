"""Files that look like data and are not to be trusted: what each is made of, and what its reader is told."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.make import digit, idx, text
from tests.hostile.model_files import Boom, Case

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
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    found = packer.compress(head)
    for _ in range(megabytes):
        found += packer.compress(bytes(MB))
    return found + packer.flush()


def repeated(line: bytes, megabytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = line * (MB // len(line))
    return b"".join([packer.compress(block) for _ in range(megabytes)]) + packer.flush()


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


TABLES = {
    "gzip bomb of text": plain("a.csv.gz", lambda: repeated(b"1,2,3\n", 300), BOMB),
    "gzip bomb of zeros": plain("a.csv.gz", lambda: zeros(300, b"a,b\n" + b"1,2\n" * 2000), BOMB),
    "gzip within gzip": plain("a.csv.gz", lambda: gzip.compress(gzip.compress(b"1,2\n")), "expected one of"),
    "gzip that ends early": plain("a.csv.gz", lambda: gzip.compress(os.urandom(999).hex(",").encode())[:500], "early"),
    "gzip with a wrong checksum": plain(
        "a.csv.gz", lambda: gzip.compress(b"1,2\n3,4\n")[:-8] + bytes(8), "the compressed data are damaged"
    ),
    "one line of 20 MB": plain("a.csv", lambda: b"1," * (10 * MB) + b"1\n", "expected lines of at most"),
    "a cell of 6 MB": plain("a.csv", lambda: b"1,2\n3," + b"9" * (6 * MB) + b"\n", "expected lines of at most"),
    "a quote that never ends": plain("a.csv", lambda: b'1,2\n3,"' + b"9\n" * MB, "expected cells in quotes"),
    "zero bytes in a cell": plain("a.csv", b"a,b\n" + b"1,2\n" * 9 + b"1,\0\n", "binary file"),
    "escapes of a terminal": plain(
        "a.csv", b"a\x1b[2J,b\n\x1b]0;me\x07,1\n2,3\n", r"column 1 (a\x1b[2J): expected a number, got '\x1b]0;me\x07'"
    ),
    "a formula": plain("a.csv", b"a,b\n=cmd|'/c calc'!A1,1\n2,3\n", "expected a number"),
    "a header of several lines": plain("a.csv", b'"a\nb\n",c\n', r"a header alone (a\nb, c)"),
    "UTF-16 that breaks off": plain("a.csv", b"\xff\xfe1\0,\0" + b"2", "expected"),
    "a pickle": plain("a.csv", pickle.dumps(Boom(), protocol=4), "a pickle, which can run code"),
    "an old pickle": plain("a.csv", pickle.dumps(Boom(), protocol=0), "expected"),
    "a pipe that nobody writes to": special("fifo"),
    "a link to an endless device": special("/dev/zero"),
    "a link to itself": special("data.csv"),
    "a link to nothing": special("nowhere"),
}

ARRAYS = {
    "a pickle of objects": pair(npy(np.array([[Boom()]], dtype=object)), "it holds Python objects (pickle)"),
    "a pickle within npz": plain(
        "a.npz",
        arrays_zip(member("X.npy", npy(np.array([[Boom()]], dtype=object)))),
        "it holds Python objects (pickle)",
    ),
    "objects as labels within npz": plain(
        "a.npz", arrays_zip(member("y.npy", npy(np.array([Boom()] * 7, dtype=object)))), "holds Python objects (pickle)"
    ),
    "labels of characters that do not exist": pair(
        npy(X), "expected labels of text", shaped("(7,)", "'<U1'", b"\xff" * 28)
    ),
    "labels of halves of characters": pair(
        npy(X), "expected labels of text", shaped("(7,)", "'<U1'", b"\x00\xd8\0\0" * 7)
    ),
    "objects within a record": pair(shaped("(7,)", "[('a', '|O')]"), "it holds Python objects (pickle)"),
    "2^60 elements": pair(shaped("(1073741824, 1073741824)"), "the file cannot hold more than"),
    "2^200 elements": pair(shaped(f"({2**100}, {2**100})"), "expected sizes from 0 to 2^48"),
    "2^60 elements of nothing": pair(shaped("(1152921504606846976, 0)", data=b""), "expected sizes from 0 to 2^48"),
    "2^60 elements of no size": pair(shaped("(1152921504606846976, 3)", "'|S0'", b""), "expected sizes from 0 to 2^48"),
    "an element of 2^40 bytes": pair(shaped("(7, 3)", "'|V1099511627776'"), "a damaged header"),
    "negative sizes": pair(shaped("(-7, -3)"), "expected sizes from 0 to 2^48"),
    "sizes of NaN": pair(shaped("(nan, 3)"), "a damaged header"),
    "sizes of fractions": pair(shaped("(7.0, 3)"), "a damaged header"),
    "a size of infinity": pair(shaped("(1e999, 3)"), "a damaged header"),
    "a shape of 100 axes": pair(shaped("(" + "1, " * 97 + "7, 3)"), "on at most 32 axes"),
    "a header that calls": pair(shaped("(__import__('os').system('true'), 3)"), "a damaged header"),
    "a header of 20,000 brackets": pair(header("(" * 20_000), "a damaged header"),
    "a header that is nested": pair(header("[" * 3000 + "]" * 3000), "a damaged header"),
    "a header longer than the file": pair(header("{}", version=2, length=0xFFFFFFFF), "a damaged header"),
    "a header of 300 MB, packed": pair(lambda: zeros(300, header("{", version=2, length=300 * MB)), "a damaged header"),
    "a later version": pair(header("{}", version=9), "a damaged header"),
    "complex numbers": pair(npy(X * 1j), "expected real numbers, got the type complex128"),
    "dates": pair(npy(X.astype("M8[s]")), "expected real numbers"),
    "NaN among the samples": pair(npy(np.where(X == 4, np.nan, X)), "[1, 1]: expected a finite number, got nan"),
    "labels of infinity": pair(npy(X), "expected a finite label", npy(np.where(Y == 1, np.inf, Y))),
    "npz of 300 MB of zeros": plain(
        "a.npz", lambda: arrays_zip(bomb_member("X.npy", shaped("(300, 131072)", data=b""), 300))(), BOMB
    ),
    "npz of 150 MB, announced": plain(
        "a.npz", lambda: arrays_zip(bomb_member("X.npy", shaped("(1000, 19661)", data=b""), 150))(), BOMB
    ),
    "npz whose members overlap": plain("a.npz", overlapping, "overlap"),
    "npz with a list of a million members": plain("a.npz", lambda: directory(1_000_000), "list of its members"),
    "npz with a path out of it": plain("a.npz", arrays_zip(member("../../X.npy", npy(X))), "points out of the archive"),
    "npz with a link": plain(
        "a.npz", arrays_zip(member("X.npy", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)), "a link"
    ),
    "npz that is encrypted": plain(
        "a.npz",
        lambda: arrays_zip()().replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "encrypted",
    ),
    "npz in a rare compression": plain("a.npz", arrays_zip(member("X.npy", npy(X), zipfile.ZIP_LZMA)), "deflated"),
    "npz cut in the middle": plain("a.npz", lambda: arrays_zip()()[:200], "damaged"),
    "gzip bomb of an array": pair(lambda: zeros(300, shaped("(300, 131072)", data=b"")), BOMB),
    "a folder of arrays with a link to a device": tree("expected a file", {"y.npy": npy(Y)}, X__npy="/dev/zero"),
}

IDX = {
    "idx of 2^96 pixels": mnist(HUGE, "the file cannot hold more than"),
    "idx of 255 axes": mnist(bytes([0, 0, 8, 255]) + b"\0\0\0\1" * 255 + b"x", "expected at most"),
    "idx of no axes": mnist(bytes([0, 0, 8, 0]), "expected an IDX file"),
    "idx that is cut": mnist(IMAGES[:-1], "got 11"),
    "idx with more behind": mnist(IMAGES + b"x", "got more"),
    "idx with swapped files": mnist(LABELS, "are images and labels swapped", IMAGES),
    "idx with other counts": mnist(IMAGES, "2 labels", idx(np.array([0, 1], np.uint8))),
    "gzip bomb of pixels": mnist(
        lambda: zeros(300, bytes([0, 0, 8, 3]) + struct.pack(">3I", 300, 1024, 1024)), BOMB, end=".gz"
    ),
    "an endless device as pixels": tree(
        "expected a file", {"train-labels-idx1-ubyte": LABELS}, **{"train-images-idx3-ubyte": "/dev/zero"}
    ),
}

DIGITS = {
    "zip bomb of a digit": plain("a.zip", digits_zip(bomb_member("trainingDigits/1_9.txt", b"0", 50)), "about 1 kB"),
    "zip with a path out of it": plain("a.zip", digits_zip(member("../1_9.txt", b"0")), "points out of the archive"),
    "zip with an absolute path": plain("a.zip", digits_zip(member("/etc/1_9.txt", b"0")), "points out of the archive"),
    "zip with a drive": plain("a.zip", digits_zip(member("C:/1_9.txt", b"0")), "points out of the archive"),
    "zip with a link": plain(
        "a.zip",
        digits_zip(member("trainingDigits/1_9.txt", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)),
        "a link",
    ),
    "zip with a number of 5,000 digits": plain(
        "a.zip", digits_zip(member("trainingDigits/1_" + "9" * 5000 + ".txt", b"0")), "label before an underscore"
    ),
    "zip with an empty name": plain("a.zip", digits_zip(member("", b"0")), "a member without a name"),
    "zip with a pickle": plain("a.zip", lambda: zipped(member("archive/data.pkl", pickle.dumps(Boom()))), "got none"),
    "zip of nothing": plain("a.zip", lambda: zipped(), "got none"),
    "zip with a list of 300,000 members": plain("a.zip", lambda: directory(300_000), "list of its members"),
    "a digit of 50 MB": tree("expected", {"trainingDigits/1_1.txt": lambda: b"01" * (25 * MB)}),
    "a folder with a link to a device": tree(
        "expected a file", {"1_1.txt": text(digit(0)).encode()}, **{"2_1__txt": "/dev/zero"}
    ),
    "a folder within itself": tree("expected one of", {}, loop="."),
}

PICTURES = {
    "a picture of 65,535 squared": tree("exceeds limit", {"a/1.png": png(65535, 65535), "b/1.png": blank(8)}),
    "a blank picture of 8,000 squared": tree(BOMB, {"a/1.png": lambda: blank(8000), "b/1.png": blank(8)}),
    "a thousand that claim to be large": tree(BOMB, {f"{'ab'[i % 2]}/{i}.png": png(4000, 4000) for i in range(1000)}),
    "a picture that is cut": tree("can be decoded", {"a/1.png": blank(8)[:-30], "b/1.png": blank(8)}),
    "a program in PostScript": tree(
        "can be decoded",
        {"a/1.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "b/1.png": blank(8)},
    ),
    "text as a picture": tree("can be decoded", {"a/1.png": b"hello", "b/1.png": blank(8)}),
    "a link to an endless device as a picture": tree(
        "expected a file", {"b/1.png": blank(8)}, **{"b/0__png": "/dev/zero"}
    ),
}

DATA: dict[str, Case] = {**TABLES, **ARRAYS, **IDX, **DIGITS, **PICTURES}
