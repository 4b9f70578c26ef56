"""Gradient accumulation: steps of several batches, of which one at a time goes through the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from numbers import Integral
from typing import Any

from portanet.checks import check_count
from portanet.errors import ConfigError

__all__ = ["accumulated"]


@contextlib.contextmanager
def accumulated(trainer: Any, batch_size: int | str | None, accumulate: int) -> Iterator[int | str | None]:
    """Within the block, let a trainer take steps of so many batches, a batch at a time; yield the samples of a step.

    Raises
    ------
    ConfigError
        If `accumulate` is not a whole number of 1 or more, or, above 1, if the batch size is not a whole number or the
        network does not look at each sample alone.
    """
    check_count("fit: accumulate", accumulate, 1)
    if accumulate == 1:
        yield batch_size
        return
    if not isinstance(batch_size, Integral) or not trainer.body.by_sample:
        alone = "a network without BatchNorm; GroupNorm and LayerNorm look at each sample alone"
        what = f"a whole number as batch_size, got {batch_size!r}" if trainer.body.by_sample else alone
        message = f"fit: accumulate={accumulate} needs {what}"
        raise ConfigError(message)
    check_count("fit: batch_size", batch_size, 1)
    before = trainer.program.rows
    trainer.recompile(rows=int(batch_size))
    try:
        yield int(batch_size) * accumulate
    finally:
        trainer.recompile(rows=before)  # not the program of before: a first fit to a table puts a layer in front
