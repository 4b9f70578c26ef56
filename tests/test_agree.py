"""The report of agreement itself: whole trainings, models, and that it can fail."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.backends import get
from portanet.verify import agreement as module
from portanet.verify.agreement import RUN_TOLERANCE, _difference, agree, run_training
from portanet.verify.cases import LAYERS, LOSSES, OPTIMIZERS


@pytest.mark.usefixtures("compiled_as_for_users")
def test_whole_trainings_agree(backend, dtype):
    expected, got = run_training(get("numpy"), "float64"), run_training(backend, dtype)
    assert len(got["loss"]) == 10
    assert got["loss"][-1] < 0.9 * got["loss"][0]  # it did train
    assert _difference(got, expected) <= RUN_TOLERANCE[dtype]


def test_the_report_has_a_line_for_every_case():
    found = agree(["strict:device1"])
    cases = sum(len(c) for table in (LAYERS, LOSSES, OPTIMIZERS) for c in table.values())
    assert len(found) == 2 * (cases + 1)
    assert all(a.ok for a in found)
    assert {a.dtype for a in found} == {"float32", "float64"}


def test_a_model_is_compared_layer_by_layer():
    x = np.random.default_rng(0).normal(size=(20, 3))
    trainer = pn.Trainer([pn.Dense(4), pn.Residual([pn.Dense(4), pn.Tanh()]), pn.Dense(2)], backend="numpy")
    trainer.fit(x, np.arange(20) % 2, epochs=1, verbose=False)
    found = agree(["strict"], model=trainer, x=x)
    assert [a.name for a in found if a.dtype == "float64"] == [
        "Dense 0",
        "Residual 1 > Dense 0",
        "Residual 1 > Tanh 1",
        "Dense 2",
    ]
    assert all(a.ok for a in found)


def test_a_disagreement_is_told(monkeypatch):
    plain = module.run_layer

    def drifting(case, backend, dtype, batch=5):
        found = plain(case, backend, dtype, batch)
        return {n: a * (1 + 1e-4) for n, a in found.items()} if backend.name == "strict" else found

    monkeypatch.setattr(module, "run_layer", drifting)
    bad = [a for a in agree(["strict"]) if not a.ok]
    assert bad
    assert {a.kind for a in bad} == {"layer"}
    assert all(a.error == pytest.approx(1e-4, rel=0.1) for a in bad if a.error < 1)


def test_nan_is_no_agreement():
    assert not module.Agreement("layer", "x", "numpy", "float32", float("nan"), 1.0).ok
