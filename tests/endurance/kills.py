"""Trainings killed at random moments (SIGKILL) and resumed: all end with the same weights, and nothing is left over.

usage: python -m tests.endurance.kills [--kills 200] [--seed 0] [--twice 0.25]

The run (dropout, Adam, a cosine schedule, checkpoints within epochs) goes through the command line, in processes of
their own, forked from this one so that starting Python does not take most of the time. A share of the runs is killed
once more while it is being resumed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.endurance.faults import command, final, leftovers

WORDS = (
    *("train", "moons", "--layers", "16,8", "--dropout", ".2", "--optimizer", "adam", "--schedule", "cosine"),
    *("--batch-size", "50", "--epochs", "5", "--val-fraction", ".1", "--checkpoint-every", "4"),
    *("--backend", "numpy", "--quiet"),
)


def forked(*words: str) -> int:
    """Start the command line in a process of its own; return its number."""
    child = os.fork()
    if not child:
        try:
            code, err = command(*words)
            if code:
                os.write(2, err.encode())
            os._exit(code)
        finally:
            os._exit(1)
    return child


def killed(child: int, begun: Path, seconds: float) -> bool:
    """Kill a process so many seconds behind the first sight of a file; return False if it had ended by itself."""
    while not begun.exists():
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="number of runs, each killed and resumed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--twice", type=float, default=0.25, help="share that is killed while it is resumed, too")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    began, early = time.perf_counter(), 0
    ends: Counter[str] = Counter()
    steps: set[str] = set()
    halves = again = 0
    failed = []
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        command(*WORDS, "--out", str(Path(name) / "warm"))
        start = time.perf_counter()
        command(*WORDS, "--out", str(whole))
        length = time.perf_counter() - start
        expected = final(whole)
        done = 0
        while done < args.kills:
            run = Path(name) / f"{done}-{early}"
            saved = run / "checkpoint" / "training.safetensors"
            if not killed(forked(*WORDS, "--out", str(run)), saved, rng.uniform(0, length)):
                early += 1  # the run was faster than the moment: not counted
                continue
            done += 1
            halves += bool(leftovers(run))
            steps.add(saved.read_bytes().hex())
            if rng.random() < args.twice:
                again += killed(forked("train", "--resume", str(run), "--quiet"), saved, rng.uniform(0, length))
                halves += bool(leftovers(run))
            code = os.waitstatus_to_exitcode(os.waitpid(forked("train", "--resume", str(run), "--quiet"), 0)[1])
            try:
                assert code == 0, f"exit code {code}"
                found = final(run)
                ends[found[1]] += 1
                assert found == expected, f"{found} for {expected}"
                assert not leftovers(run), leftovers(run)
            except (AssertionError, OSError, ValueError) as error:
                failed.append(f"{run.name}: {error}")
    print(f"{done} runs killed, {again} of them once more while resumed, {early} that ended before they were hit")
    print(f"killed behind {len(steps)} different checkpoints; {halves} left a file half-written, which was swept away")
    print(f"{len(ends)} different final weights: " + ", ".join(f"{h[:16]} {n} times" for h, n in ends.items()))
    print(f"{done - len(failed)} of {done} as if undisturbed, in {time.perf_counter() - began:.0f} s")
    for line in failed:
        print(line)
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main())
