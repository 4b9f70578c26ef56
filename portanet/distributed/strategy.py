"""Data parallelism: each process computes its rows of every batch, and the gradients are summed (all-reduce)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from portanet.data.batching.batches import Batches
from portanet.distributed.all_reduce import Exchange
from portanet.distributed.ranks import Ranks
from portanet.distributed.shards import Shards, StreamedShards
from portanet.engine.engine import Engine
from portanet.engine.state import TrainState
from portanet.engine.strategy import Flags, SingleProcess, Strategy, TakeStep
from portanet.errors import ConfigError

__all__ = ["DataParallel", "strategy_of"]

T = TypeVar("T")


class DataParallel:
    """Training of one network by the processes that mpiexec started; see :class:`portanet.Ranks`."""

    one_by_one = True

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.size, self.writes = ranks, ranks.size, ranks.rank == 0
        self._exchange: Exchange | None = None

    def step(self, engine: Engine) -> TakeStep:
        self._exchange = exchange = Exchange(engine.function, self.ranks, engine.backend)

        def take(state: TrainState, batch: Any, counters: dict[str, Any]) -> TrainState:
            params, buffers, opt_state, loss, measured = exchange(
                *(state.params, state.buffers, state.opt_state, batch.x, batch.y, batch.weight),
                {**counters, "part": batch.part, "size": batch.size},
            )
            state.meter.add_many(exchange.sizes, (loss, *measured), 1)
            return state.stepped(params, buffers, opt_state)

        return take

    def batches(self, *args: Any) -> Batches:
        return Shards(self.ranks, *args)

    def streamed(self, *args: Any) -> Batches:
        return StreamedShards(self.ranks, *args)

    def rows(self, n: int) -> tuple[int, int]:
        # Every process evaluates all rows if there are fewer rows than processes.
        return self.ranks.rows(n) if n >= self.size else (0, n)

    def run(self, epoch: Any) -> Any:
        return epoch.run()

    def agree(self, stop: bool, look: bool) -> Flags:
        # The flags set before the last step came with its gradients; these go with those of the next step.
        assert self._exchange is not None
        agreed, self._exchange.wanted = Flags(*self._exchange.agreed), [stop, look]
        return agreed

    def gather(self, value: T) -> list[T]:
        return self.ranks.gather(value)

    def broadcast(self, value: Callable[[], T]) -> T:
        return self.ranks.share(value() if self.writes else None)  # type: ignore[return-value]  # rank 0's

    def guard(self) -> contextlib.AbstractContextManager[Any]:
        return self.ranks.together()

    def __deepcopy__(self, memo: Any) -> DataParallel:
        return DataParallel(self.ranks)  # processes cannot be copied


def strategy_of(ranks: Ranks | str | None, strategy: Strategy | None) -> tuple[Ranks | None, Strategy]:
    """Return the ranks and the strategy of a trainer from its two arguments.

    Raises
    ------
    ConfigError
        If `ranks` is invalid, mpi4py is missing, or both are given.
    """
    if strategy is not None:
        if ranks is not None:
            message = "Trainer: ranks and strategy were both given; leave one of them out"
            raise ConfigError(message)
        return getattr(strategy, "ranks", None), strategy
    if ranks is None:
        return None, SingleProcess()
    if not isinstance(ranks, Ranks):
        if ranks != "mpi":
            message = f"Trainer: ranks must be None, 'mpi' or a portanet.Ranks, got {ranks!r:.60}"
            raise ConfigError(message)
        ranks = Ranks()
    return ranks, DataParallel(ranks)
