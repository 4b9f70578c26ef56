"""One epoch on generated images that are read from disk, beside the same rows in memory: samples a second, and memory.

``python -m tests.benchmarks.streaming --gb 20 --folder /some/disk`` writes 20 GB of rows of 3072 bytes (32×32 in
three colours). The first `--compare` GB are trained on from disk and in memory, in turns, each time in a process of its
own: an epoch of an MLP of 64 units. Then all of them are, from disk, and the peak of resident memory is printed. What
the system keeps of the file in its cache is dropped before each reading from disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROW, CLASSES, BATCH, UNITS = 3072, 10, 128, 64
LEAST_RATIO, MOST_MEMORY = 0.7, 10**9


def generate(folder: Path, gb: float) -> int:
    """Write X.npy and y.npy: noise over a pattern for each class; return the number of rows."""
    n = max(int(gb * 1e9) // ROW, 8 * BATCH)
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 64, (CLASSES, ROW), dtype=np.uint8)
    y = rng.integers(0, CLASSES, n)
    with (folder / "X.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, ROW)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, 8192):
            own = y[start : start + 8192]
            noise = np.frombuffer(rng.bytes(len(own) * ROW), np.uint8).reshape(len(own), ROW)
            file.write((noise // 2 + patterns[own]).data)
        file.flush()
        os.fsync(file.fileno())
    np.save(folder / "y.npy", y)
    return n


def forget(path: Path) -> None:
    """Let the system drop what it keeps of a file in its cache, where it can be asked to."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def status() -> dict[str, int]:
    """Return what Linux says of this process's memory, in bytes."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}


def one_epoch(folder: Path, way: str, rows: int, limit: float) -> dict[str, float]:
    """Train for an epoch, or for as much of it as `limit` seconds allow; return rates and the process's memory."""
    import portanet as pn
    from portanet.backends.glibc_memory import keep_memory

    class Watch(pn.Callback):
        """Tells each tenth of a long epoch, and ends one that takes too long."""

        def on_batch_end(self, trainer: pn.Trainer, batch: int, batches: int) -> None:
            seconds = time.perf_counter() - began
            if batches > 20_000 and batch % (batches // 10) == 0:
                rate, peak = batch * BATCH / seconds, status()["VmHWM"] / 1e6
                print(f"  {batch / batches:.0%}: {rate:.0f} samples/s, peak {peak:.0f} MB", file=sys.stderr, flush=True)
            if seconds > limit:
                trainer.stop("limit")

    keep_memory()
    y = np.load(folder / "y.npy")[:rows]
    x: Any = pn.data.NpySamples(folder / "X.npy")
    x = x.read(0, rows) if way == "memory" else x if rows == len(x) else x.take(np.arange(rows))
    net = [pn.Rescale(1 / 64, -1.5), pn.Dense(UNITS), pn.ReLU(), pn.Dense(CLASSES)]
    trainer = pn.Trainer(net, optimizer=pn.SGD(lr=0.01), metrics=["accuracy"], backend="numpy")
    trainer.init((ROW,))
    began = time.perf_counter()
    trainer.fit(x, y, epochs=1, batch_size=BATCH, callbacks=[Watch()], verbose=False)
    seconds = time.perf_counter() - began
    memory, done = status(), min(trainer.position * BATCH, rows) if trainer.position else rows
    names = ("VmHWM", "RssAnon", "RssFile")
    accuracy = trainer.meter.result()["accuracy"]
    found = {"rate": done / seconds, "seconds": seconds, "rows": done, "accuracy": accuracy}
    return {**found, **{name: memory[name] for name in names}}


def child(folder: Path, way: str, rows: int, limit: float) -> dict[str, float]:
    """Return :func:`one_epoch` in a process of its own: the peak of memory is a process's."""
    forget(folder / "X.npy")
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.streaming",
        "--folder",
        str(folder),
        "--child",
        way,
        str(rows),
        str(limit),
    ]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def show(way: str, found: dict[str, float]) -> None:
    rows = int(found["rows"])
    mb = {name: f"{found[name] / 1e6:.0f} MB" for name in ("VmHWM", "RssAnon", "RssFile")}
    print(
        f"{way:>9}: {rows * ROW / 1e9:.2f} GB, {rows} rows in {found['seconds']:.1f} s, {found['rate']:.0f} samples/s, "
        f"accuracy {found['accuracy']:.4f}; peak {mb['VmHWM']} resident, at the end {mb['RssAnon']} of its own "
        f"and {mb['RssFile']} of mapped files",
        flush=True,
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=0.25, help="size of the data, in 10^9 bytes")
    parser.add_argument(
        "--compare", type=float, help="size of what is also trained on in memory; default: all, 2 at most"
    )
    parser.add_argument("--limit", type=float, default=1e9, help="seconds of an epoch, at most; the rest is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data are written, and kept if they are there already")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        print(json.dumps(one_epoch(args.folder, args.child[0], int(args.child[1]), float(args.child[2]))))
        return 0
    folder = args.folder or Path(tempfile.mkdtemp(prefix="portanet-streaming-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        there = (folder / "y.npy").is_file()
        rows = len(np.load(folder / "y.npy")) if there else generate(folder, args.gb)
        made = "found" if there else f"written in {time.perf_counter() - began:.0f} s"
        print(f"{rows} rows of {ROW} bytes, {rows * ROW / 1e9:.2f} GB, {made}", flush=True)
        part = min(rows, int((args.compare or 2) * 1e9) // ROW)
        ratios = []
        for _ in range(args.rounds):
            streamed, memory = (child(folder, way, part, args.limit) for way in ("streamed", "memory"))
            show("streamed", streamed)
            show("memory", memory)
            ratios.append(streamed["rate"] / memory["rate"])
        whole = child(folder, "streamed", rows, args.limit)
        show("streamed", whole)
        ratio = statistics.median(ratios)
        told = f"ratio of samples a second, streamed to memory: {ratio:.2f}"
        print(f"{told} (median of {', '.join(f'{r:.2f}' for r in ratios)}; at least {LEAST_RATIO} is wanted)")
        print(f"peak resident memory: {whole['VmHWM'] / 1e6:.0f} MB (at most {MOST_MEMORY / 1e6:.0f} MB is wanted)")
        return 0 if ratio >= LEAST_RATIO and whole["VmHWM"] <= MOST_MEMORY else 7
    finally:
        if args.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
