"""Find where training first produced NaN or inf."""

from __future__ import annotations

import math
from typing import Any

from portanet.callbacks.base import TrainerView
from portanet.engine.meter import Meter
from portanet.layers.tree import in_order, place
from portanet.optimizers.base import is_weight
from portanet.typing import Params

HELP = (
    "a smaller learning rate, clip_norm=1, or inputs scaled to about 1 usually help; "
    "on_divergence='lower_lr' (--on-divergence lower_lr) lowers the rate by itself"
)


def in_words(trainer: TrainerView, row: dict[str, float], meter: Meter, params: Params, *, finite: bool) -> str:
    """Return what is not finite in an epoch's row or in the weights after it; empty if everything is.

    Parameters
    ----------
    meter : Meter
        Of that epoch.
    params : dict
        The parameters after that epoch, as far as they are known.
    finite : bool
        Whether all weights are known to be finite: the last step's overflow is in no loss yet.
    """
    bad = [f"{name} is {row[name]}" for name in ("loss", "val_loss") if not math.isfinite(row.get(name, 0.0))]
    if not bad and finite:
        return ""
    found = [
        bad[0] if bad else "there are weights that are not finite",
        *_first_step(meter, trainer.strategy.size),
        *_first_parameter(trainer, params),
    ]
    rate = row.get("lr", trainer.optimizer.lr)
    return f"training diverged in epoch {row['epoch']:g} (learning rate {rate:g}): {'; '.join(found)}"


def _first_parameter(trainer: TrainerView, params: Params) -> list[str]:
    """Return the first parameter, in the order of the layers, that is not finite: ``weight of Dense 2``."""
    xp, backend = trainer.backend.xp, trainer.backend
    with backend.activate(trainer.dtype):
        for name in in_order(trainer.net, sorted(params, key=lambda n: (not is_weight(n), n))):
            if not bool(backend.to_numpy(xp.all(xp.isfinite(params[name])))):
                return [f"the first weights that are not finite: {place(trainer.net, name)}"]
    return []


def _first_step(meter: Meter, parts: int) -> list[str]:
    """Return in which step, measured in so many parts, the loss was first not finite, and what it was before."""
    losses = meter.state()["columns"]
    values: Any = losses[0] if losses else []
    bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
    if bad is None:
        return []
    before = f", after {values[bad - 1]:.4g}" if bad else ""
    return [f"first in step {bad // parts + 1} of the epoch{before}"]
