"""The backends that the tests run on, and the rule for one that is missing: a skip with its reason, or a failure."""

from __future__ import annotations

import os

import pytest

from portanet.backends import Backend, get
from portanet.errors import BackendError

DEVICES = ["numpy", "strict", "strict:device1", "torch", "jax", "cupy"]
"""For tests of where arrays are: `strict:device1` is a device beside the host's."""

BACKENDS = [pytest.param(name, marks=pytest.mark.slow) if ":" in name else name for name in DEVICES]
"""For all other tests."""

on_every_device = pytest.mark.parametrize("backend", DEVICES, indirect=True)


def require(name: str) -> Backend:
    """Return the backend `name`; where it cannot be used, skip the test.

    Where the environment's ``PORTANET_REQUIRE`` (names with commas between them) holds `name`, the test fails instead:
    so a machine with a GPU cannot pass by skipping.
    """
    try:
        return get(name)
    except BackendError as error:
        if name in os.environ.get("PORTANET_REQUIRE", "").split(","):
            pytest.fail(f"PORTANET_REQUIRE={name}, but {error}")
        pytest.skip(str(error))
