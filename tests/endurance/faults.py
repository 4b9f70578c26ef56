"""A fault at every single write of a training, and what is left of it: nothing half-written, and a run that goes on.

usage: python -m tests.endurance.faults [--epochs 3] [--quick]

A run of ``portanet train`` (dropout, Adam, a schedule, checkpoints within epochs) is done once undisturbed, and its
calls that write are counted: open, write, fsync, rename, mkdir, close. Then it is done again for each of them, with a
fault there (see `layer.FAULTS`). Each time the run must end with exit code 0, 2 or 3 (143 by a signal) and one line of
error, leave whole files alone, and, resumed, end with the weights, metrics and report of the undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

import portanet as pn
from portanet.cli.main import run
from tests.endurance.layer import FAULTS, KILLED, Layer

WORDS = (
    *("train", "moons", "--layers", "6", "--dropout", ".2", "--optimizer", "adam", "--schedule", "cosine"),
    *("--batch-size", "200", "--val-fraction", ".1", "--checkpoint-every", "3", "--backend", "numpy"),
)

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk takes milliseconds for each fsync


def final(folder: Path) -> tuple[Any, ...]:
    """Return what a run has come to, whenever and however often it was stopped: weights by their hash, and numbers."""
    found: list[Any] = []
    for name in ("best.safetensors", "last.safetensors"):
        digest = hashlib.sha256()
        for key, array in sorted(load_file(folder / name).items()):
            digest.update(f"{key} {array.dtype} {array.shape} ".encode() + array.tobytes())
        found.append(digest.hexdigest())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found.append([{key: value for key, value in row.items() if key != "seconds"} for row in rows])
    report = json.loads((folder / "report.json").read_text())
    return (*found, *(report[key] for key in ("metrics", "stopped", "epochs", "best_epoch")))


def leftovers(folder: Path) -> list[str]:
    """Return the files that do not belong into a run's folder."""
    known = {".lock", "config.toml", "environment.json", "metrics.jsonl", "report.json"}
    known |= {"best.safetensors", "last.safetensors", "training.safetensors"}
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.name not in known]


def whole(folder: Path) -> None:
    """Read every file of a run; what is half-written fails."""
    for path in folder.rglob("*.safetensors"):
        if path.name != "training.safetensors":
            pn.load(path)
    for path in folder.rglob("*.json*"):
        for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            json.loads(text)


def command(*words: str) -> tuple[int, str]:
    """Run the command line in this process; return exit code and stderr."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = run(words)
    return code, err.getvalue()


def disturbed(words: tuple[str, ...], folder: Path, n: int, fault: str) -> tuple[int, str]:
    """Run with the n-th call disturbed, in a process of its own where a signal may end it."""
    layer = Layer(folder, n, fault)
    if fault in ("kill", "signal"):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(writer, 2)
            with contextlib.suppress(BaseException), layer():
                code, err = command(*words)
                os.write(writer, err.encode())
                os._exit(code)
            os._exit(1)
        os.close(writer)
        with open(reader, encoding="utf-8") as pipe:
            err = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), err
    with layer():
        found = command(*words)
    assert all(a == b for a, b in layer.renamed), f"renamed across folders: {layer.renamed}"
    return found


def trial(words: tuple[str, ...], folder: Path, n: int, fault: str, expected: tuple[Any, ...]) -> str:
    """Disturb a run at one call, resume it, check all; return what became of it."""
    out = folder / "run"
    words = (*words, "--out", str(out))
    code, err = disturbed(words, out, n, fault)
    told = [line for line in err.splitlines() if line.startswith(("Error: ", "Traceback"))]
    ended = code in (KILLED, -signal.SIGTERM)  # at once: what was begun lies there until the run goes on
    if fault in ("once", "from then on"):
        assert code in (0, 2, 3), err
        assert len(told) == (code != 0), err
        assert not told or err.rstrip().endswith(told[0]), err
        assert not any(word in err for word in ("Traceback", "Errno")), err
    elif fault == "kill":
        assert ended, (code, err)
    else:  # one that comes behind the training changes nothing
        assert ended or (code, told) in ((143, []), (0, [])), (code, err)
    if not ended:
        assert not leftovers(out), leftovers(out)
        whole(out)
    if not out.exists():
        return "nothing begun"
    if code == 0:
        assert final(out) == expected
        return "not harmed"
    again, err = command("train", "--resume", str(out), "--quiet")
    if again == 3 and not (out / "checkpoint" / "training.safetensors").exists():
        assert "expected" in err, err
        return "no checkpoint yet"
    assert again == 0, err
    assert not leftovers(out), leftovers(out)
    assert final(out) == expected, f"other numbers: {final(out)} for {expected}"
    return "resumed"


def walk(faults: list[str], epochs: int, *, turns: bool) -> tuple[int, dict[str, Counter[str]], list[str]]:
    """Try all faults at all calls, or, in turns, one fault at each; return the calls, what became of each, failures."""
    words = (*WORDS, "--epochs", str(epochs))
    found: dict[str, Counter[str]] = {fault: Counter() for fault in faults}
    failed = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        place = Path(name) / "0"
        place.mkdir()
        layer = Layer(place / "run")
        with layer():
            code, err = command(*words, "--out", str(place / "run"))
        assert code == 0, err
        expected, calls = final(place / "run"), len(layer.calls)
        print(f"{calls} calls: {dict(Counter(layer.calls))}")
        for n in range(1, calls + 1):
            for fault in faults:
                if turns and fault != faults[n % len(faults)]:
                    continue
                folder = Path(name) / f"{n} {fault}"
                folder.mkdir()
                try:
                    found[fault][trial(words, folder, n, fault, expected)] += 1
                except Exception as error:
                    found[fault]["FAILED"] += 1
                    failed.append(f"call {n} ({layer.calls[n - 1]}), {fault}: {type(error).__name__}: {error}")
    return calls, found, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one fault at each call, in turns")
    args = parser.parse_args()
    began = time.perf_counter()
    calls, found, failed = walk(list(FAULTS), args.epochs, turns=args.quick)
    outcomes = ("resumed", "not harmed", "no checkpoint yet", "nothing begun", "FAILED")
    print(f"{'fault':>14}" + "".join(f"{name:>19}" for name in outcomes))
    for fault, counts in found.items():
        print(f"{fault:>14}" + "".join(f"{counts[name]:>19}" for name in outcomes))
    tried = sum(sum(counts.values()) for counts in found.values())
    print(f"{tried} faults at {calls} calls, {tried - len(failed)} survived, in {time.perf_counter() - began:.0f} s")
    for line in failed:
        print(line)
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main())
