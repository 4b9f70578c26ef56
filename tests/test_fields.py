"""Every field of every public description has its range, and what lies outside is refused where it is written."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import portanet as pn
from portanet.checks import validators
from portanet.metrics import Metric
from tests.ranges import COUNTS, INF, NUMBERS, OPTIONAL, OTHERS, TINY, make, names, refused

OUTSIDE: dict[str, list[Any]] = {
    "flags": ["yes", None, 2, 1.0],
    "initializers": ["he_norml", None, 3, ["he_normal"], "normal:nan"],
    "layer": [5, None, "mish", pn.Mish, [pn.Mish()]],
    "layers": [5, None, [], pn.Dense(2), [pn.Dense], [pn.Dense(2), "relu"]],
    "paddings": ["smae", "", None, -1, 1.0, True, (1,), (1, -1), ((1, 1, 1), 0), 2**31],
    "places": ["smae", "", None, -1, 1.0, True, (1,), (1, -1), (1, 1, 1), 2**31],
    "pixels": ["a", None, -1, 1.5, True, (1, 2, 3), 4097],
    "times": ["a", None, 0, 1.5, True, (1, 2, 3), 65],
    "edges": ["a", None, -1, 1.5, True, (1, 2, 3), ((1, 2, 3), 1), 4097],
    "gelu": ["erf", None, 1],
    "bounds": ["a", None, True, math.nan, INF],
    "powers": ["a", None, True, 0.5, 65],
    "odd": ["a", None, 0, 1.5, True, (1, 1), 2, 4],
    "scales": ["a", 0, 65.0, True, math.nan, (1.0, 2.0, 3.0)],
    "interpolations": ["linear", None, 1],
    "coordinates": ["pixel", None, 1],
    "roundings": ["round", None, 1],
    "cubics": ["a", None, True, -1.1, 0.1],
    "pads": ["wrap", None, 1],
    "orders": ["CDR", None, 1],
    "sampling": ["cubic", None, 1],
    "joins": ["sum", None, 1],
    "optional layers": [5, pn.Dense(2), [pn.Dense], [pn.Dense(2), "relu"]],
    "shares": ["ab", 0.5, (), (0.0,), (0.5, 1), (0.2, "1"), (True,), (0.5, math.nan)],
    "sizes": ["ab", 4, (), (0,), (2, -1), (2, 1.5), (True,), (2**31,)],
    "units": ["a", None, 0, -1.0, math.nan, (), (1.0, 0), True],
    "arrays": [3.0, [1.0], "mean", np.array([math.nan]), np.array([INF]), np.array(["a"])],
    "names": ["", 3, None, b"x"],
    "functions": [None, "f", 3],
    "points": [0.0, "0", ["0"], [math.nan], [True]],
    "schedules": ["cosin", 3, pn.SGD],
    "modes": ["up", "MIN", None, 1],
}


def descriptions():
    bases = (pn.Layer, pn.Loss, pn.Optimizer, pn.Schedule, Metric)
    for name in pn.__all__:
        kind = getattr(pn, name)
        if isinstance(kind, type) and issubclass(kind, bases) and kind not in bases:
            yield kind


def test_every_field_has_its_range():
    found = {f"{kind.__name__}.{f.name}" for kind in descriptions() for f in dataclasses.fields(kind) if f.init}
    listed = " ".join([*NUMBERS.values(), COUNTS, *OTHERS.values()]).split()
    assert len(listed) == len(set(listed))
    assert found == set(listed)
    for kind in descriptions():
        assert list(validators(kind)) == [f.name for f in dataclasses.fields(kind) if f.init], kind


NO_NUMBERS = ["1", math.nan, INF, -INF, True, [0.5], {}, object(), 1j, 10**400, -(10**400), np.array([0.5])]


@pytest.mark.parametrize(
    ("kind", "field", "bounds"),
    [pytest.param(*p.values, bounds, id=p.id) for bounds, text in NUMBERS.items() for p in names(text)],
)
def test_numbers(kind, field, bounds):
    low, high, brackets = bounds
    outside, inside = [*NO_NUMBERS], [1e-37, min(0.9, high), np.float32(0.5), np.float64(0.5)]
    (inside if field in OPTIONAL else outside).append(None)
    if low > -INF:
        outside += [low - 1e-9, -1e-300, -1, np.float32(-1)]
        (outside if brackets[0] == "(" else inside).extend([low, float(low)])
        if brackets[0] == "(":
            outside += [TINY / 2, 1e-300]  # float32 takes them for 0
            inside += [TINY]
    elif field == "scale":
        outside += [0, -0.0, 1e-300]
    if high < INF:
        outside += [np.nextafter(high, INF), high + 1, np.float32(high + 1)]
        (outside if brackets[1] == ")" else inside).extend([high, float(high)])
        inside += [np.nextafter(high, -INF)]
    else:
        inside += [1e6, 10**6]
    for value in outside:
        refused(kind, field, value)
    for value in inside:
        kept = getattr(make(kind, **{field: value}), field)
        assert kept == value
        assert type(kept) in (int, float, type(None))  # a NumPy scalar would turn float32 into float64


@pytest.mark.parametrize(("kind", "field"), names(COUNTS))
def test_counts(kind, field):
    outside: list[Any] = [0, -1, 1.0, 1.5, "1", True, math.nan, {}]
    outside += [] if {field, f"{kind.__name__}.{field}"} & OPTIONAL else [None]
    outside += [] if field == "patience" else [2**31, 10**30]  # no axis is longer
    pairs = field in ("kernel", "stride", "dilation", "size") and not kind.__name__.endswith("1D")
    outside += [(1, 0), (1, 2, 3), (1,), (), [1.5, 1], (2**31, 1)] if pairs else [(1, 1)]
    for value in outside:
        refused(kind, field, value)
    units = {"units": 12} if kind in (pn.Conv1D, pn.Conv2D, pn.ConvTranspose2D) else {}
    for number in (1, 2, np.int64(3), np.uint8(4)):
        kept = getattr(make(kind, **{**units, field: number}), field)
        assert (kept, type(kept)) == (number, int)
    if pairs:
        assert getattr(make(kind, **{field: [2, np.int64(1)]}), field) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "field", "family"),
    [pytest.param(*p.values, family, id=p.id) for family, text in OTHERS.items() for p in names(text)],
)
def test_what_is_no_number(kind, field, family):
    for value in OUTSIDE[family]:
        refused(kind, field, value)


def test_what_depends_on_two_fields():
    for make_it, said in (
        (lambda: pn.Conv2D(4, groups=3), "Conv2D: units must be a multiple of groups, got 4 and 3"),
        (lambda: pn.MaxPool2D((3, 2), padding=2), "MaxPool2D: padding must be below 2"),
        (lambda: pn.AvgPool2D(padding=2), "AvgPool2D: padding must be below 2"),
        (lambda: pn.Hardtanh(1.0, 1.0), "Hardtanh: low must be below high, got 1.0 and 1.0"),
        (lambda: pn.Resize2D(), "Resize2D: expected a size or a scale, got None and None"),
        (lambda: pn.Resize2D(2, 2.0), "Resize2D: expected a size or a scale, got 2 and 2.0"),
        (lambda: pn.SGD(nesterov=True), "SGD: nesterov needs a momentum above 0"),
        (
            lambda: pn.Parallel([pn.Dense(1), pn.Dense(1)], [3]),
            "Parallel: sizes must be 2 entries, each a whole number",
        ),
        (
            lambda: pn.Standardize(np.ones(2)),
            "Standardize: mean and inverse_std must have the same shape, got (2,) and",
        ),
        (
            lambda: pn.RobustScale(np.ones(2), np.ones(3)),
            "RobustScale: median and factor must have the same shape, got",
        ),
        (lambda: pn.Standardize(np.ones(2), np.ones(3)), "must have the same shape, got (2,) and (3,)"),
    ):
        with pytest.raises(pn.ConfigError) as caught:
            make_it()
        assert said in str(caught.value)


def test_all_that_is_wrong_is_reported_at_once():
    with pytest.raises(pn.ConfigError) as caught:
        pn.SGD(lr="0.1", momentum=1.5, clip_norm=0)
    assert str(caught.value) == (
        "SGD: lr must be a finite number of 0 or more, got '0.1'; clip_norm must be a finite number above 0, or None, "
        "got 0; momentum must be a number from 0 to 1 (1 excluded), got 1.5"
    )


# Descriptions in lists and files.


def test_a_list_of_dicts_is_checked_the_same():
    with pytest.raises(pn.ConfigError, match=r"LeakyReLU: slope must be a number from 0 to 1, got 1.5"):
        pn.Sequential.from_config([{"output_dim": 3}, {"type": "LeakyReLU", "slope": 1.5}])


@pytest.mark.parametrize(("field", "value"), [("slope", 1.5), ("slope", "0.1"), ("slope", True)])
def test_a_model_file_is_checked_the_same(tmp_path, field, value):
    path = tmp_path / "net.safetensors"
    trainer = pn.Trainer([pn.Dense(2), pn.LeakyReLU(0.1)], loss="mean_squared_error", backend="numpy")
    trainer.init((3,))
    trainer.save(path)
    assert pn.load(path).net == trainer.net
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["portanet"])
    about["net"]["layers"][1][field] = value
    save_file(load_file(path), path, metadata={"portanet": json.dumps(about)})
    with pytest.raises(
        pn.ModelFileError, match=rf"{path}: LeakyReLU: slope must be a number from 0 to 1, got"
    ) as caught:
        pn.load(path)
    assert caught.value.exit_code == 3


def test_float32_stays_float32():
    for layer in (pn.LeakyReLU(np.float64(0.1)), pn.ELU(np.float64(2.0)), pn.Rescale(np.float64(3.0), np.float64(1.0))):
        y, cache = layer.forward({}, np.ones((2, 3), "float32"))
        assert y.dtype == layer.backward({}, y, cache)[0].dtype == "float32"


def test_signatures_say_the_defaults():
    assert inspect.signature(pn.LeakyReLU).parameters["slope"].default == 0.01
    assert inspect.signature(pn.Dense).parameters["units"].default is inspect.Parameter.empty
