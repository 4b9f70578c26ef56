"""Matrix products on CuPy while a CUDA graph is captured.

CuPy 14 refuses all cuBLAS calls on a stream that is being captured (cupy/cupy#6290), because some of them cannot be
captured. Matrix products can, if cuBLAS has a user-provided workspace (cuBLAS documentation, "CUDA Graphs Support").
This module therefore calls cuBLAS directly: with CuPy's handle, in the library that CuPy is linked with, and with the
functions that CuPy calls.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import cupy
import numpy as np
from cupy._core import _routines_linalg as linalg
from cupy_backends.cuda.libs import cublas

from portanet.errors import BackendError
from portanet.typing import Array, Shape

_PLAIN, _TRANSPOSED = 0, 1
_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
_capturing = threading.Lock()  # all threads share the operator

_pointer: Any = ctypes.c_void_p  # types of cuBLAS arguments
_int: Any = ctypes.c_int
_long: Any = ctypes.c_longlong


@functools.cache
def library() -> Any:
    """Return the cuBLAS library that CuPy is linked with, or the one loaded in the process."""
    found = ctypes.CDLL(cublas.__file__)
    found = found if hasattr(found, "cublasGemmEx") else ctypes.CDLL(None)
    head = [_pointer, *[_int] * 5, _pointer]
    matrix, tail = [_pointer, _int, _int], [_int, _int]  # pointer, dtype, leading dimension
    found.cublasGemmEx.argtypes = [*head, *matrix, *matrix, _pointer, *matrix, *tail]
    many = [*matrix, _long]
    found.cublasGemmStridedBatchedEx.argtypes = [*head, *many, *many, _pointer, *many, _int, *tail]
    return found


def set_workspace(handle: int, workspace: Array) -> None:
    """Set the workspace of cuBLAS, an array of bytes; valid until its stream is set again."""
    call = library().cublasSetWorkspace_v2
    call.argtypes = (_pointer, _pointer, ctypes.c_size_t)
    _check(call(handle, workspace.data.ptr, workspace.nbytes))


def workspace_bytes() -> int:
    """Return the workspace size that NVIDIA recommends for cuBLAS on the current GPU."""
    return (32 if int(cupy.cuda.Device().compute_capability) >= 90 else 4) * 2**20


@contextlib.contextmanager
def own_products(stream: Any, workspace: Array) -> Iterator[None]:
    """Make ``@`` between CuPy arrays call :func:`product` in this thread, on the stream and with the workspace.

    A captured graph uses the workspace in every launch.
    """
    handle, thread = cupy.cuda.device.get_cublas_handle(), threading.get_ident()
    plain = cupy.ndarray.__matmul__

    def matmul(a: Array, b: Any) -> Any:
        own = threading.get_ident() == thread and isinstance(b, cupy.ndarray)
        return product(a, b) if own else plain(a, b)

    with _capturing:
        cublas.setStream(handle, stream.ptr)  # resets the workspace, so it comes first
        set_workspace(handle, workspace)
        # The class inherits __matmul__, so deleting this attribute restores it, and other code has no overhead.
        cupy.ndarray.__matmul__ = matmul
        try:
            yield
        finally:
            del cupy.ndarray.__matmul__
            cublas.setStream(handle, cupy.cuda.Stream.null.ptr)  # CuPy sets its own before each call


def product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` of CuPy arrays, computed by cuBLAS; float32 follows CuPy's TF32 setting.

    Operands may be transposed, sliced or broadcast. An operand is copied only if neither matrix axis is contiguous.

    Raises
    ------
    BackendError
        If they are not both float32 or both float64.
    """
    if a.dtype != b.dtype or a.dtype.char not in "fd":
        message = f"products of {a.dtype} and {b.dtype} cannot be captured"
        raise BackendError(message)
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    (m, k), (inner, n) = left.shape[-2:], right.shape[-2:]
    if k != inner:
        message = f"matmul: shapes {a.shape} and {b.shape} do not fit"
        raise ValueError(message)
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    c = cupy.empty((*stack, m, n), a.dtype)
    if c.size and k:
        _multiply(_Operand.of(left, stack), _Operand.of(right, stack), c, math.prod(stack))
    elif c.size:
        c.fill(0)
    return c.reshape(*stack, *([] if a.ndim == 1 else [m]), *([] if b.ndim == 1 else [n]))


class _Operand(NamedTuple):
    """A stack of matrices for cuBLAS, which is column-major: a row-major matrix is its transpose."""

    array: Array  # owns the memory; a copy must outlive the call
    form: int  # whether cuBLAS transposes it
    leading: int  # entries from one column to the next
    step: int  # entries from one matrix to the next

    @classmethod
    def of(cls, x: Array, stack: Shape) -> _Operand:
        """Return the operand for a stack of this shape; a broadcast matrix is not repeated."""
        if math.prod(x.shape[:-2]) == 1:
            x = x[(0,) * (x.ndim - 2)][None]
        else:
            x = cupy.broadcast_to(x, (*stack, *x.shape[-2:]))
            x = x.reshape(-1, *x.shape[-2:])
        found = cls._as_it_is(x)
        if found is None:
            x = cupy.array(x, order="C")
            found = cls(x, _PLAIN, x.shape[2], x.shape[1] * x.shape[2] if x.shape[0] > 1 else 0)
        return found

    @classmethod
    def _as_it_is(cls, x: Array) -> _Operand | None:
        """Return the operand without a copy, or None if neither its rows nor its columns are contiguous."""
        count, rows, columns = x.shape
        step, down, along = (stride // x.itemsize for stride in x.strides)
        step = step if count > 1 else 0
        if (along == 1 or columns == 1) and (rows == 1 or down >= columns):
            return cls(x, _PLAIN, down if rows > 1 else columns, step)
        if (down == 1 or rows == 1) and (columns == 1 or along >= rows):
            return cls(x, _TRANSPOSED, along if columns > 1 else rows, step)
        return None


def _multiply(a: _Operand, b: _Operand, c: Array, count: int) -> None:
    """Write the products of `count` pairs of matrices to `c`."""
    m, n = c.shape[-2:]
    k = a.array.shape[-1]
    kind, number, computing = _kinds(c.dtype)
    one, zero = number(1), number(0)
    # cuBLAS is column-major, so it computes the transpose: cᵀ = bᵀ aᵀ.
    head = cupy.cuda.device.get_cublas_handle(), b.form, a.form, n, m, k, ctypes.addressof(one)
    second, first, third = ((x.data.ptr, kind) for x in (b.array, a.array, c))
    if count == 1:
        one_each = (*second, b.leading, *first, a.leading, ctypes.addressof(zero), *third, n)
        status = library().cublasGemmEx(*head, *one_each, computing, _ALGORITHM)
    else:
        many = (*second, b.leading, b.step, *first, a.leading, a.step, ctypes.addressof(zero), *third, n, m * n)
        status = library().cublasGemmStridedBatchedEx(*head, *many, count, computing, _ALGORITHM)
    _check(status)


def _kinds(dtype: Any) -> tuple[int, Any, int]:
    """Return the cuBLAS code of the dtype, the ctypes type of its scalars, and CuPy's compute type."""
    setting = linalg.get_compute_type(dtype)
    exact = setting == linalg.COMPUTE_TYPE_PEDANTIC
    if dtype.char == "d":
        computing = cublas.CUBLAS_COMPUTE_64F_PEDANTIC if exact else cublas.CUBLAS_COMPUTE_64F
        return cupy.cuda.runtime.CUDA_R_64F, ctypes.c_double, computing
    computing = cublas.CUBLAS_COMPUTE_32F_PEDANTIC if exact else cublas.CUBLAS_COMPUTE_32F
    if setting == linalg.COMPUTE_TYPE_TF32:
        computing = cublas.CUBLAS_COMPUTE_32F_FAST_TF32
    return cupy.cuda.runtime.CUDA_R_32F, ctypes.c_float, computing


def _check(status: int) -> None:
    if status:
        raise cublas.CUBLASError(status)
