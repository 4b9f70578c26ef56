"""The memory that glibc gives to arrays: kept for the next ones, in large pages."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

__all__ = ["keep_memory"]

HEAP = 256 << 20
"""Bytes of addresses that lie in huge pages once they are used."""


def keep_memory() -> bool:
    """Let this process keep the memory of freed arrays for the arrays that come next; True where that took effect.

    By default glibc returns large blocks to the system when they are freed, and gets them back page by page for the
    next array: a quarter of the time of a step with large temporaries. Where Linux gives pages of 2 MiB to programs
    that ask, the first part of that memory lies in such pages: up to a tenth of a step. This changes the whole
    process, so programs call it, as the command line does, and libraries do not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h; the second cannot be set above 32 MiB
    kept = bool(mallopt(mmap_threshold, 32 << 20) and mallopt(trim_threshold, 512 << 20))
    if kept and _huge_pages_are_given():
        _ask_for_huge_pages()
    return kept


def _huge_pages_are_given() -> bool:
    """Whether Linux gives them to programs that ask, and addresses are free: no ``ulimit -v`` counts them."""
    try:
        import resource

        asked = "[madvise]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text("ascii")
        return asked and resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    except (ImportError, OSError):
        return False


@functools.cache  # once is enough
def _ask_for_huge_pages() -> None:
    """Let glibc's heap grow at once, in addresses, not in memory, and ask for huge pages where it has grown."""
    libc: Any = ctypes.CDLL(None)
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.argtypes, libc.malloc.argtypes = (ctypes.c_ssize_t,), (ctypes.c_size_t,)
    libc.free.argtypes, libc.madvise.argtypes = (ctypes.c_void_p,), (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    top_pad, madv_hugepage, page = -2, 14, 2 << 20
    began = libc.sbrk(0)
    libc.mallopt(top_pad, HEAP)
    libc.free(libc.malloc(16 << 20))  # below the threshold: from the heap, which grows by HEAP more
    libc.mallopt(top_pad, 128 << 10)  # as it was
    first, last = -(-began // page) * page, libc.sbrk(0) // page * page
    if last > first:  # else the heap cannot grow here, and all is as before
        libc.madvise(first, last - first, madv_hugepage)
