"""Parquet, ONNX and packed tables that are far more than they look: counted before anything is allocated."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.hostile.make import BOMB, MB, arrays_zip, member, npy, plain, repeated, tree, zeros
from tests.hostile.model_files import Case


def parquet(rows: int, says: str, target: Any = None, change: Callable[[bytes], bytes] = bytes, **options: Any) -> Case:
    """A table of zeros, whose target has two classes if none is given."""

    def content() -> bytes:
        import pyarrow
        import pyarrow.parquet

        zeros, file = np.zeros(rows), io.BytesIO()
        y = np.arange(rows) // (rows - 1) if target is None else target(rows)
        pyarrow.parquet.write_table(pyarrow.table({"a": zeros, "b": zeros, "y": y}), file, **options)
        return change(file.getvalue())

    return plain("a.parquet", content, says)


def footer(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:-8] + size.to_bytes(4, "little") + content[-4:]


def zigzag(value: int, size: int = 0) -> bytes:
    """A number as Thrift's compact protocol writes it, in so many bytes if it may be longer than it needs to be."""
    value <<= 1
    digits = [value >> 7 * i & 127 for i in range(max(size, -(-value.bit_length() // 7), 1))]
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


def understated(content: bytes) -> bytes:
    """Pages of 250 MB, whose file's description says that they hold 1,000 rows, and next to nothing."""
    import pyarrow.parquet

    about = pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata
    size = int.from_bytes(content[-8:-4], "little")
    group, foot = about.row_group(0), content[-8 - size : -8]
    chunks = [group.column(i).total_uncompressed_size for i in range(group.num_columns)]
    for true in {about.num_rows, group.total_byte_size, *chunks}:
        foot = foot.replace(zigzag(true), zigzag(1000, len(zigzag(true))))
    return content[: -8 - size] + foot + content[-8:]


def shared_text() -> bytes:
    """A text of 20 kB once, which stands in each of 20,000 rows, next to a number that is missing."""
    import pyarrow
    import pyarrow.parquet

    n, file = 20_000, io.BytesIO()
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(n, "i4")), pyarrow.array(["x" * 20_000]))
    labels = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(n, "i4")), pyarrow.array(["\x1b"]))
    gaps = pyarrow.array([None] + [1.0] * (n - 1))
    pyarrow.parquet.write_table(
        pyarrow.table({"a": gaps, "t": texts, "y": labels}), file, compression="zstd", store_schema=False
    )
    return file.getvalue()


PLAIN: dict[str, Any] = {"use_dictionary": False, "compression": "zstd"}

PARQUET = {
    "Parquet of 40 MB in 10 kB, equal numbers once": parquet(1_700_000, BOMB),
    "Parquet of 40 MB in 10 kB, packed": parquet(1_700_000, BOMB, **PLAIN),
    "Parquet of 40 MB in a row group": parquet(1_700_000, BOMB, row_group_size=1_700_000),
    "Parquet of 500 MB in pages of a file that claims 16 kB": parquet(
        *(1 << 25, BOMB),
        change=understated,
        **PLAIN,
        row_group_size=1 << 25,
        data_page_size=(1 << 31) - 1,
        max_rows_per_page=1 << 25,
        write_statistics=False,
        store_schema=False,
    ),
    "Parquet of a text in 20,000 rows": plain("a.parquet", shared_text, "expected a label without control"),
    "Parquet of 40 MB in 1,700 row groups": parquet(1_700_000, BOMB, row_group_size=250_000, **PLAIN),
    "Parquet with a description of 2 GB": parquet(9, "its description of columns takes", change=footer((1 << 31) - 1)),
    "Parquet with a description of nothing": parquet(9, "expected a Parquet file", change=footer(0)),
    "Parquet that is cut": parquet(9, "expected a Parquet file", change=lambda content: content[:-20]),
    "Parquet with a date as the target": parquet(
        9, "expected numbers or text as targets", target=lambda rows: np.zeros(rows, "M8[ms]")
    ),
    "Parquet with labels that steer a terminal": parquet(
        9, "expected a label without control characters", target=lambda rows: ["\x1b[2J", "b", "b"] * (rows // 3)
    ),
}


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def onnx(content: Callable[[], bytes], says: str, info: int = 3) -> Case:
    """A file that `info` alone reads; to the others it is no network of portanet's."""
    made = plain("net.onnx", lambda: b"\x08\x08" + content(), "damaged or another")
    return made._replace(info=info, info_says=says)


def graph(*parts: bytes) -> bytes:
    return part(7, b"".join(parts))


def huge() -> bytes:
    return graph(part(5, b"\x08" + b"\xff" * 8 + b"\x7f" + part(8, b"x")), *[part(1, part(4, b"Add"))] * 3)


MILLIONS = 5_000_000
MANY = "nodes, arrays and other parts"

ONNX = {
    "ONNX of 5 million empty nodes": onnx(lambda: graph(part(1, b"") * MILLIONS), MANY),
    "ONNX of 5 million empty arrays": onnx(lambda: graph(part(5, b"") * MILLIONS), MANY),
    "ONNX of a node with 5 million attributes": onnx(lambda: graph(part(1, part(5, b"") * MILLIONS)), MANY),
    "ONNX of a node with 5 million inputs": onnx(lambda: graph(part(1, part(1, b"") * MILLIONS)), MANY),
    "ONNX of 5 million inputs": onnx(lambda: graph(part(11, b"") * MILLIONS), MANY),
    "ONNX of 5 million functions": onnx(lambda: part(25, b"") * MILLIONS, MANY),
    "ONNX of 5 million metadata": onnx(lambda: part(14, b"") * MILLIONS, MANY),
    "ONNX of 5 million descriptions": onnx(lambda: graph(part(10, b"") * MILLIONS), MANY),
    "ONNX of an array of 5 million axes": onnx(lambda: graph(part(5, b"\x08\x01" * MILLIONS)), MANY),
    "ONNX of an array of 5 million axes, packed": onnx(lambda: graph(part(5, part(1, b"\x01" * MILLIONS))), MANY),
    "ONNX of graphs 100,000 deep": onnx(lambda: nested(20_000), "expected an ONNX file"),
    "ONNX that breaks off": onnx(lambda: graph(part(1, b"x" * 99))[:-20], "expected an ONNX file"),
    "ONNX of endless numbers": onnx(lambda: b"\xff" * 1000, "expected an ONNX file"),
    "ONNX with names that are not UTF-8": onnx(lambda: graph(part(1, part(4, b"\xff\xfe"))), "", info=0),
    "ONNX of sizes that no number holds": onnx(huge, "", info=0),
    "ONNX with metadata that steer a terminal": onnx(
        lambda: graph(part(1, part(4, b"\x1b[2J"))) + part(14, part(1, b"output") + part(2, b"a\nb\x1b[2J")), "", info=0
    ),
}


def nested(depth: int) -> bytes:
    """Graphs within attributes of nodes of graphs."""
    inner = b""
    for _ in range(depth // 100):
        inner = part(1, part(5, part(6, inner)))
    return graph(inner)


def labels(rows: int, head: bytes) -> Callable[[], bytes]:
    return lambda: zeros(rows // MB, head + rows.to_bytes(4, "big"))


def archive(rows: int) -> bytes:
    return arrays_zip(member("X.npy", npy(np.zeros((rows, 1), "u1"))), member("y.npy", npy(np.zeros(rows, "u1"))))()


def columns(names: bytes, cells: bytes, number: int) -> Callable[[], bytes]:
    """A table of many columns, whose label is refused."""
    rows = [names, cells, cells]
    return lambda: b"".join(b",".join([own] * number) + end for own, end in zip(rows, ENDS, strict=True))


ENDS = (b",y\n", b",\x1b\n", b",\x1b\n")
LABEL = "expected a label without control characters"
OPEN = b"a,b,y\n1,1,x\n" + b"1,2,x\n" * (MB // 4)

TABLES = {
    "a quote that is not closed, in 3 MB": plain("a.csv", b'a,b,y\n1,"2,x\n' + OPEN * 2, "in quotes to be closed"),
    "a quote that is closed 1.5 MB on": plain("a.csv", OPEN + b'1,"2,x\n' + OPEN + b'"\n', "in quotes to be closed"),
    "a row of cells that are line ends": plain("a.csv", b"a,b,y\n" + b'"\n",' * (MB // 4), "expected rows of data"),
    "20,000 columns of one name": plain("a.csv", columns(b"a", b"2", 20_000), LABEL),
    "10,000 columns of text": plain("a.csv", columns(b"a", b"u", 10_000), LABEL),
    "a number of 100,000 digits": plain("a.csv", b"a,b,y\n" + b"9" * 100_000 + b",2,x\n1,,y\n", "expected finite"),
    "rows of blank cells alone": plain("a.csv", b"a,b,y\n,,,,\n,,,,\n", "expected rows of data"),
    "gzip of 15 million labels in 15 kB": tree(
        "announces 15728640 rows, which take 471859200 bytes",
        {
            "train-images-idx3-ubyte.gz": lambda: zeros(15, bytes([0, 0, 8, 3]) + struct.pack(">3I", 15 * MB, 1, 1)),
            "train-labels-idx1-ubyte.gz": labels(15 * MB, bytes([0, 0, 8, 1])),
        },
    ),
    "npz of 15 million labels": plain("a.npz", lambda: archive(15 * MB), BOMB),
    "gzip of 15 MB of numbers in 15 kB": plain("a.csv.gz", lambda: repeated(b"0,1\n", 15, b"a,b\n1e0,1\n"), BOMB),
    "gzip of 15 MB of digits in 15 kB": plain("a.csv.gz", lambda: repeated(b"0,1\n", 15), BOMB),
    "a header of 6 MB": plain("a.csv", lambda: b",".join(b"c%d" % i for i in range(800_000)) + b"\n1,2\n", "at most"),
    "a header of 6 MB, packed": plain(
        "a.csv.gz", lambda: gzip.compress(b",".join(b"c%d" % i for i in range(800_000)) + b"\n1,2\n"), "at most"
    ),
}
