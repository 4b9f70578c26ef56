"""Two runs compared: the numbers of each epoch, the weights, and the environments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portanet.cli import environment
from portanet.cli.run_folder import BEST, CONFIG, ENVIRONMENT, LAST, METRICS, REPORT
from portanet.data import Dataset
from portanet.errors import DataError
from portanet.files.description import read as read_weights
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read
from portanet.plot import read_rows
from portanet.training.trainer import Trainer
from portanet.typing import Params

__all__ = ["Comparison", "Record", "compare"]

_MOST = 40  # differences of the environments that are shown
_LARGEST = 16 << 20  # bytes of a file of plain values
_PASSING = ("started", "command", "resumed", "data", "seed")
"""What an environment holds that is no cause of other numbers."""


@dataclass(frozen=True)
class Record:
    """What a run's folder says of it.

    Attributes
    ----------
    folder : Path
    rows : list of dict
        An epoch each; empty if it was stopped in the first one.
    report, environment : dict
    """

    folder: Path
    rows: list[dict[str, Any]]
    report: dict[str, Any]
    environment: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Return the record of a run; raise DataError if the folder does not hold one that has ended."""
        if not own_file(folder, CONFIG).is_file():
            message = f"{folder}: expected a run folder with {CONFIG}, found none; give one of portanet train"
            raise DataError(message)
        rows = read_rows(folder) if own_file(folder, METRICS).is_file() else []
        return cls(folder, rows, _plain(folder, REPORT), _plain(folder, ENVIRONMENT))

    @property
    def cut_short(self) -> bool:
        """Whether it was ended from outside: by a signal or by its time limit."""
        stopped = str(self.report.get("stopped"))
        return stopped == "interrupted" or stopped.startswith("time limit")

    def check_data(self, trainer: Trainer, dataset: Dataset) -> None:
        """Raise DataError if the data are not those that the run was trained on."""
        said = self.environment.get("data")
        was, now = said if isinstance(said, dict) else {}, environment.environment(trainer, dataset, [])["data"]
        for name in ("sha256", "sha256_of_some"):
            if was.get(name) not in (None, now.get(name)):
                got = (
                    f"expected the data that it was trained on, SHA-256 {was[name]!s:.16}…, got {now.get(name)!s:.16}…"
                )
                message = f"{self.folder}: {dataset.name}: {got}; put the file back as it was"
                raise DataError(message)

    def weights(self, name: str) -> Params:
        """Return the arrays of a file of weights; none if there is no such file."""
        file = own_file(self.folder, name)
        return read_weights(file)[0] if file.is_file() else {}


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes
    ----------
    difference : str
        The first number that differs; empty if none does.
    same : str
        What was compared, in words.
    environment : tuple of str
        A line for each thing that is not as it was.
    """

    difference: str
    same: str
    environment: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "same": not self.difference,
            "compared": self.same,
            "difference": self.difference or None,
            "environment": list(self.environment),
        }


def compare(before: Record, now: Record, epochs: int) -> Comparison:
    """Compare a run with its repetition, which has trained for `epochs` at most."""
    rows, later = before.rows[:epochs], len(before.rows) - epochs
    files = [] if later > 0 or before.cut_short else [BEST, LAST]
    different = itertools.chain(_of_rows(rows, now.rows), *(_of_weights(before, now, name) for name in files))
    if later <= 0 and not before.cut_short:
        different = itertools.chain(different, _of_tests(before.report, now.report))
    same = f"{len(rows)} epoch{'s' * (len(rows) != 1)}"
    if files:
        same += f", the weights of {' and '.join(files)}"
    elif later > 0:
        same += f" (a later command trained {later} more, which are not compared)"
    else:
        same += " (it was stopped there; its weights are not compared)"
    return Comparison(
        next(different, ""), same, tuple(itertools.islice(_of_environments(before.environment, now.environment), _MOST))
    )


def _of_rows(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[str]:
    for i, (was, found) in enumerate(itertools.zip_longest(before, now), start=1):
        if was is None or found is None:
            yield f"the run has {len(before)} epochs, its repetition {len(now)}"
            return
        for name in {**was, **found}:
            if name != "seconds" and was.get(name) != found.get(name):
                yield f"epoch {i}: {name:.60} {_both(was.get(name), found.get(name))}"


def _of_tests(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    was, found = (own["metrics"] if isinstance(own.get("metrics"), dict) else {} for own in (before, now))
    for name in {**was, **found}:
        if was.get(name) != found.get(name):
            yield f"at the end: {name:.60} {_both(was.get(name), found.get(name))}"
    if before.get("stopped") != now.get("stopped"):
        yield f"it ended by {before.get('stopped')!s:.60}, its repetition by {now.get('stopped')}"


def _of_weights(before: Record, now: Record, file: str) -> Iterator[str]:
    was, found = before.weights(file), now.weights(file)
    for name in {**was, **found}:
        if name not in was or name not in found:
            yield f"{file}: {name:.60} is in one of the two alone"
        elif was[name].shape != found[name].shape:
            yield f"{file}: {name} was of shape {was[name].shape!s:.60}, is of shape {found[name].shape}"
        elif was[name].tobytes() != found[name].tobytes():
            apart = float(abs(was[name] - found[name]).max())
            yield f"{file}: {name} differs in {int((was[name] != found[name]).sum())} numbers, by {apart:.1e} at most"


def _both(was: Any, found: Any) -> str:
    text = f"was {was!r:.60}, is {found!r:.60}"
    if isinstance(was, float) and isinstance(found, float) and was:
        text += f" (relative difference {abs(found - was) / abs(was):.1e})"
    return text


def _of_environments(before: Mapping[str, Any], now: Mapping[str, Any], front: str = "") -> Iterator[str]:
    for name in {**before, **now}:
        was, found = before.get(name), now.get(name)
        if name in _PASSING or was == found:
            continue
        if isinstance(was, dict) and isinstance(found, dict):
            yield from _of_environments(was, found, f"{front}{name:.60} ")
        else:
            yield f"{front}{name:.60}: {was!s:.60} in the run, {found!s:.60} here"


def _plain(folder: Path, name: str) -> dict[str, Any]:
    """Return the object in one of a run's files of plain values; raise DataError if there is none."""
    path = own_file(folder, name)
    try:
        found = parsed(read(path, _LARGEST, follow=False))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"{path}: expected the {path.stem} of a run that has ended, cannot be read ({why}); train it again"
        raise DataError(message) from None
    if not isinstance(found, dict):
        message = f"{path}: expected the {path.stem} of a run, got something else; restore the file"
        raise DataError(message)
    return found
