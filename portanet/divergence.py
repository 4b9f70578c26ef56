"""Where numbers stopped being finite: told once, when training has diverged.

The steps themselves look at nothing. What is told beyond the losses is found afterwards, by running again, watched, the
steps since the weights were last kept: seed, epoch and step name all random numbers, so they are the same steps.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portanet import rollback
from portanet.backends.namespace import namespace
from portanet.data.batches import Batches, Order
from portanet.errors import DivergedError, OutOfMemoryError
from portanet.layers import Layer, Parallel, Residual, Sequential
from portanet.optimizers import Optimizer
from portanet.optimizers.base import is_weight
from portanet.random import epoch_word
from portanet.ranks.exchange import Exchange
from portanet.typing import Array, Params

if TYPE_CHECKING:
    from portanet.meter import Meter
    from portanet.trainer import Trainer

HELP = (
    "a smaller learning rate, clip_norm=1, or inputs scaled to about 1 usually help; "
    "on_divergence='lower_lr' (--on-divergence lower_lr) lowers the rate by itself"
)
READ = 64  # steps that are watched between two looks


def is_good(trainer: Trainer, row: dict[str, float], train: Batches, shuffle: bool | Order, *, weights: bool) -> bool:
    """Return whether all is finite in an epoch's row and, with `weights`, in those behind it.

    It is False where a callback has gone back, so that the epoch is to be run again.

    Raises
    ------
    DivergedError
        If none has; the trainer is back at the last good weights then.
    """
    message = _in_words(trainer, row, weights=weights)
    if not message:
        return True
    if any(hook.on_divergence(trainer, message) for hook in trainer._hooks):
        trainer.epoch, trainer.position = int(row["epoch"]) - 1, 0
        trainer._keep()
        return False
    assert trainer._kept is not None
    began, good = "", trainer._kept
    if not callable(shuffle):  # an order that a function drew cannot be drawn again
        began, good = _trace(trainer, trainer._kept, int(row["epoch"]), train, shuffle)
    rollback.go_back(trainer, good)
    trainer.history.rows.append(row)
    trainer.history.stopped = "diverged"
    raise DivergedError("; ".join(part for part in (message, began, HELP) if part))


def _in_words(trainer: Trainer, row: dict[str, float], *, weights: bool) -> str:
    """Return what is not finite in an epoch's row or, with `weights`, in those behind it; empty if all is."""
    bad = [f"{name} is {row[name]}" for name in ("loss", "val_loss") if not math.isfinite(row.get(name, 0.0))]
    if not bad and (not weights or trainer.finite()):  # the last step's overflow is in no loss yet
        return ""
    found = [
        bad[0] if bad else "there are weights that are not finite",
        *_first_step(trainer.meter, 1 if trainer.ranks is None else trainer.ranks.size),
    ]
    name = _first_parameter(trainer)
    if name:
        found.append(f"the first weights that are not finite: {name}")
    rate = row.get("lr", trainer.optimizer.lr)
    return f"training diverged in epoch {row['epoch']:g} (learning rate {rate:g}): {'; '.join(found)}"


def _first_parameter(trainer: Trainer) -> str:
    """Return the first parameter, in the order of the layers, that is not finite: ``weight of Dense 2``; or nothing."""
    xp = trainer.backend.xp
    with trainer.backend.activate(trainer.dtype):
        for name in _in_order(trainer.params):
            if not bool(trainer.backend.to_numpy(xp.all(xp.isfinite(trainer.params[name])))):
                return _place(trainer.net, name)
    return ""


def _first_step(meter: Meter, parts: int) -> list[str]:
    """Return in which step, measured in so many parts, the loss was first not finite, and what it was before."""
    losses = meter.state()["columns"]
    values: Any = losses[0] if losses else []
    bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
    if bad is None:
        return []
    before = f", after {values[bad - 1]:.4g}" if bad else ""
    return [f"first in step {bad // parts + 1} of the epoch{before}"]


def _in_order(params: Params) -> list[str]:
    """Return the names of parameters in the order of the layers, weights first: a compiler sorts dicts by letters."""
    return sorted(params, key=lambda name: ([int(i) for i in name.split(".")[:-1]], not is_weight(name), name))


def _place(layer: Layer, name: str) -> str:
    """Return the flat name of a parameter in words: ``"2.weight"`` is the weight of Dense 2."""
    places = []
    while isinstance(layer, Sequential | Residual | Parallel):
        i, _, name = name.partition(".")
        layer = layer.layers[int(i)]
        places.append(f"{type(layer).__name__} {i}")
    return f"{name} of {' > '.join(places) or type(layer).__name__}"


@dataclass(frozen=True)
class Watched:
    """An optimizer that also returns the largest entries of each gradient, and of each parameter behind the step."""

    own: Optimizer

    def update(
        self, params: Params, grads: Params, state: dict[str, Any], lr: float, **options: Any
    ) -> tuple[Params, dict[str, Any]]:
        xp = namespace(next(iter(params.values())))
        names = _in_order(params)
        gradients = [_largest(grads[name]) for name in names]
        params, own = self.own.update(params, grads, state["own"], lr, **options)
        return params, {"own": own, "seen": xp.stack([*gradients, *(_largest(params[name]) for name in names)])}


def _largest(x: Array) -> Array:
    xp = namespace(x)
    return xp.max(xp.abs(x))  # nan where there is one


def _trace(
    trainer: Trainer, kept: dict[str, Any], epoch: int, train: Batches, shuffle: bool
) -> tuple[str, dict[str, Any]]:
    """Return in words where it began, until `epoch`, and the largest gradient before; and the last finite state.

    `kept` is what :func:`portanet.rollback.keep` returned last. The words are empty where the steps, run again, end
    otherwise, or do not fit into memory beside what is there.
    """
    replay = _Replay(trainer, kept, epoch, train, shuffle)
    with contextlib.suppress(OutOfMemoryError), trainer.backend.activate(trainer.dtype):
        return replay.run(), replay.good
    return "", replay.good


class _Replay:
    """Runs steps again on copies; the trainer is left as it is."""

    def __init__(self, trainer: Trainer, kept: dict[str, Any], epoch: int, train: Batches, shuffle: bool) -> None:
        self.trainer, self.kept, self.end, self.train, self.shuffle = trainer, kept, epoch, train, shuffle
        self.good = kept
        self._largest = (0.0, "")

    def run(self) -> str:
        trainer, kept, backend = self.trainer, self.kept, self.trainer.backend
        shadow = object.__new__(type(trainer))  # has the trainer's description, and weights of its own
        vars(shadow).update(vars(trainer))
        rollback.go_back(shadow, {**kept, "meter": None})
        shadow.schedule = copy.copy(kept["schedule"])
        watched: Any = Watched(trainer.optimizer)
        watching = dataclasses.replace(trainer.step, optimizer=watched)
        # Several processes run all steps of it together, and find the same: gradients and losses are everybody's.
        exchange = None if trainer.ranks is None else Exchange(watching, trainer.ranks, backend)
        step = exchange or backend.compile(watching, donate=(0, 2))
        asarray, names = backend.asarray, _in_order(shadow.params)
        seen = asarray([0.0] * (2 * len(names)), trainer.dtype)
        state: dict[str, Any] = {"own": shadow.opt_state, "seen": seen}
        while shadow.epoch < self.end and names:
            if not shadow.position:
                shadow.opt_state = state["own"]
                self.good = rollback.keep(shadow)
            counters = {"lr": 0.0, "seed": epoch_word(trainer.seed, shadow.epoch), "step": 0}
            waiting: list[tuple[int, Array, Array]] = []
            batches: Any = self.train.epoch(trainer.seed, shadow.epoch, shuffle=self.shuffle, skip=shadow.position)
            for i, part in enumerate(batches, shadow.position):
                if trainer.stopping if exchange is None else exchange.agreed[0]:
                    return ""
                counters["lr"], counters["step"] = shadow._rate(i, len(self.train)), i
                if exchange is not None:
                    exchange.wanted[0] = bool(trainer.stopping)
                    counters = {**counters, "part": part.part, "size": part.size}
                args = (part.x, part.y, part.weight, counters)
                shadow.params, shadow.buffers, state, loss, _ = step(shadow.params, shadow.buffers, state, *args)
                if exchange is not None:
                    loss = asarray(loss.sum(), trainer.dtype)  # of all processes' parts
                waiting.append((i, loss, state["seen"]))
                if len(waiting) == READ or i + 1 == len(self.train):
                    found = self._look(shadow, names, waiting)
                    if found:
                        return found
                    waiting.clear()
            shadow.epoch, shadow.position = shadow.epoch + 1, 0
            for row in trainer.history.rows:
                if row["epoch"] == shadow.epoch:
                    shadow.schedule.observe(row)
        return ""

    def _look(self, shadow: Trainer, names: list[str], waiting: list[tuple[int, Array, Array]]) -> str:
        """Return where it began if it did so in these steps, and note their largest gradient."""
        losses = shadow.backend.fetch([loss for _, loss, _ in waiting]).tolist()
        table = shadow.backend.fetch([seen for _, _, seen in waiting]).tolist()
        for (i, _, _), loss, row in zip(waiting, losses, table, strict=True):
            gradients, weights = row[: len(names)], row[len(names) :]
            where = f"step {i + 1} of epoch {shadow.epoch + 1}"
            bad = "the loss" if not math.isfinite(loss) else ""
            if not bad and not all(map(math.isfinite, gradients)):  # backward runs from the last layer to the first
                last = max(j for j, value in enumerate(gradients) if not math.isfinite(value))
                bad = f"the gradient of {_place(shadow.net, names[last])}"
            if not bad:
                value = max(gradients)
                if value > self._largest[0]:
                    self._largest = (value, f"{_place(shadow.net, names[gradients.index(value)])}, {where}")
                if not all(map(math.isfinite, weights)):
                    first = next(j for j, value in enumerate(weights) if not math.isfinite(value))
                    bad = f"the {_place(shadow.net, names[first])}"
            if bad:
                value, place = self._largest
                told = [f"it began with {bad} in {where}"] if bad != "the loss" else []
                told += [f"the largest gradient before it was {value:.3g} ({place})"] if place else []
                return "; ".join(told) or f"{where} is the very first"
        return ""
