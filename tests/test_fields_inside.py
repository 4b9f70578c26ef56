"""What every range allows is right: gradients, steps that stay finite, and factors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import portanet as pn
from portanet.random import generator
from portanet.verify.cases import LAYERS, LOSSES
from portanet.verify.gradient_check import check_loss
from tests.ranges import INF, LAYER_COUNTS, NUMBERS, TINY, make, names

quick = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def inside(bounds):
    """Draw numbers from a range: its ends, numbers beside them, and others of everyday size."""
    low, high, brackets = bounds
    least = max(low, -1e3) if brackets[0] == "[" else max(low + TINY, -1e3)
    most = min(high, 1e3) if brackets[1] == "]" else min(np.nextafter(high, -INF), 1e3)
    return st.floats(float(least), float(most), allow_subnormal=False) | st.sampled_from([float(least), float(most)])


def of_family(table, base):
    for bounds, text in table.items():
        for param in names(text):
            if issubclass(param.values[0], base):
                yield pytest.param(*param.values, bounds, id=param.id)


def check_gradients(layer, case):
    x = case.samples(generator(1, "x"), 4) if case.whole_numbers else None
    try:
        pn.gradcheck(layer, case.shape, batch=4, x=x)
    except pn.ShapeError:
        assume(False)


@pytest.mark.parametrize(("kind", "field", "bounds"), list(of_family(NUMBERS, pn.Layer)))
def test_gradients_are_right_for_all_numbers(kind, field, bounds):
    @quick
    @given(st.data())
    def holds(data):
        case = data.draw(st.sampled_from(LAYERS[kind.__name__]))
        number = data.draw(inside(bounds))
        assume(field != "scale" or abs(number) > 1e-6)
        assume(field != "sigma" or number < 10)  # else the waves are shorter than the steps of the differences
        check_gradients(dataclasses.replace(case.layer, **{field: number}), case)

    holds()


@pytest.mark.parametrize(("kind", "field"), names(LAYER_COUNTS))
def test_gradients_are_right_for_all_counts(kind, field):
    pairs = field in ("kernel", "stride", "dilation")

    @quick
    @given(st.data())
    def holds(data):
        case = data.draw(st.sampled_from(LAYERS[kind.__name__]))
        number = st.integers(1, 4) if field != "in_features" else st.just(case.shape[0])
        value = data.draw(number | st.tuples(number, number) if pairs else number)
        changed = {field: value}
        if field == "groups" and hasattr(case.layer, "units"):
            changed["units"] = 12
        elif field == "groups":
            assume(case.shape[-1] % value == 0)
        try:
            layer = dataclasses.replace(case.layer, **changed)
        except pn.ConfigError:  # a padding that the smaller kernel cannot have, groups that do not part the units
            assume(False)
        check_gradients(layer, dataclasses.replace(case, whole_numbers=case.whole_numbers and 4))

    holds()


@pytest.mark.parametrize(("kind", "field", "bounds"), list(of_family(NUMBERS, pn.Loss)))
def test_gradients_of_losses_are_right(kind, field, bounds):
    @quick
    @given(st.data())
    def holds(data):
        case = data.draw(st.sampled_from(LOSSES[kind.__name__]))
        number = data.draw(inside(bounds))
        assume(len(case.shape) == 2)
        prediction, target, weight = case.arrays()
        if field == "delta":
            assume(abs(abs(prediction - target) - number).min() > 1e-4)  # the kink
        check_loss(dataclasses.replace(case.loss, **{field: number}), prediction, target, weight)

    holds()


@pytest.mark.parametrize(("kind", "field", "bounds"), list(of_family(NUMBERS, pn.Optimizer)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_finite(kind, field, bounds, dtype):
    @quick
    @given(inside(bounds))
    def holds(number):
        optimizer = kind(**{field: number})
        params = {"weight": np.array([1.0, 0.0, -2.0], dtype)}
        grads = {"weight": np.array([0.0, 1e-3, -2.0], dtype)}  # of a unit that is dead, too
        state = optimizer.init(params)
        for _ in range(3):
            params, state = optimizer.update(params, grads, state, optimizer.lr)
        assert np.isfinite(params["weight"]).all()
        assert params["weight"].dtype == dtype
        if not optimizer.weight_decay:
            assert params["weight"][0] == 1.0

    holds()


@pytest.mark.parametrize(("kind", "field", "bounds"), list(of_family(NUMBERS, pn.Schedule)))
def test_factors_are_finite(kind, field, bounds):
    @quick
    @given(inside(bounds), st.floats(0, 8))
    def holds(number, epoch):
        factor = make(kind, **{field: number}).factor(epoch, 8)
        assert 0 <= factor < INF

    holds()
