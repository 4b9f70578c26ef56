"""Watchdog thread: ends this process if another rank has died, because a sum would wait for it forever."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["LOST", "Watch"]

LOST = 8  # exit code of a process that has lost another rank
INTERVAL = 0.5  # seconds between checks
LIMIT = "PORTANET_MPI_TIMEOUT"
"""Timeout of a sum in seconds, for ranks on other machines; 600 if it is not set, 0 for no limit."""


class Watch:
    """Check, while the block runs, that the ranks on this machine are alive and that no sum takes too long.

    mpiexec usually ends all processes when one dies; if it does not, this class does. Processes on other machines
    cannot be checked directly, so there is a timeout for sums.

    Parameters
    ----------
    processes : sequence of (str, int)
        Host name and process ID of each rank.
    rank : int
        The rank of this process.
    """

    def __init__(self, processes: Sequence[tuple[str, int]], rank: int) -> None:
        here = processes[rank][0]
        self.beside = {r: pid for r, (host, pid) in enumerate(processes) if host == here and r != rank}
        self.rank, self.size = rank, len(processes)
        self.limit = float(os.environ.get(LIMIT) or 600) if len(self.beside) + 1 < len(processes) else 0.0
        self._since: float | None = None
        self._depth, self._ended = 0, threading.Event()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark the block as waiting for the other processes."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def __enter__(self) -> Watch:
        self._depth += 1
        if self._depth == 1 and self.size > 1:
            self._ended = threading.Event()
            threading.Thread(target=self._look, args=(self._ended,), name="portanet ranks", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._ended.set()

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(INTERVAL):
            lost = [rank for rank, pid in self.beside.items() if not _lives(pid)]
            if lost:
                # It may have ended normally, and this process may be about to end.
                if not ended.wait(INTERVAL):
                    self._end(f"rank {lost[0]} has died")
            elif self.limit and self._since is not None and time.monotonic() - self._since > self.limit:
                self._end(f"a sum over the ranks has taken more than {self.limit:g} s ({LIMIT})")

    def _end(self, what: str) -> None:
        text = f"portanet: rank {self.rank} of {self.size}: {what}; resume from the last checkpoint"
        print(text, file=sys.__stderr__, flush=True)
        os._exit(LOST)  # the main thread may be waiting in a sum


def _lives(pid: int) -> bool:
    """Return whether a process on this machine is running; a zombie is not."""
    if os.name == "nt":  # there os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] not in "ZX"
    return True
