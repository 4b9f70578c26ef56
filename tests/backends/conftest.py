"""The backends at hand, one after the other."""

from __future__ import annotations

import pytest

from tests.backends.at_hand import BACKENDS, require


@pytest.fixture(params=BACKENDS)
def backend(request):
    return require(request.param)
