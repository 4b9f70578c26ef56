"""The command line under mpiexec: rank 0 speaks and writes, the others compute."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from portanet.distributed import launch
from portanet.errors import ConfigError

if TYPE_CHECKING:
    from portanet.distributed.ranks import Ranks

T = TypeVar("T")


@contextlib.contextmanager
def begun() -> Iterator[None]:
    """Give this process its share of the machine, before NumPy is loaded, and let rank 0 alone be heard."""
    launch.divide_threads()
    launch.divide_gpus()
    with contextlib.ExitStack() as silent:
        if launch.rank() > 0:
            nowhere = silent.enter_context(open(os.devnull, "w", encoding="utf-8"))
            silent.enter_context(contextlib.redirect_stdout(nowhere))
            silent.enter_context(contextlib.redirect_stderr(nowhere))
        yield


@contextlib.contextmanager
def joined(batch_norm: str) -> Iterator[Ranks | None]:
    """Yield the processes that mpiexec started with this one; None where there is no other.

    An error in the block ends them all.
    """
    if launch.size() < 2:
        yield None
        return
    from portanet.distributed.ranks import Ranks

    ranks = Ranks(batch_norm=batch_norm)
    if ranks.size == 1:
        why = f"mpiexec has started {launch.size()} processes, but mpi4py runs on another MPI library and sees one"
        fix = "take its own mpiexec, or rebuild it: pip install --force-reinstall --no-binary mpi4py mpi4py"
        raise ConfigError(f"{why}; " + fix)
    with ranks.together():
        yield ranks


def refuse_several(command: str) -> None:
    """Raise ConfigError under mpiexec for a command that knows nothing of other processes: each would do all of it."""
    if launch.size() > 1:
        message = f"portanet {command} runs in one process, got {launch.size()} by mpiexec; start it without mpiexec"
        raise ConfigError(message)


def on_first(ranks: Ranks | None, function: Callable[[], T]) -> T:
    """Return what `function` returns, called by rank 0 alone."""
    return function() if ranks is None else ranks.on_first(function)
