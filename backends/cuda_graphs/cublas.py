"""Matrix products on CuPy while a CUDA graph is captured.

CuPy 14 refuses all its calls of cuBLAS on a stream that is captured (cupy/cupy#6290), because not all of them can be. A
product of matrices can, where cuBLAS has a workspace of its own (cuBLAS documentation, "CUDA Graphs Support"). So it is
called here, on CuPy's handle, in the very library that CuPy is linked with, by the functions that CuPy calls itself.
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
_capturing = threading.Lock()  # the operator is one for all threads

_pointer: Any = ctypes.c_void_p  # as cuBLAS takes its arguments
_int: Any = ctypes.c_int
_long: Any = ctypes.c_longlong


@functools.cache
def library() -> Any:
    """Return cuBLAS: what CuPy's own module is linked with, else what is loaded for the whole process."""
    found = ctypes.CDLL(cublas.__file__)
    found = found if hasattr(found, "cublasGemmEx") else ctypes.CDLL(None)
    head = [_pointer, *[_int] * 5, _pointer]
    matrix, tail = [_pointer, _int, _int], [_int, _int]  # where it lies, its dtype, its leading dimension
    found.cublasGemmEx.argtypes = [*head, *matrix, *matrix, _pointer, *matrix, *tail]
    many = [*matrix, _long]
    found.cublasGemmStridedBatchedEx.argtypes = [*head, *many, *many, _pointer, *many, _int, *tail]
    return found


def set_workspace(handle: int, workspace: Array) -> None:
    """Let cuBLAS use this memory, an array of bytes, until its stream is set again."""
    call = library().cublasSetWorkspace_v2
    call.argtypes = (_pointer, _pointer, ctypes.c_size_t)
    _check(call(handle, workspace.data.ptr, workspace.nbytes))


def workspace_bytes() -> int:
    """Return how large a workspace NVIDIA recommends for cuBLAS on the current GPU."""
    return (32 if int(cupy.cuda.Device().compute_capability) >= 90 else 4) * 2**20


@contextlib.contextmanager
def own_products(stream: Any, workspace: Array) -> Iterator[None]:
    """Let ``@`` between CuPy's arrays be :func:`product` in this thread, on a stream and with a workspace of bytes.

    What is captured uses the workspace as long as it is launched.
    """
    handle, thread = cupy.cuda.device.get_cublas_handle(), threading.get_ident()
    plain = cupy.ndarray.__matmul__

    def matmul(a: Array, b: Any) -> Any:
        own = threading.get_ident() == thread and isinstance(b, cupy.ndarray)
        return product(a, b) if own else plain(a, b)

    with _capturing:
        cublas.setStream(handle, stream.ptr)  # takes a workspace back, so it comes first
        set_workspace(handle, workspace)
        # The class has none of its own, it inherits it: so the math keeps its operator, and nobody else pays for it.
        cupy.ndarray.__matmul__ = matmul
        try:
            yield
        finally:
            del cupy.ndarray.__matmul__
            cublas.setStream(handle, cupy.cuda.Stream.null.ptr)  # CuPy sets its own before each call


def product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` of CuPy's arrays, by cuBLAS; float32 obeys CuPy's setting of TF32.

    Operands may be transposed, sliced or broadcast. Only one that has no axis whose entries lie side by side is copied.

    Raises
    ------
    BackendError
        Where they are not both float32 or both float64.
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
    """A stack of matrices as cuBLAS takes it: read by columns, a matrix that lies row by row is its transpose."""

    array: Array  # whose memory it is; a copy must outlive the call
    form: int  # whether it is to be transposed
    leading: int  # entries from one column to the next
    step: int  # and from one matrix to the next

    @classmethod
    def of(cls, x: Array, stack: Shape) -> _Operand:
        """Return the operand of that stack; what is one for all is not repeated."""
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
        """Return it without a copy, or None where neither its rows nor its columns lie side by side."""
        count, rows, columns = x.shape
        step, down, along = (stride // x.itemsize for stride in x.strides)
        step = step if count > 1 else 0
        if (along == 1 or columns == 1) and (rows == 1 or down >= columns):
            return cls(x, _PLAIN, down if rows > 1 else columns, step)
        if (down == 1 or rows == 1) and (columns == 1 or along >= rows):
            return cls(x, _TRANSPOSED, along if columns > 1 else rows, step)
        return None


def _multiply(a: _Operand, b: _Operand, c: Array, count: int) -> None:
    """Write the products of `count` pairs of matrices over `c`."""
    m, n = c.shape[-2:]
    k = a.array.shape[-1]
    kind, number, computing = _kinds(c.dtype)
    one, zero = number(1), number(0)
    # cuBLAS counts along columns, where c lies as its transpose: cᵀ = bᵀ aᵀ.
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
    """Return cuBLAS' number of the dtype, the type of a host's number, and the arithmetic that CuPy is set to."""
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
