"""Arrays on their way to every backend at hand, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.backends import get
from portanet.backends.base import DTYPES, dtype_name
from portanet.backends.host import host_array, to_host
from portanet.errors import ConfigError, DataError
from tests.backends.at_hand import DEVICES, require


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_round_trip_keeps_values_and_dtype(backend, dtype):
    host = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for there in (backend.asarray(host), backend.asarray(host, dtype), backend.asarray(host.tolist(), dtype)):
        assert dtype_name(there) == dtype
        back = backend.to_numpy(there)
        assert type(back) is np.ndarray
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, host)


def test_what_is_here_already_is_not_copied(backend):
    x = backend.asarray([[1.0, 2.0]], "float32")
    assert backend.asarray(x) is x
    assert backend.asarray(x, "float32") is x


@pytest.mark.parametrize(("source", "target"), [("float64", "float32"), ("uint8", "float32"), ("float32", "float64")])
def test_asarray_casts(backend, source, target):
    host = np.asarray([0, 1, 200], source)
    for x in (host, backend.asarray(host)):
        got = backend.asarray(x, target)
        assert dtype_name(got) == target
        np.testing.assert_array_equal(backend.to_numpy(got), host.astype(target))


def test_awkward_host_arrays(backend):
    straight = np.arange(6, dtype=np.float32)
    frozen = straight.copy()
    frozen.flags.writeable = False
    column = np.zeros(6, [("flag", "i1"), ("number", "f4")])["number"]  # 5 bytes from one number to the next
    column[:] = straight
    for host in (straight[::-1], frozen, straight.astype(">f4"), straight[::2], np.float32(3), straight[:0], column):
        got = backend.to_numpy(backend.asarray(host))
        assert got.shape == np.shape(host)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, host)


def test_arrays_lie_on_the_device(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    assert x.device == backend.device
    assert type(backend.xp.asarray(x)) is type(x)


@pytest.mark.parametrize("source", DEVICES)
def test_arrays_of_another_library_come_by_way_of_the_host(backend, source):
    foreign = require(source).asarray([[1.5, -2.0]], "float32")
    got = backend.asarray(foreign, "float32")
    assert type(got) is type(backend.asarray([0.0], "float32"))
    assert got.device == backend.device
    np.testing.assert_array_equal(to_host(got), [[1.5, -2.0]])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (["a", "b"], "expected an array of real numbers, got a builtins.list of dtype <U1"),
        (object(), "got a builtins.object of dtype object"),
        (np.ones(2) * 1j, "of dtype complex128"),
        ([[1, 2], [3]], "cannot read this builtins.list as an array"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(backend, x, words):
    with pytest.raises(DataError, match=words) as caught:
        backend.asarray(x)
    assert "convert it to a NumPy array" in str(caught.value)


def _odd(kind):
    if kind == "masked":
        return np.ma.masked_array([1.0, 2.0], [0, 1])
    if kind == "deleted":
        x = require("jax").asarray([1.0, 2.0])
        x.delete()
        return x
    require("torch")
    import torch

    parts = [torch.ones(2), torch.ones(3)]
    made: dict[str, Any] = {"sparse": torch.eye(3).to_sparse, "valueless": lambda: torch.ones(3, device="meta")}
    return made[kind]() if kind in made else torch.nested.nested_tensor(parts)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", ["masked", "deleted", "sparse", "valueless", "nested"])
def test_arrays_that_hold_no_values_or_not_all_are_refused(backend, kind):
    """Also by the backend of their own library."""
    with pytest.raises(DataError, match=r"masked entries; fill them|as an array .*; convert it to a NumPy array"):
        backend.asarray(_odd(kind))


def test_an_unknown_dtype_is_refused(backend):
    with pytest.raises(ConfigError, match="unknown dtype 'flaot32'; did you mean 'float32'"):
        backend.asarray([1.0], "flaot32")


def test_every_dtype_of_the_standard(backend):
    for dtype in DTYPES:
        assert dtype_name(backend.asarray([1, 0], dtype)) == dtype


@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_fetch_reads_arrays_of_one_shape_at_once(backend, shape):
    host = np.arange(3 * np.prod(shape, dtype=int), dtype=np.float32).reshape(3, *shape)
    got = backend.fetch([backend.asarray(part) for part in host])
    assert type(got) is np.ndarray
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, host)


def test_a_second_gpu():
    require("cupy")
    second = require("cupy:1")
    there = get("cupy:0").asarray([1.0, 2.0], "float32")
    moved = second.asarray(there)
    assert moved.device.id == 1
    with second.activate():
        assert second.xp.zeros(3).device.id == 1
        np.testing.assert_array_equal(second.to_numpy(moved + moved), [2.0, 4.0])


def test_numpy_takes_host_arrays_without_a_copy():
    host = np.ones((3, 4), np.float32)
    assert np.shares_memory(get("numpy").asarray(host, "float32"), host)


def test_the_smaller_form_travels():
    assert host_array(np.ones(3), "float32").dtype == np.float32
    assert host_array(np.ones(3, np.uint8), "float32").dtype == np.uint8


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_floats_of_few_bits_come_as_float32(backend, library, kind):
    require(library)
    numbers = [[1.5, -2.0], [0.25, 0.0]]
    if library == "torch":
        import torch

        x: Any = torch.tensor(numbers).to(getattr(torch, kind))
    else:
        import jax.numpy as jnp

        x = jnp.asarray(numbers).astype(getattr(jnp, kind))
    for dtype in (None, "float32", "float64"):
        got = backend.asarray(x, dtype)
        assert dtype_name(got) == (dtype or "float32")
        np.testing.assert_array_equal(backend.to_numpy(got), numbers)


def test_half_and_long_floats_of_numpy(backend):
    half = backend.asarray(np.array([1.5, -2.0], np.float16))
    long = backend.asarray(np.array([1.5, -2.0], np.longdouble))
    assert (dtype_name(half), dtype_name(long)) == ("float32", "float64")
    for got in (half, long):
        np.testing.assert_array_equal(backend.to_numpy(got), [1.5, -2.0])


def test_tensors_that_change_the_sign_as_they_are_read(backend):
    require("torch")
    import torch

    x = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert x.is_neg()
    np.testing.assert_array_equal(backend.to_numpy(backend.asarray(x)), [-2.0, 4.0])
    with pytest.raises(DataError, match=r"expected an array of real numbers, got a torch\.Tensor of dtype"):
        backend.asarray(torch.tensor([1 + 2j]).conj())


def test_complex_arrays_of_the_library_itself_are_refused(backend):
    with backend.activate():
        x = backend.xp.asarray([1 + 2j])
    with pytest.raises(DataError, match=r"expected an array of real numbers, got a .* of dtype complex"):
        backend.asarray(x)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_trainer_takes_bfloat16(library):
    require(library)
    x, y = np.array([[0.0, 1.0], [1.0, 0.0]] * 4), [0, 1] * 4
    if library == "torch":
        import torch

        there: Any = torch.tensor(x).bfloat16()
    else:
        import jax.numpy as jnp

        there = jnp.asarray(x, jnp.bfloat16)
    for backend in ("numpy", library):
        found = [pn.Trainer([pn.Dense(2)], backend=backend) for _ in range(2)]
        for trainer, data in zip(found, (x, there), strict=True):
            trainer.fit(data, y, epochs=2, verbose=False)
        np.testing.assert_array_equal(found[0].predict(x), found[1].predict(there))
