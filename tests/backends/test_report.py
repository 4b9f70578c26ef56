"""The doctor's report."""

from __future__ import annotations

import json

from portanet.backends import select
from portanet.backends.diagnosis.report import report as make_report


def test_the_report_is_json_and_holds_what_the_table_needs(monkeypatch):
    monkeypatch.delenv("CUPY_TF32", raising=False)
    report = make_report()
    assert json.loads(json.dumps(report)) == report
    chosen, why = select.choose()
    assert report["auto"] == {"backend": chosen, "why": why}
    rows = {row["name"]: row for row in report["backends"]}
    assert list(rows) == ["numpy", "cupy", "torch", "jax"]
    assert rows["numpy"]["usable"]
    assert rows["numpy"]["version"] == report["numpy"]
    assert rows["cupy"]["usable"] == (chosen == "cupy")
    assert all(row["usable"] or row["reason"] for row in rows.values())
    assert set(report["blas"]) == {"library", "version", "architecture", "threads", "warning"}
    for memory in report["memory"].values():
        assert 0 < memory["free"] <= memory["total"]
    assert not any("CUPY_TF32" in warning for warning in report["warnings"])


def test_rounded_products_are_warned_of(monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "1")
    assert any("unset CUPY_TF32" in warning for warning in make_report()["warnings"])
