"""Mean and standard deviation of samples on disk, in one pass."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from portanet.data.lazy.block_order import block_offsets
from portanet.data.lazy.prefetch import ahead
from portanet.errors import DataError

logger = logging.getLogger("portanet")


def moments(samples: Any, axis: int | None) -> tuple[Any, Any]:
    """Return mean and standard deviation of `Samples` in float64: of all entries (axis None), or by feature (axis 0).

    Blocks are merged by eq. 1.5 of Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance"; sums of
    small whole numbers are exact. Raise DataError if a sample is not finite, with its rows.
    """
    logger.info("%s: one pass over %d samples for their mean and deviation", samples.name, len(samples))
    offsets = block_offsets(len(samples), samples.nbytes // len(samples), samples.blocks)
    spans = list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
    count, mean, squares = 0, np.float64(0), np.float64(0)
    for (start, stop), x in ahead(lambda stopped: ((span, samples.read(*span)) for span in spans)):
        x = x.reshape(-1) if axis is None else x
        own, around = _of_block(x)
        if not np.all(np.isfinite(around)):
            message = f"{samples.name}, rows {start} to {stop - 1}: expected finite numbers, got inf or nan; "
            raise DataError(message + "fill them in or drop their rows: no mean is filled in")
        n = len(x)
        shift = own - mean
        mean = mean + shift * (n / (count + n))
        squares = squares + around + shift * shift * (count * n / (count + n))
        count += n
    std = np.sqrt(squares / count)
    return (float(mean), float(std)) if axis is None else (mean, std)


def _of_block(x: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return the mean of a block and the sum of squares around it."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 1 and x.ndim == 1:  # bytes are counted: no float of each is made
        value = np.arange(256, dtype=np.uint8).view(x.dtype).astype(np.float64)
        counts = np.bincount(x.view(np.uint8), minlength=256)
        mean = (counts * value).sum() / len(x)
        return mean, (counts * (value - mean) ** 2).sum()
    with np.errstate(all="ignore"):  # the caller raises if a number is not finite
        mean = x.mean(axis=0, dtype=np.float64)
        around = x - mean
        return mean, np.square(around, out=around).sum(axis=0)
