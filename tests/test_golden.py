"""Every kind of training ends with the numbers that it has always ended with: see :mod:`tests.golden`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests import golden
from tests.backends.at_hand import require


def _compare(got, wanted, exact):
    assert len(got["rows"]) == len(wanted["rows"])
    for own, other in zip(got["rows"], wanted["rows"], strict=True):
        assert own.keys() == other.keys()
        if exact:
            assert own == other
        else:
            values = np.asarray([[float.fromhex(row[name]) for name in other] for row in (own, other)])
            np.testing.assert_allclose(values[0], values[1], rtol=0.02, atol=0.03)
    if exact:
        assert got["weights"] == wanted["weights"]
    assert got["norm"] == pytest.approx(wanted["norm"], rel=0.01)


@pytest.mark.parametrize("name", [*golden.CASES, "ranks"])
@pytest.mark.parametrize("library", golden.BACKENDS)
def test_the_numbers_stay(name, library):
    require(library)
    known = json.loads(golden.FILE.read_text())
    # Other processors and libraries round otherwise; there the numbers are only near.
    exact = known["machine"] == golden.machine()
    got = golden.by_ranks(library) if name == "ranks" else golden.result(golden.CASES[name](library))
    _compare(got, known["trainings"][f"{name} {library}"], exact)
