"""A search among settings: trials drawn from a space, trained as fleets, the worse of them dropped on the way."""

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

ETA = 3  # one of so many goes on from a rung of successive halving

OF_A_MEMBER = ("lr", "weight_decay")
"""What may differ among the members of a fleet; trials that differ in anything else get fleets of their own."""

OF_A_FLEET = ("layers", "activation", "dropout", "init", "optimizer", "batch_size", "l1", "l2", "label_smoothing")

_RANGE = ("min", "max", "log")


@dataclass
class Trial:
    """Settings that are tried, and what came of them.

    Attributes
    ----------
    number : int
        1, 2, ... in the order in which they were drawn.
    settings : dict
    epochs : int
        How long it was trained.
    result : dict
        The last row of its history; empty where it diverged.
    """

    number: int
    settings: dict[str, Any]
    epochs: int = 0
    result: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The validation loss; inf where it diverged."""
        return self.result.get("val_loss", math.inf)


def check_space(space: Mapping[str, Any], place: str) -> None:
    """Tell the first entry that is neither a list of choices nor, where numbers run, a range.

    Raises
    ------
    ConfigError
        With the key, what was expected, and what came; for an unknown key with the nearest known one.
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
    """Return trials from a checked space: a choice at random, or a number from a range, evenly on a logarithmic scale.

    With ``log = false`` the scale is linear. Bergstra & Bengio 2012, JMLR 13, tell why not by a grid.
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

    The last rung has trained for `epochs`; each has a third of the trials of the one before, for three times as long.
    """
    most = int(math.log(trials, ETA) + 1e-9) if trials > 1 else 0
    found = [(-(-trials // ETA**i), max(1, round(epochs / ETA ** (most - i)))) for i in range(most + 1)]
    # A rung that has no epoch of its own is left out: every trial is trained at least once.
    return [pair for i, pair in enumerate(found) if i == 0 or pair[1] > found[i - 1][1]]


def run(
    trials: Sequence[Trial],
    make: Callable[[list[Trial]], Fleet],
    fit: Callable[[Fleet, Trial, int], Any],
    plan: Sequence[tuple[int, int]],
    tell: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Train the trials by `plan`, best first.

    Parameters
    ----------
    make : callable
        From trials that share all but what a member has of its own to their fleet.
    fit : callable
        Trains a fleet, whose first trial is given, for so many more epochs, with validation.
    plan : sequence of (trials, epochs so far)
        Of each rung; a random search has one. Those that diverged or are not among the best are dropped.
    tell : callable, optional
        Called before each rung with its numbers of trials and epochs.
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
            with contextlib.suppress(DivergedError):  # of all of them: each says so below
                fit(fleet, own[0], epochs - done)
            for trial, member in zip(own, fleet, strict=True):
                trial.epochs = member.epoch
                trial.result = {} if member.history.stopped == "diverged" else dict(member.history[-1])
        done = epochs
    return sorted(trials, key=lambda t: (-t.epochs if t.result else 1, t.loss))


def spread_of(trials: Sequence[Trial], key: str) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Return the names of a setting's choices, none where it is a number, and where each trial lies among them."""
    values = [trial.settings[key] for trial in trials]
    if all(isinstance(value, int | float) for value in values):
        return [], np.asarray(values, np.float64)
    names = sorted({in_words(value) for value in values})
    return names, np.asarray([names.index(in_words(value)) for value in values], np.float64)


def in_words(value: Any) -> str:
    """Return a setting's value as people write it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
