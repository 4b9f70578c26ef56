"""Tables to predict for, which have no target: of a single column, and in Parquet."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn

X = np.round(np.linspace(-2, 2, 60), 3)
WORDS = ("--recipe", "plain", "--layers", "4", "--epochs", "2", "--backend", "numpy", "--quiet")


def values(text):
    return [float(line.split(",")[1]) for line in text.splitlines()[1:]]


@pytest.fixture
def line(cli, tmp_path):
    """A network of one column, and what it answers to these numbers."""
    rows = "\n".join(f"{x},{2 * x + 1}" for x in X)
    (tmp_path / "line.csv").write_text(f"x,y\n{rows}\n")
    assert cli("train", "line.csv", "--target", "y", *WORDS, "--out", "run").code == 0
    return values(cli("predict", "run", "line.csv").out)


def test_one_column_of_text(cli, tmp_path, line):
    for name, header in (("named.csv", "x\n"), ("bare.csv", ""), ("quoted.csv", '"x"\r\n')):
        (tmp_path / name).write_text(header + "\n".join(map(str, X)) + "\n")
        assert values(cli("predict", "run", name).out) == line
    (tmp_path / "other.csv").write_text("z\n1\n2\n")
    found = cli("predict", "run", "other.csv")
    assert found.code == 3
    assert "now missing: x" in found.err


def test_one_column_for_a_network_of_a_bare_array(cli, tmp_path):
    trainer = pn.Trainer([pn.Dense(1)], "mean_squared_error", backend="numpy")
    trainer.init((1,))
    trainer.save(tmp_path / "net.safetensors")
    (tmp_path / "x.csv").write_text("\n".join(map(str, X)) + "\n")
    found = values(cli("predict", "net.safetensors", "x.csv").out)
    np.testing.assert_allclose(found, trainer.predict(X[:, None].astype("float32"))[:, 0], rtol=1e-6)


def test_one_column_is_too_few_for_training_and_for_more_inputs(cli, tmp_path, line):
    (tmp_path / "x.csv").write_text("x\n1\n2\n")
    found = cli("train", "x.csv", *WORDS)
    assert (found.code, "expected at least two columns" in found.err) == (3, True)
    rows = "\n".join(f"{x},{x * x},{2 * x + 1}" for x in X)
    (tmp_path / "two.csv").write_text(f"x,z,y\n{rows}\n")
    assert cli("train", "two.csv", "--target", "y", *WORDS, "--out", "two").code == 0
    found = cli("predict", "two", "x.csv")
    assert (found.code, "expected at least two columns" in found.err) == (3, True)


def test_parquet_without_its_target(cli, tmp_path, line):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = pandas.DataFrame({"x": X})
    frame.to_parquet(tmp_path / "x.parquet")
    assert values(cli("predict", "run", "x.parquet").out) == line
    frame = frame.assign(kind=np.where(X > 0, "a", "b"), z=X**2, y=2 * X + 1)
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    assert cli("train", "mixed.csv", "--target", "y", *WORDS, "--out", "mixed").code == 0
    expected = values(cli("predict", "mixed", "mixed.csv").out)
    for name, columns in (
        ("whole", ["x", "kind", "z", "y"]),
        ("new", ["z", "kind", "x"]),
        ("kind", ["z", "x", "kind"]),
    ):
        frame[columns].to_parquet(tmp_path / f"{name}.parquet")
        assert values(cli("predict", "mixed", f"{name}.parquet").out) == expected, name
    frame[["x", "z"]].to_parquet(tmp_path / "less.parquet")
    found = cli("predict", "mixed", "less.parquet")
    assert (found.code, "now missing: kind" in found.err) == (3, True)
