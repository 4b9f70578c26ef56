"""The backends at hand, one after the other; and none chosen yet."""

from __future__ import annotations

import pytest

from portanet.backends import select
from tests.backends.at_hand import BACKENDS, require


@pytest.fixture(params=BACKENDS)
def backend(request):
    return require(request.param)


@pytest.fixture
def fresh_choice(monkeypatch):
    """Forget what was found of the backends, before the test and behind it; all devices are seen."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    select.forget()
    yield
    monkeypatch.undo()
    select.forget()
