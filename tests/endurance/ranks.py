"""One of four ranks killed at random moments (SIGKILL); the run resumed on two and on four ranks.

usage: python -m tests.endurance.ranks [--kills 10] [--seed 0]

The training is double precision with dropout, Adam, a cosine schedule and checkpoints within epochs, by ``mpiexec -n 4
portanet train``. Each time the others must be gone within seconds, mpiexec must not exit with 0, the checkpoint must be
whole, and both resumed runs must end as the undisturbed one does, to 1e-10.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.mpi.jobs import gone, ranks_of, run, start

WORDS = (
    *("-m", "portanet", "train", "moons", "--layers", "16,8", "--dropout", ".2", "--optimizer", "adam"),
    *("--schedule", "cosine", "--batch-size", "50", "--val-fraction", ".1", "--checkpoint-every", "4"),
    *("--dtype", "float64", "--quiet"),
)


def apart(first: Path, second: Path) -> float:
    """Return the largest relative difference between two runs: of last weights, best weights and measured numbers."""
    found = 0.0
    for name in ("last.safetensors", "best.safetensors"):
        a, b = load_file(first / name), load_file(second / name)
        assert set(a) == set(b), f"{name}: other arrays"
        found = max([found, *(float(np.abs(a[k] - b[k]).max() / max(np.abs(a[k]).max(), 1e-30)) for k in a)])
    rows = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (first, second)]
    assert len(rows[0]) == len(rows[1]), f"{len(rows[1])} epochs for {len(rows[0])}"
    for a, b in zip(*rows, strict=True):
        found = max([found, *(abs(a[k] - b[k]) / max(abs(a[k]), 1e-30) for k in a if k != "seconds")])
    return found


def killed(
    folder: Path, victim: int, seconds: float, epochs: int, *options: str, ranks: int = 4
) -> tuple[int, float, bool, str]:
    """Kill a rank so many seconds after the first checkpoint.

    Returns mpiexec's exit code, the seconds until all were gone, whether the run had not ended before, and stderr.
    """
    job = start(ranks, *WORDS, "--epochs", epochs, "--out", folder, options=options)
    saved = folder / "checkpoint" / "training.safetensors"
    while not saved.exists() and job.poll() is None:
        time.sleep(0.002)
    time.sleep(seconds)
    processes = ranks_of(job, str(folder))
    hit = victim in processes
    if hit:
        with contextlib.suppress(ProcessLookupError):
            os.kill(processes[victim], signal.SIGKILL)
    began = time.monotonic()
    while any(not gone(pid) for pid in processes.values()) and time.monotonic() - began < 60:
        time.sleep(0.01)
    took = time.monotonic() - began
    _, err = job.communicate(timeout=60)
    return job.returncode, took, hit, err


def resumed(folder: Path, ranks: int, copy: Path) -> Path:
    """Go on with a copy of a run on so many ranks; return it."""
    shutil.copytree(folder, copy)
    code, _, err = run(ranks, "-m", "portanet", "train", "--resume", copy, "--quiet")
    assert code == 0, f"resumed on {ranks}: exit code {code}: {err[-500:]}"
    return copy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    began, failed, done = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        start_time = time.perf_counter()
        code, _, err = run(4, *WORDS, "--epochs", args.epochs, "--out", whole)
        assert code == 0, err
        length = json.loads((whole / "report.json").read_text())["seconds"]
        print(f"undisturbed on 4 ranks: {length:.1f} s, with the start {time.perf_counter() - start_time:.1f} s")
        print(
            "kill  rank  behind  exit code  others gone in  checkpoint at  resumed on 2  on 4    (largest difference)"
        )
        while done < args.kills:
            folder, victim = Path(name) / f"{done}", rng.randrange(4)
            after = rng.uniform(0, 0.9 * length)
            code, took, hit, err = killed(folder, victim, after, args.epochs)
            if not hit or code == 0:  # it had ended before
                shutil.rmtree(folder, ignore_errors=True)
                continue
            done += 1
            cells: list[Any] = []
            try:
                place = _place(folder)
                for ranks in (2, 4):
                    difference = apart(whole, resumed(folder, ranks, Path(f"{folder}-{ranks}")))
                    assert difference <= 1e-10, f"on {ranks}: {difference:.1e} apart"
                    cells.append(f"{difference:.1e}")
                assert took < 5, f"the others were there for {took:.1f} s"
            except (AssertionError, OSError, ValueError) as error:
                failed += 1
                cells.append(f"FAILED: {error}")
                place = "?"
            print(
                f"{done:4}  {victim:4}  {after:4.1f} s  {code:9}  {took:12.2f} s  {place:>13}  {'   '.join(cells)}",
                flush=True,
            )
    print(
        f"{done - failed} of {done} stopped clean and resumed to the same end, in {time.perf_counter() - began:.0f} s"
    )
    return failed > 0


def _place(folder: Path) -> str:
    """Return the place of a run's checkpoint, which is read as a resumed run reads it: whole or refused."""
    from portanet.files import weights as weights_file
    from portanet.files.checkpoint import HEADER

    with weights_file.opened(folder / "checkpoint" / "training.safetensors", HEADER) as file:
        state = file.about["training"]
        assert all(np.isfinite(a).all() for a in file.arrays().values())
    return f"{state['epoch']} + {state['position']}"


if __name__ == "__main__":
    sys.exit(main())
