"""What the commands share that train many networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portanet.cli.train_options import Options

if TYPE_CHECKING:
    from portanet.data import Dataset, Plan
    from portanet.fleet import Fleet


def fleet(
    each: Sequence[Options],
    dataset: Dataset,
    plan: Plan | None = None,
    parts: Sequence[Dataset] | None = None,
) -> Fleet:
    """Return the fleet that options ask for, one member each; they may differ in their rates and decays alone.

    Member i is for the training part `parts[i]`, by default for the whole of the data; its weights are drawn.
    """
    from portanet.cli import network, recipe, schedule, training
    from portanet.fleet import Fleet

    options = each[0]
    loss = network.choose_loss(options, dataset)
    made = [network.designed(options, part, loss, plan) for part in parts or [dataset]]
    optimizers = [training.optimizer(one, made[0][1]) for one in each]
    found = Fleet(
        made[0][0] if parts is None else lambda i: made[i][0],
        len(each),
        loss,
        optimizers[0],
        network.metrics(dataset, loss),
        seeds=options.seed,
        lr=[one.lr for one in optimizers],
        weight_decay=[one.weight_decay for one in optimizers],
        schedule=schedule.parse(options.schedule),
        classes=dataset.classes or (dataset.outputs if dataset.labels else ()),
        **{name: getattr(options, name) for name in ("backend", "dtype", "l1", "l2")},
    )
    for i, member in enumerate(found):
        recipe.start(made[i % len(made)][1], member, tuple(dataset.x.shape[1:]))
    return found


def batch_size(asked: int | str, n: int) -> int | None:
    """Return the samples a step, for `n` of them."""
    from portanet.training.batch_size import usual_batch_size

    return None if asked == "full" else usual_batch_size(n) if asked == "auto" else int(asked)
