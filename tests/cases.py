"""The table that the tests run over: portanet's own cases (portanet/verify/cases.py), flat, with their names as ids."""

from __future__ import annotations

import pytest

from portanet.verify.cases import LAYERS, LOSSES, OPTIMIZERS

LAYER_CASES = [pytest.param(case, id=case.id) for cases in LAYERS.values() for case in cases]
LOSS_CASES = [pytest.param(case, id=case.id) for cases in LOSSES.values() for case in cases]
OPTIMIZER_CASES = [pytest.param(o, id=f"{name}-{i}") for name, found in OPTIMIZERS.items() for i, o in enumerate(found)]
