"""Files that look like data and are not to be trusted: what each is made of, and what its reader is told."""

from __future__ import annotations

import gzip
import os
import pickle
import stat
import struct
import zipfile

import numpy as np

from tests.data.make import digit, idx, text
from tests.hostile.make import (
    BOMB,
    HUGE,
    IMAGES,
    LABELS,
    MB,
    X,
    Y,
    arrays_zip,
    blank,
    bomb_member,
    digits_zip,
    directory,
    header,
    member,
    mnist,
    npy,
    overlapping,
    pair,
    plain,
    png,
    repeated,
    shaped,
    special,
    tree,
    zeros,
    zipped,
)
from tests.hostile.model_files import Boom, Case

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
    "escapes of a terminal": plain("a.csv", b"a\x1b[2J,\x1b]0;me\x07\n", r"a header alone (a\x1b[2J,\x1b]0, me\x07)"),
    "a formula": plain("a.csv", b"a,y\n=cmd|'/c calc'!A1,1\n=cmd|'/c calc'!A1,2\n", "=cmd|'/c calc'!A1"),
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
    "idx with more after it": mnist(IMAGES + b"x", "got more"),
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
