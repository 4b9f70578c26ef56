"""A step of training on a GPU beside PyTorch, eager and by CUDA graphs, and JAX, and its share of what the GPU can do.

usage: python -m tests.benchmarks.gpu [--backend cupy] [--peers torch:cuda,torch:cuda:graphs,jax] [--rounds 7]

All clocks stop when the device has done its work, and none rounds float32 to TF32. The limit of a step is counted: its
products' operations by the rate of a large product, or the bytes that it must move at least by the rate of a copy,
whichever takes longer; both rates are measured here.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from portanet.backends import Backend, get
from portanet.bench.turns import measure
from portanet.bench.workloads import KNOWN, Workload
from portanet.random import generator

NAMES = ("mnist", "mnist-8192", "mnist-adam", "cnn")


def seconds(backend: Backend, run: Callable[[], object], times: int = 5) -> float:
    """Return what it takes until the device has done it, the least of several."""
    found = []
    for _ in range(times + 1):  # the first compiles, and is not better than the others
        backend.synchronize()
        began = time.perf_counter()
        run()
        backend.synchronize()
        found.append(time.perf_counter() - began)
    return min(found)


def rates(backend: Backend, side: int = 8192) -> tuple[float, float]:
    """Return operations and bytes a second: of a product of squares, and of a copy, in float32."""
    with backend.activate():
        a = backend.asarray(generator(0, "rates").standard_normal((side, side), "float32"))  # of ones it is faster
        product = seconds(backend, lambda: a @ a)
        copy = seconds(backend, lambda: backend.xp.asarray(a, copy=True))
        return 2 * side**3 / product, 2 * 4 * side**2 / copy


def operations(workload: Workload) -> int:
    """Return the additions and multiplications in the products of a step: forward, dW, and dx but for the first."""
    products = [rows * inner * columns for rows, inner, columns, _ in workload.layers]
    return 2 * (3 * sum(products) - products[0])


def least_bytes(workload: Workload) -> int:
    """Return the least that a step moves: what each product reads and writes, once, and what the update does."""
    weights = [inner * columns for _, inner, columns, _ in workload.layers]
    moved = [numbers + inner * columns + rows * columns for rows, inner, columns, numbers in workload.layers]
    return 4 * (3 * sum(moved) - moved[0] + {"sgd": 3, "adam": 7}[workload.optimizer] * sum(weights))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--peers", default="torch:cuda,torch:cuda:graphs,jax")
    parser.add_argument("--workloads", default=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--side", type=int, default=8192, help="of the squares that the rates are measured with")
    options = parser.parse_args(argv)
    # For JAX, in processes of its own: no TF32, and not three quarters of the memory at once.
    os.environ.update(JAX_DEFAULT_MATMUL_PRECISION="highest", XLA_PYTHON_CLIENT_PREALLOCATE="false")
    computed, moved = rates(get(options.backend), options.side)
    print(f"{options.backend}: {computed / 1e12:.2f} TFLOP/s, {moved / 1e9:.0f} GB/s")
    own, peers = f"portanet:{options.backend}", [name for name in options.peers.split(",") if name]
    for name in options.workloads.split(","):
        workload = KNOWN[name]
        limit = 1000 * max(operations(workload) / computed, least_bytes(workload) / moved)
        found = measure(name, [own, *peers], options.rounds, options.seconds)
        print(f"{name}: {operations(workload) / 1e9:.3f} GFLOP and {least_bytes(workload) / 1e6:.2f} MB a step")
        for peer in found.rounds:
            ratio = f"{own} takes {found.ratio(own, peer):.2f} of it" if own in found.rounds and peer != own else ""
            ms = found.median(peer)
            print(f"  {peer:20} {ms:9.4f} ms a step, {100 * limit / ms:5.1f} % of the limit  {ratio}".rstrip())
        for peer, why in found.absent.items():
            print(f"  {peer:20} {why}")
        if own in found.absent:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
