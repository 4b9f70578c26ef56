"""The backend of an array: where it lies, and arrays that lie nowhere or in several places."""

from __future__ import annotations

import subprocess
import sys

import pytest

from portanet.backends import get, of
from portanet.errors import BackendError
from tests.backends.at_hand import require

pytestmark = pytest.mark.usefixtures("fresh_choice")


def test_where_an_array_lies(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    assert of(x) is get(backend.spec)
    assert of([1.0, 2.0]) is get("numpy")


def test_a_traced_array_lies_nowhere():
    require("jax")
    import jax

    with pytest.raises(BackendError, match="an array that JAX traces has no device"):
        jax.jit(lambda x: of(x) and x)(1.0)


def test_an_array_on_several_devices():
    code = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from portanet.backends import get, of
places = NamedSharding(Mesh(np.array(jax.devices()), ("rows",)), PartitionSpec("rows"))
x = jax.device_put(np.ones(4, np.float32), places)
try:
    of(x)
except Exception as error:
    print(type(error).__name__, error)
print(of(jax.device_put(x, jax.devices()[1])).spec, get("numpy").asarray(x).tolist())
"""
    require("jax")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == (
        "BackendError an array lies on 2 devices (jax:cpu:0, jax:cpu:1): expected one; gather it first: "
        "jax.device_put(x, jax.devices()[0])"
    )
    assert second == "jax:cpu:1 [1.0, 1.0, 1.0, 1.0]"


def test_a_tensor_without_values_lies_nowhere():
    require("torch")
    import torch

    with pytest.raises(BackendError, match="a tensor on torch's device 'meta' cannot be computed with here"):
        of(torch.ones(2, device="meta"))
