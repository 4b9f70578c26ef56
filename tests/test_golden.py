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


QUICK = ("scanned", "norm", "fleet")  # on JAX, where compiling is most of the time
TRAININGS = [
    pytest.param(library, name, marks=pytest.mark.slow if library == "jax" and name not in QUICK else ())
    for library in golden.BACKENDS
    for name in (*golden.CASES, "ranks")
]


@pytest.mark.usefixtures("compiled_as_for_users")
@pytest.mark.parametrize(("library", "name"), TRAININGS)
def test_the_numbers_stay(name, library):
    require(library)
    known = json.loads(golden.FILE.read_text())
    # Other processors and libraries round otherwise; there the numbers are only near.
    exact = known["machine"] == golden.machine()
    got = golden.by_ranks(library) if name == "ranks" else golden.result(golden.CASES[name](library))
    _compare(got, known["trainings"][f"{name} {library}"], exact)
