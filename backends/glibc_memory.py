"""Tune glibc malloc: reuse the memory of freed arrays, in huge pages if possible."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

__all__ = ["keep_memory"]

HEAP = 256 << 20
"""Bytes of address space that are backed by huge pages when used."""


def keep_memory() -> bool:
    """Keep the memory of freed arrays in this process for later arrays; return whether that took effect.

    By default glibc returns large freed blocks to the system and gets them again page by page for the next array, which
    takes a quarter of a step with large temporary arrays. If Linux provides pages of 2 MiB on request (madvise), the
    first part of that memory uses them, which saves up to a tenth of a step. This affects the whole process, so
    programs call it, as the command line does, but libraries should not.
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
    """Return whether Linux provides huge pages on request, and no ``ulimit -v`` limits the address space."""
    try:
        import resource

        asked = "[madvise]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text("ascii")
        return asked and resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    except (ImportError, OSError):
        return False


@functools.cache  # once is enough
def _ask_for_huge_pages() -> None:
    """Extend the address space of glibc's heap at once, and request huge pages for the new part (madvise)."""
    libc: Any = ctypes.CDLL(None)
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.argtypes, libc.malloc.argtypes = (ctypes.c_ssize_t,), (ctypes.c_size_t,)
    libc.free.argtypes, libc.madvise.argtypes = (ctypes.c_void_p,), (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    top_pad, madv_hugepage, page = -2, 14, 2 << 20
    began = libc.sbrk(0)
    libc.mallopt(top_pad, HEAP)
    libc.free(libc.malloc(16 << 20))  # below the threshold: from the heap, which grows by HEAP more
    libc.mallopt(top_pad, 128 << 10)  # restores the default
    first, last = -(-began // page) * page, libc.sbrk(0) // page * page
    if last > first:  # otherwise the heap cannot grow here, and nothing changes
        libc.madvise(first, last - first, madv_hugepage)
