"""``environment.json`` of a run: where and by what it was started, and each start that went on with it."""

from __future__ import annotations

import contextlib
import datetime
import logging
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import portanet
from portanet.backends.diagnosis import blas
from portanet.backends.diagnosis.probe import probe
from portanet.cli.run_folder import ENVIRONMENT, write_json
from portanet.data import Dataset, Samples, fingerprint
from portanet.errors import DataError
from portanet.files.atomic import write
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read
from portanet.training.trainer import Trainer

logger = logging.getLogger("portanet")

_LARGEST = 16 << 20  # bytes: some 20,000 starts


def environment(trainer: Trainer, dataset: Dataset, arguments: Sequence[str]) -> dict[str, Any]:
    """Return what the run's numbers depend on beside its configuration."""
    on_disk = isinstance(dataset.x, Samples)
    return {
        **_machine(trainer, arguments),
        "seed": trainer.seed,
        "data": {"name": dataset.name, "sha256_of_some" if on_disk else "sha256": fingerprint(dataset)},
    }


@contextlib.contextmanager
def resumed(folder: Path, trainer: Trainer, arguments: Sequence[str]) -> Iterator[None]:
    """Add this start to the file's list ``resumed``; remove it if the block finds that the run cannot be resumed.

    An entry has the versions, the device, the command, the date and the epoch of a start.
    """
    file = own_file(folder, ENVIRONMENT)
    try:
        before = read(file, _LARGEST, follow=False)
        about = parsed(before)
        starts = about.get("resumed", [])
        if not isinstance(starts, list):
            message = "its list of starts is none"
            raise TypeError(message)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        logger.warning("%s: it cannot be read (%s); this start is not added", file, why)
        yield
        return
    write_json(file, {**about, "resumed": [*starts, {"epoch": trainer.epoch, **_machine(trainer, arguments)}]})
    try:
        yield
    except DataError:
        write(file, before)
        raise


def _machine(trainer: Trainer, arguments: Sequence[str]) -> dict[str, Any]:
    b = trainer.backend
    return {
        "portanet": portanet.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": probe("numpy").version,
        "backend": {"name": b.name, "spec": b.spec, "device": str(b.device), "version": probe(b.name).version},
        "blas": vars(blas.describe()),
        "ranks": 1 if trainer.ranks is None else trainer.ranks.size,
        "command": ["portanet", *arguments],
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
