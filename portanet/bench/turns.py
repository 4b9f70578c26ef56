"""Timings in turns (A B C A B C …): what is compared is the ratio within a round, which noise of the machine leaves."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from portanet.bench.workloads import KNOWN
from portanet.errors import PortanetError


@dataclass
class Timings:
    """Milliseconds a step of one workload."""

    workload: str
    rounds: dict[str, list[float]] = field(default_factory=dict)  # of each library that can be measured, one a round
    absent: dict[str, str] = field(default_factory=dict)  # why the others are not there

    def median(self, peer: str) -> float:
        """Return the median of the rounds, in milliseconds a step."""
        return statistics.median(self.rounds[peer])

    def ratio(self, peer: str, other: str) -> float:
        """Return the median over the rounds of the time of `peer` divided by that of `other`."""
        return statistics.median(a / b for a, b in zip(self.rounds[peer], self.rounds[other], strict=True))


def measure(workload: str, peers: Sequence[str], rounds: int = 7, seconds: float = 0.4) -> Timings:
    """Time a workload in each of the libraries, each in a process of its own, a turn each.

    Parameters
    ----------
    workload : str
        A name in :data:`portanet.bench.workloads.KNOWN`.
    peers : sequence of str
        ``portanet:BACKEND``, or a name in :data:`portanet.bench.peers.PEERS`.
    rounds : int
        Turns of each.
    seconds : float
        How long a turn lasts, about: as many epochs as fit, at least one.
    """
    found = Timings(workload)
    steps = KNOWN[workload].steps
    with ExitStack() as stack:
        workers, epochs = {}, {}
        for peer in peers:  # one after the other: two that start at once disturb each other's compilers
            worker = stack.enter_context(_worker(workload, peer))
            said = _line(worker, peer)
            if said != "ready":
                found.absent[peer] = said.removeprefix("absent: ")
                continue
            workers[peer], found.rounds[peer] = worker, []
            once = min(_turn(worker, peer, 1) for _ in range(2))
            epochs[peer] = max(1, round(seconds / once))
        for _ in range(rounds):
            for peer, worker in workers.items():
                spent = _turn(worker, peer, epochs[peer])
                found.rounds[peer].append(1000 * spent / (epochs[peer] * steps))
    return found


@contextmanager
def _worker(workload: str, peer: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "portanet.bench.worker", workload, peer]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, encoding="utf-8") as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _turn(worker: subprocess.Popen[str], peer: str, epochs: int) -> float:
    assert worker.stdin is not None
    try:
        print(epochs, file=worker.stdin, flush=True)
        return float(_line(worker, peer))
    except (BrokenPipeError, ValueError):
        message = f"bench: the process of {peer} ended by itself; run python -m portanet.bench.worker to see why"
        raise PortanetError(message) from None


def _line(worker: subprocess.Popen[str], peer: str) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip() or f"absent: the process of {peer} ended by itself"
