"""How much memory a step or a prediction takes, estimated from the shapes of its arrays."""

from __future__ import annotations

import contextlib
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from portanet.backends.host import cache_budget
from portanet.data.batching.batches import Batches
from portanet.errors import OutOfMemoryError

__all__ = [
    "Need",
    "auto_batch_size",
    "by_fewer",
    "explained",
    "of_a_prediction",
    "of_a_step",
    "rows_at_a_time",
    "usual_batch_size",
]

SHARE = 2  # no more than one part in so many of the free memory is taken at a time
LARGE = 1 << 27  # bytes of a prediction at a time on the host, 8 times that on a device: more is no faster

STEPS, LEAST, MOST = 64, 16, 256  # of batch_size="auto"


T = TypeVar("T")


@dataclass(frozen=True)
class Need:
    """Bytes that a call takes beyond what is there.

    Attributes
    ----------
    fixed : int
        Bytes in any case: the gradients.
    sample : int
        Bytes for each sample.
    update : int
        Bytes of the update, which begins when those of the samples are free again.
    held : int
        Bytes for each sample of what one layer needs beside its output.
    in_parts, part : int
        The same of the layers that take a batch in parts, and the bytes of a part, which they do not exceed.
    """

    fixed: int
    sample: int
    update: int = 0
    held: int = 0
    in_parts: int = 0
    part: int = 0

    def of(self, samples: int) -> int:
        """Return the bytes for so many samples."""
        beside = max(samples * self.held, min(samples * self.in_parts, self.part))
        return self.fixed + max(samples * self.sample + beside, self.update)

    def fits(self, free: int) -> int:
        """Return how many samples fit into so many bytes: a power of two, or 0."""
        return max((1 << i for i in range(63) if self.of(1 << i) <= free), default=0)


def usual_batch_size(n: int) -> int:
    """Return what ``batch_size="auto"`` is where memory does not matter: n / 64 as a power of two, from 16 to 256."""
    most = max(n // STEPS, LEAST)
    return int(min(1 << (most.bit_length() - 1), MOST, n))


def auto_batch_size(trainer: Any, n: int) -> int:
    """Return the batch size for `n` samples: the usual one, or less if memory is scarce."""
    size, memory = usual_batch_size(n), trainer.backend.memory()
    return size if memory is None else max(1, min(size, of_a_step(trainer).fits(memory.free // SHARE)))


def rows_at_a_time(model: Any, n: int, most: int) -> int:
    """Return how many of `n` samples are to be predicted at a time, at most `most`, so that they fit."""
    if model.input_shape is None or n == 1:  # a single row cannot be parted, and estimates take as long as it does
        return min(n, most)
    need = of_a_prediction(model)
    if need.of(min(n, most)) <= LARGE // 2:
        return most
    memory, free = model.backend.memory(), LARGE if model.backend.rows else 8 * LARGE
    free = free if memory is None else min(free, memory.free // (2 * SHARE))
    return max(1, min(most, need.fits(free)))


def by_fewer(rows: int, run: Callable[[int], T]) -> T:
    """Return what `run` returns for so many rows at a time, or for fewer where these do not fit after all."""
    while True:
        try:
            return run(rows)
        except OutOfMemoryError as error:
            if rows == 1:
                raise
            _release(error)
        rows = max(1, rows // 4)


def of_a_prediction(model: Any) -> Need:
    """Return what the network's forward pass takes: a sample, each layer's output for it, and one layer's scratch.

    Backward needs most of the outputs, and forward lets go of none of them before its end.
    """
    found, size = model.engine.numbers(model.input_shape), _itemsize(model)
    budget = next((cache_budget(p) for p in model.params.values()), None)
    # A part is of so many numbers of four bytes, or else one sample.
    part = sys.maxsize if budget is None else max(budget // 4, found.in_parts)
    each = (size * numbers for numbers in (found.held, found.in_parts, part))
    return Need(0, size * (found.sample + found.outputs), 0, *each)


def of_a_step(trainer: Any) -> Need:
    """Return what a step takes, beside the parameters and the optimizer's state.

    Each layer's output counts twice: in backward there are its gradient and temporaries, too. An update has two
    temporaries of the size of a parameter, if the optimizer has slots.
    """
    sizes = [math.prod(p.shape) for p in trainer.params.values()]
    update = 2 * max(sizes, default=0) if trainer.program.optimizer.slots else 0
    found = trainer.engine.numbers(trainer.input_shape or ())
    numbers = sum(sizes), found.sample + 2 * found.outputs, update
    return Need(*(_itemsize(trainer) * n for n in numbers))


def _itemsize(model: Any) -> int:
    return int(model.dtype.removeprefix("float")) // 8


def explained(error: OutOfMemoryError, trainer: Any, train: Batches) -> OutOfMemoryError:
    """Return the error with the batch size that would fit, if it is known."""
    _release(error)
    memory = None
    with contextlib.suppress(OutOfMemoryError):
        memory = trainer.backend.memory()
    if memory is None:
        return error
    need, size = of_a_step(trainer), min(train.batch_size, train.n)
    fits = need.fits(memory.free // SHARE)
    text = f"a step on {size} samples takes about {_gib(need.of(size))}"
    if fits < 1:
        text += ", and not even one sample fits: use fewer units"
    elif fits < size:
        text += f"; batch_size={fits} would fit, and batch_size='auto' finds one"
    return OutOfMemoryError(f"{error}; {text}")


def _release(error: BaseException | None) -> None:
    """Let go of the arrays that the frames of an error hold."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**27 else f"{size / 2**20:.1f} MiB"
