"""Each backend and device, and none chosen yet."""

from __future__ import annotations

import pytest

from portanet.backends import select
from tests.backends.at_hand import DEVICES, require


@pytest.fixture(params=DEVICES)
def backend(request):
    return require(request.param)


@pytest.fixture
def fresh_choice(monkeypatch):
    """Forget what was found of the backends, before the test and behind it; all devices are seen."""
    for name in ("CUDA_VISIBLE_DEVICES", "PORTANET_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    select.forget()
    yield
    monkeypatch.undo()
    select.forget()
