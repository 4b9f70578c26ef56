"""Fields of users' layers: checked by their types, whether or not a module imports annotations from ``__future__``."""

from __future__ import annotations

import dataclasses
import importlib
import math
import sys
from typing import Any

import numpy as np
import pytest

import portanet as pn
from tests.ranges import INF, refused

LAYER = """
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Callable, Literal, Optional
import portanet as pn
from portanet.checks import Count, Number, Share
if TYPE_CHECKING:
    from nowhere import Unknown

def even(value):
    if value % 2:
        raise pn.ConfigError("an even number", "take the next one")
    return value

@dataclass(frozen=True)
class Own(pn.Layer):
    amount: float
    start: float = 0.0
    rate: Share = 0.5
    heat: Annotated[float, Number(0, 10)] = 1.0
    size: Count | None = None
    limit: Optional[float] = None
    count: int = 0
    label: str = ""
    on: bool = True
    mode: Literal["mean", "sum"] = "mean"
    window: tuple[int, int] = (1, 1)
    points: tuple[float, ...] = ()
    function: Callable[[Any], Any] = abs
    unknown: "Unknown" = None
    either: "Unknown | float" = 0.0
    anything: Any = None
    many: list[float] = field(default_factory=list)
    eps: float = 0.0
    half: Annotated[int, even] = 2
    described: Annotated[float, "in metres"] = 1.0
    state: float = field(default="none yet", init=False)

@dataclass(frozen=True)
class Child(Own):
    amount: Share = 0.1
    lr: float = 1.0

class Plain(Own):
    pass
"""
NO_FLOATS = ["three", math.nan, INF, True, None, [1.0]]
WRONG: dict[str, list[Any]] = {
    "amount": NO_FLOATS,
    "start": NO_FLOATS,
    "rate": [*NO_FLOATS, 1.0, -0.1],
    "heat": [*NO_FLOATS, 10.1],
    "size": [0, 1.5, "1", True],
    "limit": ["three", True],
    "count": [0.5, "1", True, None],
    "label": [3, None],
    "on": ["yes", 1, None],
    "mode": ["median", None, 1],
    "window": [1, (1,), (1, 2.5), "ab"],
    "points": [0.5, ["a"], (math.nan,)],
    "function": [3, None, "abs"],
    "half": [3],
    "described": NO_FLOATS,
}
RIGHT: dict[str, Any] = {
    "amount": -1.0,
    "start": -1.0,  # the name of a field means nothing
    "eps": -1.0,
    "limit": None,
    "count": -3,
    "label": "",
    "mode": "sum",
    "window": [2, 3],
    "points": [0.5, 1],
    "unknown": "three",
    "either": "three",
    "anything": "three",
    "many": "three",
}


@pytest.fixture(params=["", "from __future__ import annotations\n"], ids=["annotations", "from __future__"])
def own(request, tmp_path, monkeypatch):
    source = LAYER if request.param else LAYER.replace('"Unknown | float"', 'Optional["Unknown"]')
    (tmp_path / "users_layers.py").write_text(request.param + source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_layers", raising=False)
    return importlib.import_module("users_layers")


def test_layers_of_users(own):
    for kind in (own.Own, own.Plain):
        for field, values in WRONG.items():
            for value in values:
                refused(kind, field, value)
    with pytest.raises(pn.ConfigError, match=r"^Own: half must be an even number, got 3; take the next one$"):
        own.Own(1.0, half=3)
    layer = own.Own(**RIGHT)
    assert (layer.start, layer.window, layer.points) == (-1.0, (2, 3), (0.5, 1))
    assert type(own.Own(np.float64(0.5)).amount) is float
    assert own.Own(1.0, on=np.True_).on is True


def test_a_field_that_is_declared_again_is_checked_by_its_new_range(own):
    assert own.Own(1.5).amount == 1.5
    refused(own.Child, "amount", 1.5)
    refused(own.Child, "heat", 10.1)  # inherited
    assert own.Child(lr=-1.0).lr == -1.0


def test_a_loss_and_an_optimizer_of_users():
    @dataclasses.dataclass(frozen=True)
    class Mine(pn.Loss):
        start: float = 1.0

    @dataclasses.dataclass(frozen=True)
    class Slow(pn.SGD):
        start: float = 1.0

    for kind in (Mine, Slow):
        assert kind(start=-1.0).start == -1.0
        refused(kind, "start", "three")
    refused(Slow, "momentum", 1.0)
