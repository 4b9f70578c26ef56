"""The lookup of an array's library."""

from __future__ import annotations

import numpy as np
import pytest
from array_api_compat import array_namespace

from portanet.backends.namespace import namespace, sign
from tests.backends.at_hand import DEVICES, require


@pytest.mark.parametrize("name", DEVICES)
def test_namespace_is_that_of_array_api_compat(name):
    x = require(name).asarray(np.ones(3, "float32"))
    for _ in range(2):  # looked up, and remembered
        assert namespace(x) is array_namespace(x)


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match="not a supported array type"):
        namespace([1.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DEVICES)
def test_sign(name, dtype):
    backend = require(name)
    numbers = [-np.inf, -2.5, -np.finfo(dtype).tiny, -0.0, 0.0, np.finfo(dtype).tiny, 7.0, np.inf, np.nan]
    with backend.activate(dtype):
        found = sign(backend.asarray(np.array(numbers), dtype))
        assert str(found.dtype).endswith(dtype)
        np.testing.assert_array_equal(backend.to_numpy(found), [-1, -1, -1, 0, 0, 1, 1, 1, np.nan])
