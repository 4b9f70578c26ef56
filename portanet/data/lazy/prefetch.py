"""Prefetch: a thread makes the next item while the present one is used."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

WAIT = 5.0  # seconds that the end waits for a reader in the middle of a block; one that hangs is abandoned


def ahead(make: Callable[[Callable[[], bool]], Iterable[T]], depth: int = 1) -> Iterator[T]:
    """Yield what `make` yields, made by a thread; at most `depth` items wait, besides the one that is being made.

    `make` is called in the thread with a function that returns whether to stop. What it raises is raised here, in its
    turn. The thread ends when the items do, when one of them raises, and when the iterator is closed or forgotten:
    after a ``break`` or an exception in the loop over it.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def run() -> None:
        try:
            for item in make(stop.is_set):
                if stop.is_set():
                    return
                waiting.put(("item", item))
                del item  # else it would be kept while the next one is made
            end: tuple[str, Any] = ("end", None)
        except BaseException as error:  # whatever it is, it is the caller's to see
            end = ("error", error)
        if not stop.is_set():
            waiting.put(end)

    # A daemon: a reader that hangs must not keep the process from ending.
    thread = threading.Thread(target=run, name="portanet-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
            del value
    finally:
        stop.set()
        with contextlib.suppress(queue.Empty):  # it may wait for room; after this it puts one item at most
            while True:
                waiting.get_nowait()
        thread.join(WAIT)
