"""What the commands share that train many networks at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from portanet.cli.train_options import Options

if TYPE_CHECKING:
    from portanet.data import Dataset, Plan
    from portanet.fleet import Fleet
    from portanet.losses import Loss


def fleet(
    each: Sequence[Options],
    dataset: Dataset,
    net: Callable[[Options, Dataset, Loss, int], Any] | None = None,
    plan: Plan | None = None,
) -> Fleet:
    """Return the fleet that options ask for, one member each; they may differ in their rates and decays alone.

    `net` returns a member's network from the options, the data, the loss and its number; by default all are the same,
    for the columns of `plan`.
    """
    from portanet.cli import network, schedule, training
    from portanet.fleet import Fleet

    options, optimizers = each[0], [training.optimizer(one) for one in each]
    loss = network.choose_loss(options, dataset)
    return Fleet(
        network.build(options, dataset, loss, plan) if net is None else lambda i: net(options, dataset, loss, i),
        len(each),
        loss,
        optimizers[0],
        network.metrics(dataset),
        seeds=options.seed,
        lr=[one.lr for one in optimizers],
        weight_decay=[one.weight_decay for one in optimizers],
        schedule=schedule.parse(options.schedule),
        classes=dataset.classes,
        **{name: getattr(options, name) for name in ("backend", "dtype", "l1", "l2")},
    )


def batch_size(asked: int | str, n: int) -> int | None:
    """Return the samples a step, for `n` of them."""
    from portanet.training.batch_size import usual_batch_size

    return None if asked == "full" else usual_batch_size(n) if asked == "auto" else int(asked)
