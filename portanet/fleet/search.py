"""Hyperparameter search: random search and successive halving, with the trials trained as fleets."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portanet.errors import ConfigError, DivergedError, unknown
from portanet.fleet.fleet import Fleet
from portanet.random import generator

ETA = 3  # reduction factor of successive halving: a third of the trials continues

OF_A_MEMBER = ("lr", "weight_decay")
"""Settings that may differ among the members of a fleet; trials that differ in others are in separate fleets."""

OF_A_FLEET = ("layers", "activation", "dropout", "init", "optimizer", "batch_size", "l1", "l2", "label_smoothing")

_RANGE = ("min", "max", "log")


@dataclass
class Trial:
    """Settings that are tried, and their result.

    Attributes
    ----------
    number : int
        1, 2, ... in the order in which they were drawn.
    settings : dict
    epochs : int
        Number of epochs trained so far.
    result : dict
        The last row of its history; empty if it diverged.
    """

    number: int
    settings: dict[str, Any]
    epochs: int = 0
    result: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The validation loss; inf if the trial diverged."""
        return self.result.get("val_loss", math.inf)


def check_space(space: Mapping[str, Any], place: str) -> None:
    """Raise ConfigError for the first entry that is neither a list of choices nor, for a number, a range.

    Raises
    ------
    ConfigError
        With the key, what was expected, and what was given; for an unknown key, with the most similar known one.
    """
    if not space:
        message = f"{place}: expected at least one setting to search, such as lr = {{min = 1e-4, max = 0.1}}, got none"
        raise ConfigError(message)
    for key, entry in space.items():
        if key not in OF_A_MEMBER + OF_A_FLEET:
            raise ConfigError(f"{place}: " + unknown("key", key, OF_A_MEMBER + OF_A_FLEET))
        if isinstance(entry, list) and entry:
            continue
        if key not in OF_A_MEMBER:
            message = f"{place}: {key}: expected a list of choices, such as [0, 0.5], got {entry!r:.60}"
            raise ConfigError(message)
        if not isinstance(entry, dict):
            message = f"{place}: {key}: expected a list of choices, or {{min = ..., max = ...}}, got {entry!r:.60}"
            raise ConfigError(message)
        for name in entry:
            if name not in _RANGE:
                raise ConfigError(f"{place}: {key}: " + unknown("key", name, _RANGE))
        low, high = (entry.get(name) for name in ("min", "max"))
        fits = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in (low, high))
        if not fits or not 0 <= low < high or (entry.get("log", True) and not low):  # type: ignore[operator]
            message = f"{place}: {key}: expected 0 < min < max (min = 0 with log = false), got {entry!r:.80}"
            raise ConfigError(message)


def draw(space: Mapping[str, Any], trials: int, seed: int) -> list[Trial]:
    """Return random trials from a checked space: a choice, or a log-uniform number from a range.

    With ``log = false`` the scale is linear. Source of random search: Bergstra & Bengio 2012, JMLR 13.
    """
    rng = generator(seed, "search")

    def value(entry: Any) -> Any:
        if isinstance(entry, list):
            return entry[int(rng.integers(len(entry)))]
        if entry.get("log", True):
            return float(math.exp(rng.uniform(math.log(entry["min"]), math.log(entry["max"]))))
        return float(rng.uniform(entry["min"], entry["max"]))

    return [Trial(i + 1, {key: value(space[key]) for key in sorted(space)}) for i in range(trials)]


def rungs(trials: int, epochs: int) -> list[tuple[int, int]]:
    """Return the pairs (trials, epochs so far) of successive halving (Jamieson & Talwalkar 2016, AISTATS).

    The last rung trains for `epochs`; each has a third of the trials of the previous rung, for three times as long.
    """
    most = int(math.log(trials, ETA) + 1e-9) if trials > 1 else 0
    found = [(-(-trials // ETA**i), max(1, round(epochs / ETA ** (most - i)))) for i in range(most + 1)]
    # A rung without an additional epoch is left out. Every trial is trained for at least one epoch.
    return [pair for i, pair in enumerate(found) if i == 0 or pair[1] > found[i - 1][1]]


def run(
    trials: Sequence[Trial],
    make: Callable[[list[Trial]], Fleet],
    fit: Callable[[Fleet, Trial, int], Any],
    plan: Sequence[tuple[int, int]],
    tell: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Train the trials by `plan` and return them, best first.

    Parameters
    ----------
    make : callable
        Create the fleet of trials that differ only in settings of a member.
    fit : callable
        Train a fleet, whose first trial is given, for a number of additional epochs, with validation.
    plan : sequence of (trials, epochs so far)
        One pair for each rung; a random search has one rung. Diverged trials and those not among the best are
        dropped.
    tell : callable, optional
        Called before each rung with its number of trials and of epochs.
    """
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        alike.setdefault(repr({k: v for k, v in trial.settings.items() if k not in OF_A_MEMBER}), []).append(trial)
    fleets = [(make(own), own) for own in alike.values()]
    done = 0
    for count, epochs in plan:
        left = sorted((t for _, own in fleets for t in own if done == 0 or t.result), key=lambda t: t.loss)[:count]
        numbers = {trial.number for trial in left}
        if tell is not None:
            tell(len(left), epochs)
        kept = []
        for fleet, own in fleets:
            chosen = [i for i, trial in enumerate(own) if trial.number in numbers]
            if chosen:
                fleet.keep(chosen)
                kept.append((fleet, [own[i] for i in chosen]))
        fleets = kept
        for fleet, own in fleets:
            with contextlib.suppress(DivergedError):  # all diverged: each trial records it below
                fit(fleet, own[0], epochs - done)
            for trial, member in zip(own, fleet, strict=True):
                trial.epochs = member.epoch
                trial.result = {} if member.history.stopped == "diverged" else dict(member.history[-1])
        done = epochs
    return sorted(trials, key=lambda t: (-t.epochs if t.result else 1, t.loss))


def spread_of(trials: Sequence[Trial], key: str) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Return the names of a setting's choices (none for a number), and the position of each trial among them."""
    values = [trial.settings[key] for trial in trials]
    if all(isinstance(value, int | float) for value in values):
        return [], np.asarray(values, np.float64)
    names = sorted({in_words(value) for value in values})
    return names, np.asarray([names.index(in_words(value)) for value in values], np.float64)


def in_words(value: Any) -> str:
    """Return a setting's value as text."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
