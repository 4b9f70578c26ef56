"""The folder of a run. It is never written over, and each file in it is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import Number, check
from portanet.cli.output import as_json
from portanet.errors import ConfigError, DataError
from portanet.files.atomic import sweep, write
from portanet.files.description import check_shapes, differences, read
from portanet.files.plain import parsed
from portanet.files.regular import own_file
from portanet.files.schema import LIST, OBJECT, TEXT, check_numbers, check_values
from portanet.typing import Params

logger = logging.getLogger("portanet")

BEST, LAST = "best.safetensors", "last.safetensors"
CONFIG, METRICS, ENVIRONMENT, REPORT = "config.toml", "metrics.jsonl", "environment.json", "report.json"
COLUMNS, RESIDUALS = "columns.json", "residuals.json"

CHECKPOINT = "checkpoint/training.safetensors"

_LOCK = ".lock"
_PICTURES = tuple(f"plots/{name}.png" for name in ("curves", "confusion", "worst", "decision_boundary"))
_NAMES = (_LOCK, CONFIG, METRICS, ENVIRONMENT, REPORT, COLUMNS, RESIDUALS, BEST, LAST, CHECKPOINT, *_PICTURES)
"""All that is read or written in a run's folder."""

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}  # of a network's file system


def refuse_taken(out: str | None) -> None:
    """Tell a folder that holds something already; before any work is done."""
    if out is None or not Path(out).exists():
        return
    if not Path(out).is_dir() or any(path.name != _LOCK for path in Path(out).iterdir()):
        message = f"--out {out}: it is there already, and runs are never written over; name a new folder, or remove it"
        raise ConfigError(message)


def create(out: str | None, name: str) -> Path:
    """Make a run's folder: `out`, or the first of ``runs/NAME``, ``runs/NAME-2``, … that is free."""
    refuse_taken(out)
    stem = Path(name).resolve().name.split(".")[0] or "run"
    try:
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            return Path(out)
        Path("runs").mkdir(exist_ok=True)
        for i in itertools.count(1):
            path = Path("runs") / (stem if i == 1 else f"{stem}-{i}")
            with contextlib.suppress(FileExistsError):  # another run may take it in this very moment
                path.mkdir()
                break
        return path
    except OSError as error:
        message = f"the run folder {error.filename or out} cannot be made ({error.strerror}); name another by --out"
        raise ConfigError(message) from None


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the same folder, as long as this one lives and the block runs.

    What a process that was killed left half written there is removed.

    Raises
    ------
    ConfigError
        If another one does.
    DataError
        If the folder cannot be written to, or one of the run's names in it is a link, a pipe or the like.
    """
    from filelock import FileLock, Timeout

    for name in _NAMES:
        own_file(folder, name)

    lock = FileLock(folder / _LOCK, timeout=0, fallback_to_soft=False)  # neither truncates nor follows links
    try:
        lock.acquire()
    except Timeout:
        message = f"{folder}: another process is training in it; wait for it, or train in a folder of its own"
        raise ConfigError(message) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            message = f"{folder}: the run folder cannot be written to ({error.strerror}); let it be written to"
            raise DataError(message) from None
        logger.warning("%s: it cannot be locked (%s); let no other process train in it", folder, error.strerror)
    try:
        for place in (folder, (folder / CHECKPOINT).parent):
            sweep(place)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def begun(folder: Path) -> Iterator[None]:
    """Remove what the block has written of a run, and the folder, if it ends in an error: there is no run then."""
    try:
        (folder / CHECKPOINT).parent.mkdir()
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):
            for name in (CONFIG, COLUMNS, ENVIRONMENT, _LOCK):
                (folder / name).unlink(missing_ok=True)
            (folder / CHECKPOINT).parent.rmdir()
            folder.rmdir()
        if not isinstance(error, OSError):
            raise
        message = f"{error.filename or folder}: cannot be made ({error.strerror}); give a place that has room"
        raise DataError(message) from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    write(path, as_json(value) + "\n")


def best_weights(folder: Path, trainer: TrainerView, epoch: int) -> dict[str, Params]:
    """Return the weights of a run's best epoch as :meth:`portanet.Trainer.snapshot` does.

    Raises
    ------
    DataError
        If they are not there, or the file is that of another training or of an earlier epoch.
    """
    path = own_file(folder, BEST)
    if not path.is_file():
        message = f"{path}: expected the weights of epoch {epoch}, the best one, found none; put the file back, "
        raise DataError(message + f"or take those of the last epoch: cp {folder / LAST} {path}")
    arrays, about = read(path)
    parts = differences(about, trainer)
    found = about.get("epoch")
    if not isinstance(found, int) or not epoch <= found <= 2**53:  # a later one was saved after the checkpoint
        parts.append(f"its epoch is {found!r:.40}, and the best one was {epoch}")
    if parts:
        message = f"{path}: it is not of this training: {'; '.join(parts)}; put the run's own file back"
        raise DataError(message)
    try:
        names = list(about["buffers"])
        check_shapes(trainer.net, {n: tuple(a.shape) for n, a in arrays.items()}, names, trainer.input_shape or ())
        buffers = {name: arrays.pop(name) for name in names}
    except (DataError, KeyError, TypeError) as error:
        message = f"{path}: it is damaged or was edited ({error}); put the run's own file back"
        raise DataError(message) from None
    return {"params": arrays, "buffers": buffers}


class Recorder(Callback):
    """Writes an epoch's row and weights after each epoch, and keeps the weights of the best one apart.

    The best epoch is the one with the smallest ``val_loss``, or ``loss`` where nothing is validated; its row is `best`,
    which is empty before the first.
    """

    writes = True
    runs_last = True  # after what may put other weights in place of the last ones

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: list[str] = []
        self.best: dict[str, float] = {}

    @property
    def epochs(self) -> int:
        """How many there were so far; one that diverged does not count."""
        return len(self._lines)

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured in the best epoch."""
        return {name: value for name, value in self.best.items() if name not in ("epoch", "lr", "seconds")}

    def state(self) -> dict[str, Any]:
        return {"lines": self._lines, "best": self.best}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        check_values(state, {"lines": LIST, "best": OBJECT})
        rows = []
        for line in state["lines"]:
            rows.append(parsed(check("a line", line, TEXT)))
            check_numbers("a line", rows[-1], Number())
            check_values(rows[-1], {"epoch": Number(1, trainer.epoch, whole=True), "loss": Number()})
            if line != json.dumps(rows[-1]) + "\n":
                message = f"a line is {line!r:.40}"
                raise ValueError(message)
        if state["best"] not in (rows or [{}]):
            message = f"the best epoch is none of {len(rows)}"
            raise ValueError(message)
        if rows:
            best_weights(self.folder, trainer, int(state["best"]["epoch"]))

    def load_state(self, state: dict[str, Any]) -> None:
        self._lines, self.best = list(state["lines"]), dict(state["best"])

    def on_fit_end(self, trainer: TrainerView) -> None:
        if trainer.position and trainer.history.stopped not in ("error", "diverged"):
            trainer.save(self.folder / LAST)

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        trainer.save(self.folder / LAST)  # should the first epoch diverge, these are the last good weights

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        trainer.save(self.folder / LAST)
        watched = "val_loss" if "val_loss" in row else "loss"
        if not self.best or row[watched] < self.best[watched]:
            self.best = dict(row)
            trainer.save(self.folder / BEST)
        self._lines.append(json.dumps(row, allow_nan=False) + "\n")
        write(self.folder / METRICS, "".join(self._lines))
