"""Tables too large for memory, converted once to arrays on disk."""

from __future__ import annotations

import time

import numpy as np
import pytest

from portanet.data import convert_table
from portanet.data.readers import convert
from portanet.errors import DataError
from tests.data.make import load, refused
from tests.data.test_on_disk import alike

TABLES = {
    "text": "a,b,kind\n" + "".join(f"{i}.5,{i % 7},{'xyz'[i % 3]}\n" for i in range(200)),
    "bytes": "".join(f"{i % 10}," + ",".join(str((i * j) % 256) for j in range(16)) + "\n" for i in range(200)),
    "wide": "".join(f"{i % 2},{i % 200}\n" for i in range(150)) + "1,-7.25\n" * 20,
    "measured": "p;q;target\n" + "".join(f"{i};{i * i % 11};{i * 0.37 + 0.1}\n" for i in range(120)),
    "quoted": "a,label\n" + "".join(f'{i},"{"one" if i % 2 else "a, b"}\n"\n' for i in range(120)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_converted_table(name, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "PIECE", 256)
    monkeypatch.setattr(convert, "_SAMPLE", 256)
    path = tmp_path / "big.csv"
    path.write_text(TABLES[name])
    done: list[int] = []
    target = "0" if name in ("bytes", "wide") else None
    folder = convert_table(path, tmp_path / "out", target=target, progress=done.append)
    whole = load(path, target=target)
    alike(whole, load(folder, stream=True))
    assert len(done) > 2
    assert done == sorted(done)
    assert done[-1] == path.stat().st_size
    np.testing.assert_array_equal(load(folder).x, whole.x)


def test_a_table_is_converted_once(tmp_path, caplog):
    path = tmp_path / "big.csv"
    path.write_text(TABLES["text"])
    caplog.set_level("INFO")
    alike(load(path), load(path, stream=True))
    assert "converting it once into" in caplog.text
    load(path, stream=True)
    assert "it was converted before" in caplog.text
    path.write_text(TABLES["text"] + "1,2,x\n")
    refused(path, "it holds something else than", "portanet convert", stream=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1.5,,x", "line 151, column 2 (b): the value is missing"),
        ("1.5,2", "line 151: expected 3 cells, as the header has, got 2"),
        ("1.5,2,x\x00\xff", "line 151"),
    ],
)
def test_a_table_that_is_broken_leaves_nothing(line, words, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "PIECE", 256)
    monkeypatch.setattr(convert, "_SAMPLE", 256)
    lines = TABLES["text"].splitlines()
    lines[150] = line
    path = tmp_path / "big.csv"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(DataError) as caught:
        convert_table(path, tmp_path / "out")
    assert words in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.csv"]


def test_an_interrupted_conversion_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "PIECE", 256)

    def interrupt(done):
        raise KeyboardInterrupt

    path = tmp_path / "big.csv"
    path.write_text(TABLES["text"])
    with pytest.raises(KeyboardInterrupt):
        convert_table(path, tmp_path / "out", progress=interrupt)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.csv"]
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="it is there already"):
        convert_table(path, tmp_path / "out")


def test_the_end_of_rows_with_quotes_is_found_in_one_pass():
    rows = b'1,"a\nb"\n' * 200_000
    began = time.process_time()
    assert convert._end(bytearray(rows + b'1,"a\n' + b'"",\n' * 200_000)) == len(rows)
    assert time.process_time() - began < 5  # it took minutes when each quote was counted anew
