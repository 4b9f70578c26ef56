"""The convolutions of the tutorial's network beside torch's: forward, forward and backward, and peak memory.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.convolution [--rounds 15] [--batch 64]

Each library convolves in its own layout, channels last here and channels first in torch, from ready arrays, in turns;
ratios are medians over the rounds. Peak memory is what a process of its own takes beyond its imports for 20 steps of
the whole network (SGD), by the system's count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import portanet as pn
from portanet.backends import keep_memory

LAYERS = {"1 → 32": (28, 1, 32), "32 → 64": (26, 32, 64)}  # size of the image, channels in and out

HERE = """
net = [pn.Conv2D(32, 3), pn.ReLU(), pn.Conv2D(64, 3), pn.ReLU(), pn.MaxPool2D(2), pn.Dropout(0.25), pn.Flatten(),
       pn.Dense(128), pn.ReLU(), pn.Dropout(0.5), pn.Dense(10)]
trainer = pn.Trainer(net, optimizer=pn.SGD(lr=0.01), backend="numpy")
"""
TRAIN_HERE = "trainer.fit(x, y, epochs=1, batch_size=64, verbose=False)\n"
THERE = """
nn = torch.nn
net = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
                    nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
"""
TRAIN_THERE = """
for i in range(0, len(x), 64):
    output = net(torch.from_numpy(x[i : i + 64]).permute(0, 3, 1, 2))
    loss = nn.functional.cross_entropy(output, torch.from_numpy(y[i : i + 64]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
DATA = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.standard_normal((1280, 28, 28, 1), "float32"), rng.integers(0, 10, 1280)
def resident(word):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(word))
before = resident("VmRSS")
"""


def runs(size: int, channels: int, units: int, batch: int) -> dict[str, Callable[[], Any]]:
    """Return what each library does, forward alone and forward and backward."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, size, size, channels), dtype="float32")
    layer = pn.Conv2D(units, 3)
    params, out = layer.init(rng, x.shape[1:])
    params = {name: array.astype("float32") for name, array in params.items()}
    dy = rng.standard_normal((batch, *out), dtype="float32")
    other = torch.nn.Conv2d(channels, units, 3)
    there = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).requires_grad_()
    slope = torch.from_numpy(np.ascontiguousarray(dy.transpose(0, 3, 1, 2)))

    def both() -> None:
        _, cache = layer.forward(params, x, train=True)
        layer.backward(params, dy, cache)

    def both_there() -> None:
        other.zero_grad()
        there.grad = None
        other(there).backward(slope)

    def forward_there() -> None:
        with torch.no_grad():
            other(there)

    return {
        "forward here": lambda: layer.forward(params, x, train=True),
        "forward torch": forward_there,
        "both here": both,
        "both torch": both_there,
    }


def peak(code: str) -> float:
    """Return how many MB a process takes beyond its imports, its data and its network."""
    code += "print(resident('VmHWM') - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    keep_memory()
    for name, sizes in LAYERS.items():
        seconds: dict[str, list[float]] = {}
        work = runs(*sizes, arguments.batch)
        for i in range(arguments.rounds + 1):
            for what, run in work.items():
                began = time.perf_counter()
                run()
                if i:
                    seconds.setdefault(what, []).append(time.perf_counter() - began)
        for what in ("forward", "both"):
            here, torchs = seconds[f"{what} here"], seconds[f"{what} torch"]
            ratio = statistics.median(a / b for a, b in zip(here, torchs, strict=True))
            ms = (1000 * statistics.median(turns) for turns in (here, torchs))
            words = "forward and backward" if what == "both" else what
            print("{:8} {:21} {:7.2f} ms, torch {:7.2f} ms: {:5.2f} of it".format(name, words, *ms, ratio))
    ours = peak(f"import portanet as pn\nimport portanet.training.trainer\n{DATA}{HERE}{TRAIN_HERE}")
    theirs = peak(f"import torch\n{DATA}{THERE}{TRAIN_THERE}")
    print(f"peak memory of 20 steps beyond imports and data: {ours:.0f} MB, torch {theirs:.0f} MB")


if __name__ == "__main__":
    main()
