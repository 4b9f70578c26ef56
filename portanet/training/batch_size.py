"""How much memory a step or a prediction takes, found by trying it on the host with a few samples of zeros."""

from __future__ import annotations

import contextlib
import math
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from portanet import backends
from portanet.backends.base import dtype_name
from portanet.data.batching.batches import Batches
from portanet.errors import OutOfMemoryError
from portanet.layers.tree import input_shapes
from portanet.typing import Array, Params

__all__ = [
    "Need",
    "auto_batch_size",
    "by_fewer",
    "explained",
    "of_a_prediction",
    "of_a_step",
    "rows_at_a_time",
    "usual_batch_size",
]

FEW, MANY = 4, 256  # samples that are tried, until what they take outweighs the parameters' share
ROOM = 64 << 20  # bytes that a trial may take
SHARE = 2  # no more than one part in so many of the free memory is taken at a time
LARGE = 1 << 30  # bytes of a prediction at a time: beyond that nothing gets faster

STEPS, LEAST, MOST = 64, 16, 256  # of batch_size="auto"


T = TypeVar("T")


@dataclass(frozen=True)
class Need:
    """Bytes that a call takes beyond what is there: so many in any case, and so many a sample."""

    fixed: int
    sample: int

    def fits(self, free: int) -> int:
        """Return how many samples fit into so many bytes: a power of two, or 0."""
        most = (free - self.fixed) // max(self.sample, 1)
        return 1 << (most.bit_length() - 1) if most > 0 else 0


def usual_batch_size(n: int) -> int:
    """Return what ``batch_size="auto"`` is where memory does not matter: n / 64 as a power of two, from 16 to 256."""
    most = max(n // STEPS, LEAST)
    return int(min(1 << (most.bit_length() - 1), MOST, n))


def auto_batch_size(trainer: Any, x: Array, y: Array) -> int:
    """Return the batch size for samples `x` and checked targets `y`: the usual one, or less where memory is scarce."""
    size = usual_batch_size(int(x.shape[0]))
    need, memory = of_a_step(trainer, x, y), trainer.backend.memory()
    if need is None or memory is None:
        return size
    return max(1, min(size, need.fits(memory.free // SHARE)))


def rows_at_a_time(model: Any, n: int, most: int) -> int:
    """Return how many of `n` samples are to be predicted at a time, at most `most`, so that they fit."""
    if n <= FEW:  # a row at a time is to be predicted at once
        return n
    if _outputs(model) * min(n, most) <= LARGE >> 8:  # so small that a trial would cost more than it could save
        return most
    need = of_a_prediction(model)
    if need is None or need.fixed + need.sample * min(n, most) <= LARGE >> 4:
        return most
    memory = model.backend.memory()
    free = LARGE if memory is None else min(LARGE, memory.free // (2 * SHARE))
    return max(1, min(most, need.fits(free)))


def _outputs(model: Any) -> int:
    """Return the bytes of all layers' outputs for a sample; what they take on the way may be some times as much."""
    bits = int(model.dtype.removeprefix("float"))
    _, *between = input_shapes(model.body, model.input_shape or ())
    return bits // 8 * sum(map(math.prod, [*between, (model.outputs,)]))


def by_fewer(rows: int, run: Callable[[int], T]) -> T:
    """Return what `run` returns for so many rows at a time, or for fewer where these do not fit after all."""
    while True:
        try:
            return run(rows)
        except OutOfMemoryError as error:
            if rows == 1:
                raise
            _release(error)
        rows = max(1, rows // 4)


def of_a_prediction(model: Any) -> Need | None:
    """Return what the network's forward pass takes; None where it does not run on the host. Tried once a model."""
    if model.need is None and model.input_shape is not None:
        shape = model.input_shape

        def run(n: int, everything: Params, xp: Any) -> None:
            model.body.forward(everything, xp.zeros((n, *shape), dtype=getattr(xp, model.dtype)))

        model.need = _measured(model, run)
    need: Need | None = model.need
    return need


def of_a_step(trainer: Any, x: Array, y: Array) -> Need | None:
    """Return what a step takes, beside parameters and the optimizer's state; None where it does not run on the host."""

    def run(n: int, everything: Params, xp: Any) -> None:
        params = {name: everything[name] for name in trainer.params}
        buffers = {name: everything[name] for name in trainer.buffers}
        state = {
            slot: {name: everything[name] for name in own} if isinstance(own, dict) else 0
            for slot, own in trainer.opt_state.items()
        }
        kinds = [dtype_name(a) if hasattr(a, "dtype") else trainer.dtype for a in (x, y)]
        xs = xp.zeros((n, *x.shape[1:]), dtype=getattr(xp, kinds[0]))
        ys = xp.zeros((n, *y.shape[1:]), dtype=getattr(xp, kinds[1]))
        trainer.step(params, buffers, state, xs, ys, None, {"lr": 0.0, "seed": 0, "step": 0})

    return _measured(trainer, run)


def _measured(model: Any, run: Callable[[int, Params, Any], None]) -> Need | None:
    """Return what a function of a number of samples allocates at its peak."""
    xp = backends.get("numpy").xp
    kind = getattr(xp, model.dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zeros may well divide by zero
            everything = {n: xp.zeros(a.shape, dtype=kind) for n, a in {**model.params, **model.buffers}.items()}
            run(FEW, everything, xp)  # what is made once is made
            n, before, peak = FEW, 0, _peak(partial(run, FEW, everything, xp))
            while peak < 1.7 * before or not before:  # twice the samples, not yet nearly twice the memory
                if n == MANY or peak > ROOM:
                    break
                n, before = 2 * n, peak
                peak = _peak(partial(run, n, everything, xp))
    except Exception:  # a layer of the user's own may be written for one library alone; then nobody knows
        return None
    sample = max(2 * (peak - before) // n if before else peak // n, 1)
    return Need(max(peak - n * sample, 0), sample)


def _peak(run: Callable[[], None]) -> int:
    """Return how many bytes were allocated at the most while `run` ran; NumPy tells its arrays to tracemalloc."""
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def explained(error: OutOfMemoryError, trainer: Any, train: Batches) -> OutOfMemoryError:
    """Return the error with the batch size that would fit, where that can be told."""
    _release(error)
    need = memory = None
    with contextlib.suppress(OutOfMemoryError):
        need, memory = of_a_step(trainer, train.x, train.y), trainer.backend.memory()
    if need is None or memory is None:
        return error
    size, fits = min(train.batch_size, train.n), need.fits(memory.free // SHARE)
    told = f"a step on {size} samples takes about {_gib(need.fixed + size * need.sample)}"
    if fits < 1:
        told += ", and not even one sample fits: take fewer units"
    elif fits < size:
        told += f"; batch_size={fits} would fit, and batch_size='auto' finds one"
    return OutOfMemoryError(f"{error}; {told}")


def _release(error: BaseException | None) -> None:
    """Let go of the arrays that the frames of an error hold."""
    import traceback

    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**27 else f"{size / 2**20:.1f} MiB"
