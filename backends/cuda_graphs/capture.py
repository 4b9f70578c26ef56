"""What CuPy launches, recorded as a CUDA graph in place of being run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import cupy

from portanet.backends.cuda_graphs.cublas import own_products
from portanet.typing import Array


def captured(run: Callable[[], Any], workspace: Array) -> tuple[Any, Any, Any]:
    """Return the graph of what `run` launches, the memory that must live as long, and what `run` returned.

    Nothing is run: the arrays that are returned hold nothing before the graph's first launch.

    Raises
    ------
    Exception
        Of any kind, where something in it cannot be captured; CuPy itself refuses transfers between host and GPU, and
        waiting. No capture is left under way.
    """
    stream = cupy.cuda.Stream(non_blocking=True)
    held: list[Any] = []

    def allocate(size: int) -> Any:
        held.append(cupy.cuda.Memory(size))  # a pool gives back to CUDA what it has free, once memory runs out
        return cupy.cuda.MemoryPointer(held[-1], 0)

    # A pool of its own: what is freed within the capture is free for the rest of it, and never for anybody else.
    pool = cupy.cuda.MemoryPool(allocate)
    with own_products(stream, workspace), stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            found = run()
        except BaseException:
            with contextlib.suppress(Exception):  # it may be broken, and must be ended all the same
                stream.end_capture()
            raise
        return stream.end_capture(), (pool, held), found
