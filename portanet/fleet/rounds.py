"""The fits of a fleet's members, run together epoch by epoch."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from portanet.errors import DivergedError
from portanet.fleet.stack import Stacks
from portanet.training.loop import Epoch, Ran
from portanet.training.trainer import Trainer

__all__ = ["rounds"]

logger = logging.getLogger("portanet")


def rounds(
    members: Sequence[Trainer], fits: Mapping[int, Generator[Epoch, Ran, None]], group: int | None
) -> Iterator[dict[str, float]]:
    """Run an epoch of all members at a time until no member is left; yield the mean of their rows after each.

    A member that diverges is left out from then on, with a warning. An error of a member is raised when the others have
    recorded their epoch.
    """
    stacks, begun, done = Stacks(group), members[0].epoch, 0
    ran: dict[int, Any] = dict.fromkeys(fits)
    while ran:
        ready: dict[int, Epoch] = {}
        errors: list[Exception] = []
        before = [len(member.history) for member in members]
        for i, found in ran.items():
            try:
                ready[i] = fits[i].throw(found) if isinstance(found, BaseException) else fits[i].send(found)
            except StopIteration:
                pass
            except DivergedError:
                epoch = members[i].history[-1]["epoch"]
                logger.warning("member %d of the fleet diverged in epoch %d; the others continue", i, epoch)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        seen = [(member.history, n) for member, n in zip(members, before, strict=True)]
        rows = [own[-1] for own, n in seen if len(own) > n and own.stopped != "diverged"]
        if rows:
            yield {**_mean(rows), "epoch": begun + done}
        ran = dict(zip(ready, stacks.run(list(ready.values())), strict=True))
        done += 1


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each column over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
