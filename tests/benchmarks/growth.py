"""How time and memory grow with batch, width, depth and number of samples; a table and a picture of each.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.growth [--backend numpy] [--quick] [--out plots/growth]

Each point is a process of its own that trains 256-…-10 (ReLU, softmax, SGD): milliseconds a step, median of several
epochs, and the peak memory above that of the process before data and network. One size grows, the others stay at batch
128, width 256, 3 layers, 4,096 samples.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import portanet as pn
from portanet import plot
from portanet.backends import keep_memory
from portanet.plot.style import canvas, colours, dress
from portanet.random import generator

AXES = {
    "batch": [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192],
    "width": [32, 64, 128, 256, 512, 1024, 2048, 4096],
    "depth": [2, 4, 8, 16, 32],
    "samples": [1024, 4096, 16384, 65536, 262144],
}
USUAL = {"batch": 128, "width": 256, "depth": 3, "samples": 4096}


def point(size: dict[str, int], backend: str) -> dict[str, float]:
    """Train one network; runs in a process of its own."""
    keep_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = generator(0, "growth")
    n = max(size["samples"], size["batch"])
    x, y = rng.standard_normal((n, 256), "float32"), rng.integers(0, 10, n)
    net: list[pn.Layer] = [layer for _ in range(size["depth"] - 1) for layer in (pn.Dense(size["width"]), pn.ReLU())]
    trainer = pn.Trainer([*net, pn.Dense(10)], optimizer=pn.SGD(lr=0.001), backend=backend)
    steps = -(-n // size["batch"])
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < 3 or (time.perf_counter() - began < 1.5 and len(seconds) < 30):
        start = time.perf_counter()
        trainer.fit(x, y, epochs=1, batch_size=size["batch"], verbose=False)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"step": 1000 * statistics.median(seconds[1:]) / steps, "memory": (peak - before) / 1000, "samples": n}


def draw(found: dict[str, list[dict[str, float]]], out: Path) -> None:
    """Draw, for each size, time and memory beside lines of linear and quadratic growth."""
    for axis, rows in found.items():
        figure = canvas(9.6, 4.2)
        sizes = [row[axis] for row in rows]
        per = "epoch" if axis == "samples" else "step"
        time_label = f"time of {'an epoch (s)' if per == 'epoch' else 'a step (ms)'}"
        for axes, key, label in zip(figure.subplots(1, 2), (per, "memory"), (time_label, "memory (MB)"), strict=True):
            values = [max(row[key], 0.1 if key == "memory" else 1e-6) for row in rows]
            axes.loglog(sizes, values, "o-", color=colours(2)[0], label="measured")
            for power, style in ((1, "--"), (2, ":")):
                line = [values[-1] * (s / sizes[-1]) ** power for s in sizes]
                axes.loglog(sizes, line, style, color="0.6", label="linear" if power == 1 else "quadratic")
            axes.set_ylim(min(values) / 2, max(values) * 2)
            dress(axes, label[:1].upper() + label[1:], axis, label)
            axes.set_xticks(sizes, [f"{s:,}" for s in sizes], rotation=45 if len(sizes) > 6 else 0)
            axes.minorticks_off()
            axes.legend(frameon=False, fontsize=10)
        plot.save(figure, out / f"{axis}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--quick", action="store_true", help="every second size, without the largest")
    parser.add_argument("--out", type=Path, default=Path("plots/growth"))
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(point(json.loads(args.point), args.backend)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, float]]] = {}
    for axis, sizes in AXES.items():
        found[axis] = []
        print(f"{axis:>10}{'ms a step':>12}{'µs a sample':>13}{'MB':>9}{'exponent':>10}")
        for size in sizes[:-1:2] if args.quick else sizes:
            asked = {**USUAL, axis: size}
            command = [sys.executable, "-m", "tests.benchmarks.growth", "--backend", args.backend]
            done = subprocess.run([*command, "--point", json.dumps(asked)], capture_output=True, text=True, check=True)
            row = json.loads(done.stdout)
            row |= {"epoch": row["step"] * row["samples"] / asked["batch"] / 1000, **asked, "samples": row["samples"]}
            key = "epoch" if axis == "samples" else "step"
            growth = "-"
            if found[axis]:
                last = found[axis][-1]
                growth = f"{_power(row[key] / last[key], size / last[axis]):.2f}"
            found[axis].append(row)
            a_sample = 1000 * row["step"] / asked["batch"]
            print(f"{size:10}{row['step']:12.3f}{a_sample:13.2f}{row['memory']:9.1f}{growth:>10}", flush=True)
    draw(found, args.out)
    print("pictures:", *sorted(map(str, args.out.glob("*.png"))))


def _power(ratio: float, sizes: float) -> float:
    """Return the exponent of the growth between two neighbours: 1 is linear."""
    return math.log(ratio) / math.log(sizes)


if __name__ == "__main__":
    main()
