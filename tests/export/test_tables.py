"""Networks for tables as a script and as ONNX: raw rows in, with gaps and categories that were not seen in training."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.cli.main import run as cli
from portanet.export import onnx_model, to_numpy_script
from tests.data.real import data_folder
from tests.export.test_numpy_script import imported

CITIES = ["Bern", "Rome", "Oslo"]
STREETS = [f"{name} street" for name in "abcdefghijklmnop"]


def houses(n=90, seed=0):
    """Return rows with each kind of column, as text."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        size, city, street = rng.integers(30, 2000), rng.choice(CITIES), rng.choice(STREETS)
        garden, sold = rng.random() < 0.5, rng.integers(0, 900)
        gaps = rng.random(5) < 0.1
        date = datetime.fromtimestamp(1.5e9 + 86400 * int(sold) + 3600 * int(sold % 24), UTC)
        rows.append(
            {
                "size": "" if gaps[0] else f"{size:,}.5",
                "rooms": "NA" if gaps[1] else str(rng.integers(1, 9)),
                "city": "?" if gaps[2] else city,
                "street": street,
                "garden": "" if gaps[3] else "Yes" if garden else "No",
                "sold": "" if gaps[4] else date.strftime("%Y-%m-%d %H:%M"),
                "output": f"{rng.normal():.4f}",
                "dear": "dear" if size + 300 * garden > 1000 else "cheap",
            }
        )
    return rows


def written(path, rows, delimiter=","):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def model(tmp_path):
    data = pn.data.load(written(tmp_path / "houses.csv", houses()), target="dear")
    model = pn.Trainer([pn.Dense(9), pn.Tanh(), pn.Dense(1)], "binary_cross_entropy", backend="numpy", seed=3)
    model.fit(data, epochs=2, verbose=False)
    assert {c.kind for c in model.columns.columns} == {"number", "category", "boolean", "date"}
    return model


@pytest.fixture
def later(tmp_path):
    """Rows that the network has not seen, and the same in a file."""
    rows = houses(30, seed=1)
    rows[3]["city"] = "Atlantis"
    rows[4] |= {"city": "", "street": "", "size": "", "garden": "", "sold": "", "rooms": ""}
    for row in rows:
        del row["dear"]
    return rows, written(tmp_path / "later.csv", rows)


def predicted(model, path):
    from portanet.cli import unlabelled

    return model.predict(unlabelled.read(str(path), model))


def session(model, rows):
    """Return what ONNX makes of rows, with the columns as a caller has them."""
    runtime = pytest.importorskip("onnxruntime")
    found = onnx_model(model)
    about = {entry.key: entry.value for entry in found.metadata_props}
    feed = {}
    for name, column in json.loads(about["columns"]).items():
        cells = [row[column["column"]] for row in rows]
        if column["holds"] == "text":
            feed[name] = np.asarray(cells, dtype=object)[:, None]
        elif column["holds"] == "numbers":
            values = [math.nan if cell in ("", "NA") else float(cell.replace(",", "")) for cell in cells]
            feed[name] = np.asarray(values, np.float32)[:, None]
        else:
            dates = [
                math.nan if cell == "" else datetime.fromisoformat(cell).replace(tzinfo=UTC).timestamp()
                for cell in cells
            ]
            feed[name] = np.asarray(dates)[:, None]
    (y,) = runtime.InferenceSession(found.SerializeToString()).run(["output"], feed)
    return y


def test_the_script_takes_raw_rows(model, later, tmp_path):
    rows, path = later
    expected = predicted(model, path)
    assert len(np.unique(expected)) > 20
    to_numpy_script(model, tmp_path / "net.py")
    script = imported(tmp_path / "net.py")
    np.testing.assert_allclose(script.predict(rows), expected, rtol=1e-6)
    typed = [
        {
            **row,
            "size": float(row["size"].replace(",", "")) if row["size"] else None,
            "rooms": float(row["rooms"]) if row["rooms"] not in ("", "NA") else math.nan,
            "sold": datetime.fromisoformat(row["sold"]) if row["sold"] else None,
        }
        for row in rows
    ]
    np.testing.assert_allclose(script.predict(typed), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="none called 'city'"):
        script.predict([{key: value for key, value in rows[0].items() if key != "city"}])
    with pytest.raises(ValueError, match="column 'garden': expected a boolean, got 'perhaps'"):
        script.predict([{**rows[0], "garden": "perhaps"}])


def test_the_script_alone_reads_a_file(model, later, tmp_path):
    rows, path = later
    to_numpy_script(model, tmp_path / "net.py")
    semicolons = written(tmp_path / "semicolons.csv", [dict(reversed(row.items())) for row in rows], ";")
    code = (
        "import sys, runpy; sys.argv = sys.argv[1:]\n"
        "for name in ('portanet', 'pandas', 'narwhals', 'onnx'): sys.modules[name] = None\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    for file in (path, semicolons):
        words = [sys.executable, "-W", "error", "-c", code, "net.py", file, "y.npy"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), predicted(model, path), rtol=1e-6)
        assert set(done.stdout.split()) == {"cheap", "dear"}


def test_onnx_takes_raw_columns(model, later):
    rows, path = later
    np.testing.assert_allclose(session(model, rows), predicted(model, path), atol=1e-6)


def test_a_table_without_a_header(tmp_path, capsys):
    rows = houses()
    lines = [[row["dear"], row["city"], row["size"].replace(",", ""), row["garden"]] for row in rows]
    data = tmp_path / "bare.csv"
    data.write_text("".join(",".join(line) + "\n" for line in lines))
    out = tmp_path / "run"
    words = ["train", data, "--target", "0", "--no-header", "--epochs", "2", "--out", out, "--backend", "numpy"]
    assert cli([str(word) for word in (*words, "--quiet")]) == 0, capsys.readouterr().err
    model = pn.load(out / "best.safetensors")
    to_numpy_script(model, tmp_path / "net.py")
    script = imported(tmp_path / "net.py")
    later = tmp_path / "later.csv"
    later.write_text("".join(",".join(line[1:]) + "\n" for line in lines))
    for file in (data, later):
        np.testing.assert_allclose(script.predict(script.read_rows(str(file))), predicted(model, later), atol=1e-6)


@pytest.mark.parametrize(("name", "target"), [("titanic", "survived"), ("diamonds", "price")])
def test_real_tables(name, target, tmp_path, capsys):
    source = data_folder(f"tables/{name}.csv") / "tables" / f"{name}.csv"
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = rows[:: max(len(rows) // 2000, 1)]
    data, out = written(tmp_path / f"{name}.csv", rows), tmp_path / "run"
    words = ["train", data, "--target", target, "--epochs", "3", "--out", out, "--backend", "numpy", "--quiet"]
    assert cli([str(word) for word in words]) == 0, capsys.readouterr().err
    model = pn.load(out / "best.safetensors")
    later = [dict(row) for row in rows[:40]]
    for row in later:
        del row[target]
    columns = [c.name for c in model.columns.kept]
    for i, column in enumerate(columns):
        later[i][column] = ""
    for c in model.columns.kept:
        if c.kind == "category":
            later[20][c.name] = "never seen"
    path = written(tmp_path / "later.csv", later)
    expected = predicted(model, path)
    scale = np.std(expected)
    to_numpy_script(model, Path(tmp_path / "net.py"))
    for found in (imported(tmp_path / "net.py").predict(later), session(model, later)):
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-6, rtol=1e-6)
