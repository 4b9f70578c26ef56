"""A model of a step's time on R processes, compared with what 1, 2 and 4 do here, and carried on to 1,024.

usage: python -m tests.benchmarks.scaling [--out docs/pictures/scale.png] [--rounds 3]

    T(R) = C(B / R) + A(R),   C(n) = c₀ + c₁ n,   A(R) = 2 ⌈log₂ R⌉ α + 2 (R - 1) / R · bytes · β

B is the global batch, C the time in which one process computes a step on n rows (measured with as many processes at
once as there are processors, without MPI, at other n than those that are predicted), A that of an Allreduce by
Rabenseifner's algorithm (Thakur, Rabenseifner & Gropp 2005, Int. J. High Perform. Comput. Appl. 19, sec. 4.5, without
the additions). Latency α and time a byte β are measured here, β with as many bytes as the network has gradients. Where
there are more processes than processors, C is multiplied by how many share one, and α and β are those of that many
processes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.mpi import ROOT, measured, network

NETS = {  # global batch, rows at which the computation is measured, steps
    "500-150": (1024, (128, 384, 768), 40),
    "cnn": (64, (8, 24, 48), 5),
    "wide": (256, (32, 96, 192), 4),
}
TITLES = {"500-150": "784-500-150-10", "cnn": "CNN (32, 64, 128)", "wide": "784-4096-4096-10"}

# Assumed: seconds of latency, bytes a second. Line rates: IEEE 802.3ae; InfiniBand Trade Association's roadmap, EDR.
# Latencies: 30 µs is usual for TCP in a rack, 1.5 µs for MPI on EDR (vendors' figures, both not measured here).
NETWORKS = {"10 Gb/s Ethernet": (30e-6, 1.25e9), "100 Gb/s InfiniBand": (1.5e-6, 12.5e9)}

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parameters(kind: str) -> int:
    """Return how many numbers a network's gradient has."""
    import portanet as pn

    trainer = pn.Trainer(network(kind), backend="numpy")
    trainer.init((784,))
    return sum(math.prod(p.shape) for p in trainer.params.values())


def computation(kind: str, rows: tuple[int, ...], steps: int, threads: int, rounds: int) -> tuple[float, float]:
    """Return c₀ and c₁ by least squares of the relative errors, of processes that take all processors together."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in rows:
            seen = []
            for _ in range(rounds):
                words = [sys.executable, "-m", "tests.benchmarks.mpi", "--work", kind, str(n), str(steps)]
                names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
                env = {**os.environ, **dict.fromkeys(names, str(threads))}
                pipes: Any = {"cwd": ROOT, "env": env, "stdout": subprocess.PIPE, "text": True}
                jobs = [subprocess.Popen([*words, f"{folder}/{i}.npz", ""], **pipes) for i in range(CORES // threads)]
                seen += [json.loads(job.communicate()[0])["step"] for job in jobs]
            times.append(statistics.median(seen))
    table = np.stack([np.ones(len(rows)), np.asarray(rows, float)], axis=1) / np.asarray(times)[:, None]
    c0, c1 = np.linalg.lstsq(table, np.ones(len(rows)), rcond=None)[0]
    return max(float(c0), 0.0), float(c1)


SUMS = """
import json, sys, time, numpy as np
from mpi4py import MPI
c = MPI.COMM_WORLD
found = {}
for size in (8, *map(int, sys.argv[1:])):
    b, times = np.ones(size // 4, np.float32), []
    for i in range(30):
        c.Barrier()
        began = time.perf_counter()
        c.Allreduce(MPI.IN_PLACE, b)
        times.append(c.allreduce(time.perf_counter() - began, op=MPI.MAX))
    found[size] = sorted(times)[15]
if c.rank == 0:
    print(json.dumps(found))
"""


def sums(ranks: int, sizes: list[int]) -> tuple[float, dict[int, float]]:
    """Return the latency of an Allreduce by so many processes here, and seconds a byte for each of these sizes."""
    beside = Path(sys.executable).parent / "mpiexec"
    words = [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks), sys.executable, "-c", SUMS]
    words += map(str, sizes)
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = {int(size): seconds for size, seconds in json.loads(out).items()}
    alpha = found.pop(8) / (2 * math.ceil(math.log2(ranks)))
    wire = 2 * (ranks - 1) / ranks
    return alpha, {size: max(t - latency(alpha, ranks), 0.0) / (wire * size) for size, t in found.items()}


def latency(alpha: float, ranks: int) -> float:
    return 2 * math.ceil(math.log2(ranks)) * alpha if ranks > 1 else 0.0


def predicted(model: dict[str, Any], batch: int, ranks: int, alpha: float, beta: float, shared: float = 1.0) -> float:
    """Return the seconds of a step; `shared` processes have one processor."""
    c0, c1 = model["c"]
    wire = 2 * (ranks - 1) / ranks * model["bytes"] * beta
    return float(shared * (c0 + c1 * batch / ranks) + latency(alpha, ranks) + wire)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="picture of the speed-up")
    args = parser.parse_args()
    began = time.perf_counter()
    size = {kind: 4 * parameters(kind) for kind in NETS}
    here = {n: sums(n, list(size.values())) for n in (2, 4)}
    for n, (alpha, betas) in here.items():
        rates = ", ".join(f"{1e-9 / betas[size[kind]]:.2f} GB/s ({size[kind] / 1e6:.1f} MB, {kind})" for kind in NETS)
        print(f"Allreduce here on {n} ranks: latency {1e6 * alpha:.1f} µs, {rates}")
    models: dict[str, dict[str, Any]] = {}
    print("\nnet                 ranks  rows each  predicted ms  measured ms  error")
    for kind, (batch, rows, steps) in NETS.items():
        own = {"bytes": size[kind]}
        alone = {**own, "c": computation(kind, rows, steps, CORES, args.rounds)}
        models[kind] = {**own, "c": computation(kind, rows, steps, 1, args.rounds)}
        for n in (1, 2, 4):
            if n == 1:
                guess = predicted(alone, batch, 1, 0.0, 0.0)
            else:
                alpha, betas = here[n]
                guess = predicted(models[kind], batch, n, alpha, betas[size[kind]], shared=max(1.0, n / CORES))
            with tempfile.TemporaryDirectory() as folder:
                seen = statistics.median(
                    measured(n, kind, batch, steps, f"{folder}/w.npz")["step"] for _ in range(args.rounds)
                )
            print(
                f"{TITLES[kind]:18}  {n:5}  {batch // n:9}  {1e3 * guess:12.2f}  {1e3 * seen:11.2f}  "
                f"{guess / seen - 1:+.0%}",
                flush=True,
            )
    counts = [2**i for i in range(11)]
    lines: dict[str, dict[str, list[float]]] = {}
    for name, (alpha, rate) in NETWORKS.items():
        print(f"\n{name}: {1e6 * alpha:.1f} µs, {rate / 1e9:.2f} GB/s; times the speed of one process on one core")
        print("net, batch              " + "".join(f"{n:>7}" for n in counts[1:]) + "   best at, half in sums from")
        for kind in NETS:
            for batch in (1024, 0):  # 0: 128 rows for each process
                one = predicted(models[kind], batch or 128, 1, 0.0, 0.0)
                step = {n: predicted(models[kind], batch or 128 * n, n, alpha, 1 / rate) for n in counts}
                gain = [one / step[n] * (1 if batch else n) for n in counts]
                half = next((n for n in counts[1:] if 2 * _computed(models[kind], batch or 128 * n, n) <= step[n]), 0)
                label = f"{kind}, {batch or '128 a rank'}"
                cells = "".join(f"{g:7.1f}" for g in gain[1:])
                print(f"{label:24}{cells}   {counts[gain.index(max(gain))]:>7}, {half or '> 1024':>6}")
                lines.setdefault(name, {})[label] = gain
    if args.out:
        draw(args.out, counts, lines)
    print(f"\n{time.perf_counter() - began:.0f} s")
    return 0


def _computed(model: dict[str, Any], batch: int, ranks: int) -> float:
    return predicted(model, batch, ranks, 0.0, 0.0)


def draw(path: Path, counts: list[int], lines: dict[str, dict[str, list[float]]]) -> None:
    """Draw the speed-up on the assumed networks."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(NETWORKS), figsize=(8, 3.4), sharey=True, layout="constrained")
    for axis, name in zip(axes, NETWORKS, strict=True):
        axis.plot(counts, counts, color="0.8", lw=1)
        for i, (label, gain) in enumerate(lines[name].items()):
            width = 3.5 - i // 2  # lines that fall together are seen in one another
            axis.plot(counts, gain, color=f"C{i // 2}", ls="-" if "rank" in label else "--", lw=width, label=label)
        axis.set(xscale="log", yscale="log", title=name, xlabel="processes", xticks=[1, 4, 16, 64, 256, 1024])
        axis.set_xticklabels(["1", "4", "16", "64", "256", "1024"])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("times one process")
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    sys.exit(main())
