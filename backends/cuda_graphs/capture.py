"""Capture the kernels that CuPy launches as a CUDA graph, instead of running them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import cupy

from portanet.backends.cuda_graphs.cublas import own_products
from portanet.typing import Array


def captured(run: Callable[[], Any], workspace: Array) -> tuple[Any, Any, Any]:
    """Return the graph of the kernels that `run` launches, the memory that it needs, and the result of `run`.

    No kernel is run: the returned arrays have no valid content before the graph's first launch.

    Raises
    ------
    Exception
        Of any kind, if something in `run` cannot be captured; CuPy refuses copies between host and GPU, and
        synchronization. The capture is always ended.
    """
    stream = cupy.cuda.Stream(non_blocking=True)
    held: list[Any] = []

    def allocate(size: int) -> Any:
        held.append(cupy.cuda.Memory(size))  # keeps it: a pool returns free memory to CUDA when memory runs out
        return cupy.cuda.MemoryPointer(held[-1], 0)

    # A separate pool: memory freed during the capture can be reused within it, but not outside.
    pool = cupy.cuda.MemoryPool(allocate)
    with own_products(stream, workspace), stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            found = run()
        except BaseException:
            with contextlib.suppress(Exception):  # even an invalid capture must be ended
                stream.end_capture()
            raise
        return stream.end_capture(), (pool, held), found
