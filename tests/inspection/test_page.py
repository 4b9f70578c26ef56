"""docs/inspection.md: its code runs, and is what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "inspection.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTANET_BACKEND", "numpy")
    text = PAGE.read_text(encoding="utf-8")
    own: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(code, own)
    assert "Dense 32" in capsys.readouterr().out
    assert own["outputs"]["0"].shape == (100, 8, 8)
    assert own["grads"]["2.weight"].shape == (64, 32)
    np.testing.assert_array_equal(own["weights"], own["trainer"].snapshot()["params"]["2.weight"])
    z = own["trainer"].predict(own["x"], raw=True) - own["trainer"].predict(0 * own["x"], raw=True)
    sums = own["parts"].reshape(100, -1).sum(axis=1)
    np.testing.assert_allclose(sums, z[np.arange(100), own["y"]], rtol=1e-5, atol=1e-5)  # z is in float32
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["confusion.png", "curves.png", "worst.png"]
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", text):
        assert (PAGE.parent / picture).is_file()
