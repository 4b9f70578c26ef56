"""Where numbers stopped being finite: told once, when training has diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from portanet.layers import Layer, Parallel, Residual, Sequential

if TYPE_CHECKING:
    from portanet.meter import Meter
    from portanet.trainer import Trainer

HELP = "a smaller learning rate, clip_norm=1, or inputs scaled to about 1 usually help"


def in_words(trainer: Trainer, row: dict[str, float], *, weights: bool = True) -> str:
    """Return what is not finite in an epoch's row or, with `weights`, in those behind it; empty if all is."""
    bad = [f"{name} is {row[name]}" for name in ("loss", "val_loss") if not math.isfinite(row.get(name, 0.0))]
    if not bad and (not weights or trainer.finite()):  # the last step's overflow is in no loss yet
        return ""
    found = [bad[0] if bad else "there are weights that are not finite", *_first_step(trainer.meter)]
    name = first_parameter(trainer)
    if name:
        found.append(f"the first weights that are not finite: {name}")
    rate = row.get("lr", trainer.optimizer.lr)
    return f"training diverged in epoch {row['epoch']:g} (learning rate {rate:g}): {'; '.join(found)}; {HELP}"


def first_parameter(trainer: Trainer) -> str:
    """Return the first parameter, in the order of the layers, that is not finite: ``weight of Dense 2``; or nothing."""
    xp = trainer.backend.xp
    with trainer.backend.activate(trainer.dtype):
        for name, p in trainer.params.items():
            if not bool(trainer.backend.to_numpy(xp.all(xp.isfinite(p)))):
                return _place(trainer.net, name)
    return ""


def _first_step(meter: Meter) -> list[str]:
    """Return in which step the loss was first not finite, and what it was before."""
    losses = meter.state()["columns"]
    values: Any = losses[0] if losses else []
    bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
    if bad is None:
        return []
    before = f", after {values[bad - 1]:.4g}" if bad else ""
    return [f"first in step {bad + 1} of the epoch{before}"]


def _place(layer: Layer, name: str) -> str:
    """Return the flat name of a parameter in words: ``"2.weight"`` is the weight of Dense 2."""
    places = []
    while isinstance(layer, Sequential | Residual | Parallel):
        i, _, name = name.partition(".")
        layer = layer.layers[int(i)]
        places.append(f"{type(layer).__name__} {i}")
    return f"{name} of {' > '.join(places) or type(layer).__name__}"
