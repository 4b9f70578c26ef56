"""Each example runs as a user runs it, and does what it says: a table on stdout, pictures in its folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

LONG = ("mnist_cnn", "mnist_sizes", "picture_folder")
EXAMPLES = [
    pytest.param(path, marks=pytest.mark.slow if path.stem in LONG else (), id=path.stem)
    for path in sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_example_runs(path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("sklearn", reason="the examples compare with scikit-learn: pip install scikit-learn")
    pytest.importorskip("matplotlib", reason="the examples draw: pip install matplotlib")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if getattr(module, "NEEDS_DATA", None):
        from tests.data.real import data_folder

        monkeypatch.setenv("PORTANET_DATA", str(data_folder(*module.NEEDS_DATA)))
    module.main(["--smoke", "--backend", "numpy"])
    assert "accuracy" in capsys.readouterr().out
    if path.stem != "quickstart":
        pictures = list(tmp_path.rglob("*.png"))
        assert pictures
        assert all(p.stat().st_size > 5000 for p in pictures)
