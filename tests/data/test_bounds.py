"""What small files may unpack to, and what long ones may hold."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from portanet.data import convert_table
from portanet.data.readers.table_form import sniff
from portanet.data.readers.table_parse import parse
from portanet.errors import DataError
from tests.data.make import load, refused
from tests.hostile.make import repeated


@pytest.mark.parametrize("columns", [90_000, 240_000], ids=["1.2 MB", "3.1 MB"])
def test_a_header_beyond_a_megabyte(tmp_path, columns):
    rows = [",".join(str((i + j) % 2) for i in range(columns)) for j in range(3)]
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"column_{i:06d}" for i in range(columns)) + "\n" + "\n".join(rows) + "\n")
    assert len(path.read_text().splitlines()[0]) > columns * 13
    data = load(path, target="column_000000")
    assert data.x.shape == (3, columns - 1)
    assert data.features[-1] == f"column_{columns - 1:06d}"
    assert data.y.tolist() == [0, 1, 0]
    whole = load(convert_table(path, tmp_path / "out", target="column_000000"))
    np.testing.assert_array_equal(whole.x, data.x)
    assert whole.features == data.features


def test_blank_lines_before_the_first_row(tmp_path):
    path = tmp_path / "gap.csv"
    path.write_text("a,b,y\n" + "\n" * (3 << 20) + "1,2,x\n2,3,z\n")
    assert load(path).features == ("a", "b")


def test_packed_text_may_be_four_megabytes_or_200_times_its_size(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(repeated(b"0,1\n", 4))
    assert len(load(path).x) == 1 << 20
    path.write_bytes(repeated(b"0,1\n", 5))
    refused(path, "more text came out of it, more than 200 times what is packed")
    lines = np.random.default_rng(0).integers(0, 999, (300_000, 6))
    text = "\n".join(",".join(map(str, row)) for row in lines.tolist())
    path.write_bytes(gzip.compress(text.encode(), 1))
    assert len(text) > 6 << 20
    assert len(load(path).x) == 300_000


def test_equal_labels_are_one_object_and_lines_end_in_every_way():
    data = bytearray(b"a,y\r1.5,rose\r\n2.5,rose\n3.5,lily\r4.5,rose\r")
    form, _ = sniff(data, Path("t.csv"))
    part = parse(data, form, 1, Path("t.csv"))
    assert part.labels == ["rose", "rose", "lily", "rose"]
    assert part.labels[0] is part.labels[1] is part.labels[3]
    assert part.x.tolist() == [[1.5], [2.5], [3.5], [4.5]]
    assert [part.place(i) for i in (0, 3)] == ["t.csv, line 2, column 2 (y)", "t.csv, line 5, column 2 (y)"]


def parquet(path, **columns):
    arrow = pytest.importorskip("pyarrow", reason='pyarrow is not installed: pip install "portanet[data]"')
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path)
    return path


def test_parquet_by_its_numbers_and_by_row_group(tmp_path):
    zeros, y = np.zeros(800_000), np.arange(800_000) // 400_000
    path = parquet(tmp_path / "a.parquet", a=zeros, b=zeros, y=y)
    assert path.stat().st_size < 20_000
    refused(
        path, "a.parquet: refused: 800000 rows of 3 columns take 19200000 bytes, more than 200 times what is packed"
    )
    assert len(load(path, stream=True).x) == 800_000  # a row group at a time is within the bound
    wide = parquet(tmp_path / "b.parquet", **{f"c{i}": zeros[:300_000] for i in range(9)}, y=y[:300_000])
    with pytest.raises(
        DataError, match=r"b.parquet, row group 0: refused: 300000 rows of 9 columns take 21600000 bytes"
    ):
        load(wide, stream=True)


def test_texts_of_parquet_are_shared(tmp_path):
    names = ["a" * 5000, "b" * 5000]
    data = load(parquet(tmp_path / "a.parquet", x=np.arange(9000.0), y=[names[i % 2] for i in range(9000)]))
    assert data.classes == tuple(names)
    assert data.y.tolist() == [i % 2 for i in range(9000)]
    left = load(parquet(tmp_path / "b.parquet", x=np.arange(3.0), y=["a", None, "b"]))
    assert left.x.tolist() == [[0.0], [2.0]]  # a row without a label is left out
    assert left.classes == ("a", "b")
