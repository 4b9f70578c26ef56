"""The start of a fit: where it continues from the fit before it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from portanet import backends
from portanet.callbacks.base import Callback
from portanet.checks import check_count
from portanet.data.batching.batches import Batches, Order
from portanet.schedules import depends_on_end
from portanet.training.fit import Fit
from portanet.training.fit_info import FitInfo

__all__ = ["begun"]

logger = logging.getLogger("portanet")

RESTARTED = (
    "fit: restarting epoch %d (%d steps were done): a custom shuffle function cannot be replayed; use shuffle=True to "
    "resume within an epoch"
)

STRETCHED = (
    "fit: the schedule %s has come to its end in epoch %d, and comes to it again in epoch %d; if the calls of fit are "
    "parts of one training, give each of them total_epochs="
)


def begun(
    trainer: Any,
    train: Batches,
    validation: Batches | None,
    epochs: int,
    shuffle: bool | Order,
    hooks: Sequence[Callback],
    total_epochs: int | None,
) -> Fit:
    """Return a fit that is ready to run; see :meth:`portanet.Trainer.begin`.

    A fit that was stopped within an epoch goes on there if this one is to the same data, by the same batches.
    """
    epoch, fresh = trainer.epoch, not trainer.resumed
    end = epoch + epochs
    if total_epochs is not None:
        check_count("fit: total_epochs", total_epochs, end)
    elif epoch and fresh and not trainer.position and depends_on_end(trainer.schedule, epoch):
        logger.warning(STRETCHED, type(trainer.schedule).__name__, epoch, end)
    before, order = trainer.fit_info, "a function's" if callable(shuffle) else shuffle
    trainer.fit_info = FitInfo(train.batch_size, order, train.n, train)
    another = False
    if trainer.position and fresh:
        another = before is None or before.described() != trainer.fit_info.described()
    if trainer.position and callable(shuffle) and not another:
        logger.warning(RESTARTED, epoch + 1, trainer.position)
    if callable(shuffle) or another:
        trainer.position = 0  # another fit than the one that was stopped within an epoch begins its own
    trainer.stopping = trainer.finished = ""
    trainer.callbacks, trainer.last_epoch = hooks, end
    backends.announce(trainer.asked)  # only now: all that can be checked has been
    return Fit(trainer, train, validation, shuffle, hooks, total_epochs or end)
