"""Ctrl-C while a network trains, in a program that has no handler of its own."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def held_interrupt(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn the first SIGINT in the block into ``stop("interrupted")``, and raise KeyboardInterrupt after the block.

    An interrupt in the middle of a step would leave it half done: arrays partly updated, or, where they were donated to
    a compiled step, gone. A second one comes through at once. Handlers of the program's own are left alone.
    """
    main = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    received = False

    def first(number: int, frame: Any) -> None:
        nonlocal received
        received = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop("interrupted")

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if received:
        raise KeyboardInterrupt
