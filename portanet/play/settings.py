"""What can be set on the page: names, ranges, defaults, and presets with the settings of the five tutorials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portanet.errors import ConfigError, Gathered, unknown

__all__ = ["FIELDS", "MOST_POINTS", "PRESETS", "checked", "described"]

MOST_POINTS, MOST_LAYERS, MOST_UNITS = 1000, 10, 64


@dataclass(frozen=True)
class _Choice:
    """One of several names."""

    default: str
    names: tuple[str, ...]

    def read(self, value: Any) -> str:
        if value not in self.names:
            raise ConfigError(unknown("name", value, self.names))
        return str(value)


@dataclass(frozen=True)
class _Number:
    """A number from `least` to `most`; with `whole` a whole number."""

    default: float
    least: float
    most: float
    whole: bool = False

    def read(self, value: Any) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not self.least <= value <= self.most or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            message = f"expected {kind} from {self.least:g} to {self.most:g}, got {value!r:.40}"
            raise ConfigError(message)
        return int(value) if self.whole else float(value)


@dataclass(frozen=True)
class _Flag:
    default: bool

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            message = f"expected true or false, got {value!r:.40}"
            raise ConfigError(message)
        return value


@dataclass(frozen=True)
class _Units:
    """Numbers of units, one for each hidden layer."""

    default: tuple[int, ...]

    def read(self, value: Any) -> list[int]:
        one = _Number(1, 1, MOST_UNITS, whole=True)
        if not isinstance(value, list | tuple) or len(value) > MOST_LAYERS:
            message = f"expected a list of at most {MOST_LAYERS} numbers of units, got {value!r:.40}"
            raise ConfigError(message)
        return [int(one.read(units)) for units in value]


@dataclass(frozen=True)
class _Points:
    """Points set by hand, ``[x, y, class]`` each."""

    default: tuple[Any, ...] = ()

    def read(self, value: Any) -> list[list[float]]:
        if not isinstance(value, list | tuple) or len(value) > MOST_POINTS:
            message = f"expected a list of at most {MOST_POINTS} points, [x, y, class] each, got {value!r:.40}"
            raise ConfigError(message)
        place, label = _Number(0, -100, 100), _Number(0, 0, 2, whole=True)
        found = []
        for point in value:
            if not isinstance(point, list | tuple) or len(point) != 3:
                message = f"expected points as [x, y, class], got {point!r:.40}"
                raise ConfigError(message)
            found.append([place.read(point[0]), place.read(point[1]), label.read(point[2])])
        return found


FIELDS: dict[str, Any] = {
    "data": _Choice("moons", ("moons", "circles", "spirals", "blobs", "custom")),
    "points": _Points(),
    "n": _Number(300, 40, MOST_POINTS, whole=True),
    "noise": _Number(0.15, 0, 1),
    "layers": _Units((8, 8)),
    "activation": _Choice("tanh", ("relu", "leaky_relu", "tanh", "sigmoid", "elu", "gelu", "swish", "linear")),
    "bias": _Flag(default=True),
    "dropout": _Number(0, 0, 0.9),
    "init": _Choice(
        "glorot_uniform", ("glorot_uniform", "he_normal", "lecun_normal", "normal:0.1", "normal:1", "zeros")
    ),
    "loss": _Choice("cross_entropy", ("cross_entropy", "sum_squared_error", "mean_squared_error")),
    "optimizer": _Choice("adam", ("sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw", "nadam", "lion")),
    "lr": _Number(0.01, 1e-6, 10),
    "batch": _Number(32, 0, MOST_POINTS, whole=True),
    "decay": _Number(0, 0, 1),
    "seed": _Number(0, 0, 2**31 - 1, whole=True),
}
"""The settings of the points. A batch of 0 is all points; decay is the L2 penalty; points are those of ``custom``."""

_VANISHING = {"layers": [8] * 8, "optimizer": "sgd", "lr": 0.02, "batch": 32}

PRESETS: dict[str, dict[str, Any]] = {
    "start": {},
    "two_moons": {
        **{"data": "moons", "n": 1000, "noise": 0.2, "layers": [25, 50, 50, 25], "activation": "relu"},
        **{"init": "normal:0.1", "optimizer": "sgd", "lr": 0.01, "batch": 0},
    },
    "text_digits": {
        **{"data": "blobs", "layers": [16, 16], "activation": "sigmoid", "init": "normal:1"},
        **{"loss": "sum_squared_error", "optimizer": "sgd", "lr": 0.01, "batch": 1},
    },
    "mnist_sizes": {
        **{"data": "spirals", "layers": [30], "activation": "relu", "init": "he_normal"},
        **{"optimizer": "sgd", "lr": 0.1, "batch": 128},
    },
    "mnist_cnn": {
        **{"data": "spirals", "layers": [32, 64, 32], "activation": "relu", "init": "he_normal", "dropout": 0.25},
        **{"optimizer": "adamw", "lr": 0.002, "batch": 64},
    },
    "mnist_csv": {
        **{"data": "circles", "layers": [20], "activation": "sigmoid", "bias": False},
        **{"loss": "sum_squared_error", "optimizer": "sgd", "lr": 1.0, "batch": 100},
    },
    "vanishing": {**_VANISHING, "activation": "sigmoid", "init": "glorot_uniform"},
    "not_vanishing": {**_VANISHING, "activation": "relu", "init": "he_normal"},
}
"""Settings by name: those of the five tutorials in ``examples/``, on points, and a deep network that learns or not."""


def checked(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all settings, with the defaults of those that were left out.

    Raises
    ------
    ConfigError
        If a name is unknown or a value is out of its range; it lists all of them.
    """
    if settings is not None and not isinstance(settings, Mapping):
        message = f"settings: expected names and values, got {settings!r:.60}"
        raise ConfigError(message)
    wrong, given = Gathered(), dict(settings or {})
    for name in given:
        with wrong:
            if name not in FIELDS:
                raise ConfigError(unknown("setting", name, FIELDS))
    found = {}
    for name, field in FIELDS.items():
        with wrong:
            try:
                found[name] = field.read(given.get(name, field.default))
            except ConfigError as error:
                message = f"{name}: {error}"
                raise ConfigError(message) from None
    wrong.check()
    return found


def described() -> dict[str, Any]:
    """Return ranges, choices and presets as plain values, from which the page makes its controls."""
    fields: dict[str, Any] = {}
    for name, field in FIELDS.items():
        about: dict[str, Any] = {"default": _plain(field.default)}
        if isinstance(field, _Choice):
            about["choices"] = list(field.names)
        elif isinstance(field, _Number):
            about |= {"least": field.least, "most": field.most, "whole": field.whole}
        fields[name] = about
    return {"fields": fields, "presets": PRESETS, "most_layers": MOST_LAYERS, "most_units": MOST_UNITS}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
