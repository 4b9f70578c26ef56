"""The networks and data that are timed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from portanet.random import generator


@dataclass(frozen=True)
class Workload:
    """A network of dense layers (or the convolutional one), its data by their sizes, and how it is trained."""

    name: str
    sizes: tuple[int, ...]  # units from the input to the output; of the convolutional network, after its convolutions
    hidden: str  # relu or sigmoid
    loss: str  # softmax, binary or squared
    batch: int
    samples: int
    optimizer: str = "sgd"  # or adam
    lr: float = 0.01
    image: tuple[int, ...] = ()  # shape of a sample of the convolutional network; empty for rows

    @property
    def steps(self) -> int:
        """Number of steps of an epoch."""
        return -(-self.samples // self.batch)

    @property
    def layers(self) -> list[tuple[int, int, int, int]]:
        """Return of each layer with weights: rows, inner size and columns of its product, and the numbers it reads."""
        n, found = self.batch, []
        if self.image:
            found = [(n * 26 * 26, 9, 32, n * 28 * 28), (n * 24 * 24, 9 * 32, 64, n * 26 * 26 * 32)]
        return [*found, *((n, inputs, units, n * inputs) for inputs, units in itertools.pairwise(self.sizes))]

    def data(self) -> tuple[Any, Any]:
        """Return x (float32) and y (class indices): made up, since it is time that is measured."""
        rng = generator(0, "bench", self.name)
        x = rng.standard_normal((self.samples, *(self.image or self.sizes[:1])), "float32")
        return x, rng.integers(0, max(self.sizes[-1], 2), self.samples)


WORKLOADS = {
    w.name: w
    for w in (
        Workload("moons", (2, 25, 50, 50, 25, 1), "relu", "binary", 1000, 1000),
        Workload("online", (1024, 16, 16, 10), "sigmoid", "squared", 1, 2000),
        Workload("mnist", (784, 500, 150, 10), "relu", "softmax", 128, 12800, lr=0.1),
        Workload("mnist-adam", (784, 500, 150, 10), "relu", "softmax", 128, 12800, "adam", 0.001),
        Workload("mnist-512", (784, 512, 512, 10), "relu", "softmax", 128, 12800, lr=0.1),
        Workload("mnist-30", (784, 30, 10), "relu", "softmax", 128, 12800, lr=0.1),
        Workload("cnn", (9216, 128, 10), "relu", "softmax", 64, 1024, image=(28, 28, 1)),
    )
}

KNOWN = WORKLOADS | {
    "mnist-8192": Workload("mnist-8192", (784, 500, 150, 10), "relu", "softmax", 8192, 65536, lr=0.1),
}
"""These, and what is too large to be timed on a CPU unasked."""
