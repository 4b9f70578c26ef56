"""glibc's malloc, tuned to keep the memory of freed arrays for the next ones."""

from __future__ import annotations

import ctypes


def keep_memory() -> bool:
    """Let this process keep the memory of freed arrays for later arrays; return whether that took effect.

    By default glibc returns large blocks to the system when they are freed, and gets them back page by page for the
    next array: a quarter of the time of a step with large temporaries. This changes the whole process, so programs call
    it, as the command line does, and libraries do not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h; the second cannot be set above 32 MiB
    return bool(mallopt(mmap_threshold, 32 << 20) and mallopt(trim_threshold, 512 << 20))
