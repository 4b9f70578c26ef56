"""The processes of a distributed training, and the values that they exchange besides gradients."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
import time
import traceback
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from portanet.checks import check_flag
from portanet.distributed import launch
from portanet.distributed.watchdog import Watch
from portanet.errors import ConfigError, need

__all__ = ["Ranks"]

T = TypeVar("T")

PATIENCE = 2.0  # seconds within which an error must occur in every process to count as a common one


class Ranks:
    """The processes started by mpiexec, for ``Trainer(ranks=...)``; ``ranks="mpi"`` is short for this.

    Every process creates the same trainer and calls fit with the same data and arguments. Batches are global: they have
    the rows, the shuffles and the dropout masks of a single process, and each process computes its part of the rows.
    The result is therefore the same, up to rounding, for any number of processes.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        The communicator; all processes (``MPI.COMM_WORLD``) by default.
    batch_norm : "global" or "local"
        Whether BatchNorm computes mean and variance over the whole batch, as a single process would, with two small
        sums in its forward pass and one in its backward pass; or over the rows of each process alone, which needs no
        sums but is a different training. The running statistics are then the mean over the processes.
    gpu : bool
        Whether CuPy's gradients may be summed on the GPUs (NCCL, CUDA-aware MPI). Never run on a GPU so far; by default
        they are summed on the host.

    Attributes
    ----------
    rank, size : int
        The number of this process (only 0 writes files), and the number of processes.
    seconds : float
        Time spent so far in sums of gradients and of BatchNorm's statistics.

    Raises
    ------
    ConfigError
        If mpi4py is not installed.
    """

    def __init__(self, comm: Any = None, *, batch_norm: str = "global", gpu: bool = False) -> None:
        if batch_norm not in ("global", "local"):
            message = f"Ranks: batch_norm must be 'global' or 'local', got {batch_norm!r}"
            raise ConfigError(message)
        check_flag("Ranks: gpu", gpu)
        mpi = _mpi()
        self.mpi, self.batch_norm, self.gpu = mpi, batch_norm, gpu
        self.comm = (mpi.COMM_WORLD if comm is None else comm).Dup()  # separate from the messages of other libraries
        self._errors = self.comm.Dup()
        self.rank, self.size = int(self.comm.rank), int(self.comm.size)
        self.seconds = 0.0
        self.watch = Watch(self.comm.allgather((socket.gethostname(), os.getpid())), self.rank)
        _limit_threads()

    def rows(self, n: int) -> tuple[int, int]:
        """Return the start and the end of this process's part of `n` rows."""
        return n * self.rank // self.size, n * (self.rank + 1) // self.size

    def add_up(self, array: Any) -> None:
        """Replace a contiguous host array by its sum over the processes (all-reduce)."""
        with self.timed():
            self.comm.Allreduce(self.mpi.IN_PLACE, array, op=self.mpi.SUM)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the block's time as spent in sums."""
        began = time.perf_counter()
        with self.watch.waiting():
            yield
        self.seconds += time.perf_counter() - began

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process."""
        return any(self.gather(flag))

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """Return for each flag whether it is true in any process: one small sum of host numbers."""
        found = array("i", map(bool, flags))
        with self.watch.waiting():
            self.comm.Allreduce(self.mpi.IN_PLACE, found, op=self.mpi.MAX)
        return [bool(flag) for flag in found]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in rank order (all-gather)."""
        with self.watch.waiting():
            return list(self.comm.allgather(value))

    def share(self, value: T) -> T:
        """Return rank 0's value (broadcast)."""
        with self.watch.waiting():
            found: T = self.comm.bcast(value if self.rank == 0 else None)
            return found

    def on_first(self, function: Callable[[], T]) -> T:
        """Call `function` on rank 0 only; return its result, or raise its exception, in every process."""
        answer: tuple[Any, Any] = (None, None)
        if self.rank == 0:
            try:
                answer = function(), None
            except Exception as error:
                answer = None, error
        value, raised = self.share(answer)
        if raised is not None:
            raise raised
        return cast(T, value)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """End all processes if the block raises: re-raise if it does so on every rank; if on one only, abort all ranks.

        An exception cannot reach ranks that are waiting for a sum that this process will never join.
        """
        with self.watch:
            try:
                yield
            except BaseException as error:
                if not self._everybody(PATIENCE):
                    self.abort(error)
                raise
            self._everybody(math.inf)  # otherwise a rank that ends while another still writes would be reported as dead

    def _everybody(self, seconds: float) -> bool:
        """Return whether all processes arrive here within `seconds` (a barrier with a timeout)."""
        request, until = self._errors.Ibarrier(), time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True

    def abort(self, error: BaseException) -> None:
        """Print an error that only this process has, and abort all processes with its exit code."""
        code: Any = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 1)
        if isinstance(error, Exception):
            text = f"Error: {error}" if code > 1 else "".join(traceback.format_exception(error)).rstrip()
            print(f"portanet: rank {self.rank} of {self.size}: {text}", file=sys.__stderr__, flush=True)
        code = code if isinstance(error, Exception | SystemExit) and isinstance(code, int) else 130
        self.comm.Abort(code)
        os._exit(code)  # if the launcher does not end the processes

    def __deepcopy__(self, memo: Any) -> Ranks:
        return self  # processes cannot be copied

    def __reduce__(self) -> tuple[Any, ...]:
        message = "a trainer that several processes share cannot be pickled; save it, or its training, to a file"
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<rank {self.rank} of {self.size}>"


def _mpi() -> Any:
    try:
        return need("mpi4py.MPI", "mpi", "training by several processes")
    except RuntimeError as error:  # mpi4py without an MPI library
        message = f"mpi4py finds no MPI library ({str(error).splitlines()[0]}); install one: pip install mpich"
        raise ConfigError(message) from None


def _limit_threads() -> None:
    """Limit the threads of a loaded BLAS to this rank's share of the processors, unless the user has set them."""
    if launch.size() < 2 or launch.chosen_by_user():
        return
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(launch.threads(), user_api="blas")
