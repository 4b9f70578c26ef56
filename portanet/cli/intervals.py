"""Intervals of predicted numbers: how far off a network was on the validation samples, kept in the run's folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portanet.checks import Number, check
from portanet.cli.run_folder import RESIDUALS, write_json
from portanet.errors import ConfigError, DataError
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read
from portanet.losses import GaussianLikelihood, Quantile
from portanet.training.model import Model

_MOST = 20_000  # residuals of an output that are kept: more say no more about how far off the network is
_LARGEST = 64 << 20  # bytes of the file

Numbers = Callable[[Any], list[list[float]]]
"""What predicts some numbers for each of some samples."""


def keep(folder: Path, net: Model, x: Any, y: Any) -> None:
    """Write how far off a regression is on validation samples, |y - prediction| for each output."""
    if isinstance(net.loss, Quantile | GaussianLikelihood):
        return
    off = abs(net.predict(x).astype("float64") - y.astype("float64").reshape(len(y), -1))[:: len(y) // _MOST + 1]
    off.sort(axis=0)
    write_json(folder / RESIDUALS, {"residuals": [[float(f"{value:.9g}") for value in own] for own in off.T.tolist()]})


def widths(run: str, which: str, net: Model, share: float) -> list[float]:
    """Return for each output how far from the prediction such a share of the targets lies at most.

    Of n residuals the ⌈(n + 1) share⌉th: a new sample of the same kind lies within it with that probability or more,
    whatever the distribution (split conformal prediction).

    Source: Vovk, Gammerman & Shafer 2005; Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, JASA 113, sec. 2.2

    Raises
    ------
    ConfigError
        If the network predicts no numbers, other weights than the best are asked for, or nothing was validated.
    DataError
        If there are too few validation samples for such a share, or the file is damaged.
    """
    if net.classes or net.loss.output is not None or net.places:
        message = "--interval: expected a network that predicts numbers; this one was trained on classes: leave it out"
        raise ConfigError(message)
    if isinstance(net.loss, Quantile | GaussianLikelihood):
        what = "quantiles, which are an interval" if isinstance(net.loss, Quantile) else "deviations"
        message = f"--interval: this network was trained to predict {what}: leave it out"
        raise ConfigError(message)
    if which != "best":
        message = "--interval: it is known for the best weights alone; leave out --which last"
        raise ConfigError(message)
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    path = own_file(folder, RESIDUALS)
    if not path.is_file():
        message = (
            f"--interval: expected {path}, found none; give the folder of a run on numbers that was validated: "
            "portanet train --val-fraction 0.2"
        )
        raise ConfigError(message)
    try:
        found = parsed(read(path, _LARGEST, follow=False).decode())["residuals"]
        for value in (value for own in found for value in own):
            check("a residual", value, Number(0))
        if len(found) != net.outputs or any(own != sorted(own) for own in found):
            raise ValueError(len(found))
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError, ConfigError) as error:
        message = f"{path}: expected sorted residuals of {net.outputs} outputs ({error}); train the network again"
        raise DataError(message) from None
    place = math.ceil((len(found[0]) + 1) * share)
    if place > len(found[0]):
        message = (
            f"--interval {share:g}: {len(found[0])} validation samples allow shares up to "
            f"{len(found[0]) / (len(found[0]) + 1):.4g}; take a smaller one, or train with a larger --val-fraction"
        )
        raise DataError(message)
    return [own[place - 1] for own in found]


def with_bounds(
    header: list[str], numbers: Numbers, widths: list[float], target_range: tuple[float, float]
) -> tuple[list[str], Numbers]:
    """Return names and predictions with the lower and the upper bound of each number after it."""
    low, high = target_range
    names = [name for own in header for name in (own, f"{own}_lower", f"{own}_upper")]

    def bounded(x: Any) -> list[list[float]]:
        pairs = ((v, w) for own in numbers(x) for v, w in zip(own, widths, strict=True))
        cells = [(v, max(v - w, low), min(v + w, high)) for v, w in pairs]
        size = len(widths)
        return [[number for cell in cells[i : i + size] for number in cell] for i in range(0, len(cells), size)]

    return names, bounded
