"""Pages of Parquet files: their sizes are counted before they are unpacked, their texts are not multiplied."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

import portanet as pn
from portanet.errors import DataError

arrow = pytest.importorskip("pyarrow", reason='it is not installed: pip install "portanet[data]"')
parquet = pytest.importorskip("pyarrow.parquet")
pages = pytest.importorskip("portanet.data.readers.parquet_pages")

ROWS = 500


def columns(text=None):
    return {
        "a": arrow.array([None, *np.linspace(-1, 1, ROWS - 1)]),
        "t": arrow.array([None if i % 7 == 0 else f"t{i % 5}" * 300 for i in range(ROWS)], text or arrow.string()),
        "n": arrow.array([str(i % 9) for i in range(ROWS)]),
        "c": arrow.array([f"c{i % 4}" for i in range(ROWS)]).dictionary_encode(),
        "y": arrow.array([f"k{i % 3}" for i in range(ROWS)]),
    }


@pytest.mark.parametrize(
    ("compression", "dictionary", "version"),
    list(itertools.product(["none", "snappy", "gzip", "zstd"], [True, False], ["1.0", "2.0"])),
)
def test_sizes_are_those_that_the_writer_notes(tmp_path, compression, dictionary, version):
    path = tmp_path / "a.parquet"
    options = {"compression": compression, "use_dictionary": dictionary, "data_page_version": version}
    parquet.write_table(arrow.table(columns()), path, row_group_size=120, data_page_size=500, **options)
    about = parquet.ParquetFile(path).metadata
    with path.open("rb") as file:
        for i, j in itertools.product(range(about.num_row_groups), range(about.num_columns)):
            chunk = about.row_group(i).column(j)
            headers = chunk.total_uncompressed_size - pages.unpacked(file, chunk)  # the writer counts them too
            assert 0 < headers < 5000  # statistics are in them, with texts of 600 bytes
    whole = pn.data.load(path, target="y").x
    assert whole.kinds == {"c": "category"}
    assert whole.column("t").values == [f"t{i}" * 300 for i in (1, 2, 3, 4, 0)]
    assert whole.column("t").codes[:9].tolist() == [-1, 0, 1, 2, 3, 4, 0, -1, 2]
    np.testing.assert_array_equal(whole.column("n"), np.arange(ROWS) % 9)
    np.testing.assert_array_equal(whole.column("a"), [np.nan, *np.linspace(-1, 1, ROWS - 1)])


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("text", [arrow.string(), arrow.large_string()])
def test_encodings_that_are_no_dictionaries(tmp_path, encoding, text):
    path, encodings = tmp_path / "a.parquet", {"t": encoding, "y": encoding}
    parquet.write_table(arrow.table(columns(text)), path, use_dictionary=["c"], column_encoding=encodings)
    found = pn.data.load(path, target="y")
    assert found.x.column("t").values == [f"t{i}" * 300 for i in (1, 2, 3, 4, 0)]
    assert found.x.column("t").codes[:9].tolist() == [-1, 0, 1, 2, 3, 4, 0, -1, 2]
    assert found.x.names == ("a", "t", "n", "c")
    assert found.classes == ("k0", "k1", "k2")
    np.testing.assert_array_equal(found.y, np.arange(ROWS) % 3)
    parquet.write_table(
        arrow.table({"a": np.arange(9.0), "y": ["u", "v", "w"] * 3}),
        path,
        use_dictionary=False,
        column_encoding={"y": encoding},
    )
    np.testing.assert_array_equal(pn.data.load(path).y, [0, 1, 2] * 3)


def test_large_strings(tmp_path):
    parquet.write_table(arrow.table(columns(arrow.large_string())), tmp_path / "a.parquet")
    assert pn.data.load(tmp_path / "a.parquet", target="y").x.column("t").codes[:3].tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    "data", [b"", b"\x15", b"\x15\x00\x15\x01\x15\x02", b"\x1c" * 99, b"\x19\xf5" + b"\xff" * 9, b"\x1d"]
)
def test_damaged_headers(tmp_path, data):
    class Chunk:
        has_dictionary_page, data_page_offset, total_compressed_size = False, 0, len(data) + 1

    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as file, pytest.raises(ValueError, match="a page's header is damaged"):
        pages.unpacked(file, Chunk)


def test_a_list_that_claims_any_length_takes_no_time(tmp_path):
    class Chunk:
        has_dictionary_page, data_page_offset, total_compressed_size = False, 0, 1 << 20

    (tmp_path / "a").write_bytes(b"\x19\xf1" + b"\xff" * 8 + b"\x7f")
    with (tmp_path / "a").open("rb") as file, pytest.raises(ValueError, match="a page's header is damaged"):
        pages.unpacked(file, Chunk)


def test_a_text_of_a_shared_beginning_is_in_memory_once(tmp_path):
    rows, size = 10_000, 10_000
    gaps, y = arrow.array([None] + [1.0] * (rows - 1)), arrow.array(np.arange(rows) % 2)
    parquet.write_table(
        arrow.table({"a": gaps, "t": ["x" * size] * rows, "y": y}),
        tmp_path / "a.parquet",
        use_dictionary=False,
        column_encoding={"t": "DELTA_BYTE_ARRAY"},
        write_statistics=False,
    )
    pool = arrow.system_memory_pool()
    before = arrow.default_memory_pool()
    arrow.set_memory_pool(pool)
    try:
        found = pn.data.load(tmp_path / "a.parquet")
        assert pool.max_memory() < rows * size / 10
    finally:
        arrow.set_memory_pool(before)
    assert found.x.column("t").values == ["x" * size]


def test_a_text_is_in_memory_once(tmp_path):
    rows, size = 10_000, 10_000
    texts = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(rows, "i4")), arrow.array(["x" * size]))
    gaps, y = arrow.array([None] + [1.0] * (rows - 1)), arrow.array(np.arange(rows) % 2)
    parquet.write_table(arrow.table({"a": gaps, "t": texts, "y": y}), tmp_path / "a.parquet", store_schema=False)
    before = arrow.total_allocated_bytes()
    tracemalloc.start()
    found = pn.data.load(tmp_path / "a.parquet")
    assert tracemalloc.get_traced_memory()[1] < rows * size / 20
    tracemalloc.stop()
    assert arrow.total_allocated_bytes() - before < rows * size / 20
    assert found.x.column("t").values == ["x" * size]


@pytest.mark.parametrize("codes", [[0, 2, 1], [0, -1, 1]])
def test_numbers_of_no_text(codes):
    own = arrow.DictionaryArray.from_arrays(arrow.array(codes, arrow.int32()), arrow.array(["a", "b"]), safe=False)
    frames = pytest.importorskip("portanet.data.frames")
    with pytest.raises(ValueError, match="that of no text"):
        frames.check_codes(own.indices.to_numpy(), 2)


def test_what_is_damaged_is_a_data_error(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table(columns()), path, compression="none")
    content = bytearray(path.read_bytes())
    start = parquet.ParquetFile(path).metadata.row_group(0).column(0).dictionary_page_offset
    content[start : start + 2] = b"\x1d\x1d"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"row group 0: expected a Parquet file .* a page's header is damaged"):
        pn.data.load(path, target="y")
