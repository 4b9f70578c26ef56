"""What all tests share."""

from __future__ import annotations

import pytest

from tests.backends.at_hand import BACKENDS, require


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend; one that cannot be used is a skip with its reason (a failure where PORTANET_REQUIRE names it)."""
    return require(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param
