"""Each example runs, and does what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


def _main(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path, capsys):
    pytest.importorskip("sklearn", reason="the digits come from scikit-learn: pip install scikit-learn")
    accuracy = _main(path)(["--smoke", "--backend", "numpy"])
    assert accuracy > 0.9
    assert "accuracy" in capsys.readouterr().out
