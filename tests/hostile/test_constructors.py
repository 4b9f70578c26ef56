"""Arguments of every public layer, loss, optimizer, schedule, callback and metric: taken, or told with their place."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import portanet as pn
from portanet import callbacks, layers, losses, metrics, optimizers, schedules

ODD = {
    "text": "x",
    "no text": "",
    "bytes": b"x",
    "NaN": math.nan,
    "infinity": math.inf,
    "-1": -1,
    "0": 0,
    "a fraction": 1.5,
    "10^30": 10**30,
    "True": True,
    "None": None,
    "an empty list": [],
    "a dict": {},
    "three numbers": (1, 2, 3),
    "an array": np.array([1, 2]),
    "a NumPy float": np.float32(0.5),
    "a NumPy integer": np.int64(3),
    "an object": object(),
}
NEEDED = {
    "layers": [pn.Dense(2)],
    "shape": (2, 2),
    "path": "x",
    "log_dir": "x",
    "schedule": "cosine",
    "rate": 0.1,
    "name": "f1_score",
}
FAMILIES = (
    (layers, layers.Layer),
    (losses, losses.Loss),
    (optimizers, optimizers.Optimizer),
    (schedules, schedules.Schedule),
    (callbacks, callbacks.Callback),
    (metrics, metrics.Metric),
)


def arguments():
    for module, base in FAMILIES:
        for name in module.__all__:
            kind = getattr(module, name)
            if not (isinstance(kind, type) and issubclass(kind, base)) or kind in (base, layers.CustomActivation):
                continue
            for argument in inspect.signature(kind).parameters:
                yield pytest.param(kind, argument, id=f"{name}: {argument}")


@pytest.mark.parametrize(("kind", "argument"), list(arguments()))
def test_it_is_taken_or_told(kind, argument):
    parameters = inspect.signature(kind).parameters.items()
    needed = {name: NEEDED.get(name, 3) for name, p in parameters if p.default is p.empty}
    said = {what: _said(kind, {**needed, argument: value}) for what, value in ODD.items()}
    told = {what: message for what, message in said.items() if message}
    for what, message in told.items():
        assert kind.__name__ in message, what
        assert "\n" not in message, what
    assert len(told) > 5, f"it takes {said.keys() - told.keys()}"


def _said(kind, given):
    """Return the message, or nothing where it is taken; any other error than ours fails the test."""
    try:
        kind(**given)
    except pn.ConfigError as error:
        return str(error)
    return ""
