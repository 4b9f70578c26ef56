"""Bad input at every door of a trainer: it works as NumPy's users expect, or is told in portanet's own words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import portanet as pn
from portanet.backends import get
from portanet.errors import DataError, PortanetError
from tests.hostile.inputs import ARGUMENTS, SAMPLES, TARGETS, WEIGHTS, WORKS, X, Y, begun, fit, trainer

OF_SAMPLES = {
    "fit": lambda x: fit(x),
    "validation": lambda x: fit(validation_data=(x, Y)),
    "evaluate": lambda x: begun().evaluate(x, Y),
    "predict": lambda x: begun().predict(x),
    "predict_classes": lambda x: begun().predict_classes(x),
}
OF_TARGETS = {
    "fit": lambda y: fit(y=y),
    "fraction": lambda y: fit(y=y, validation_fraction=0.2),
    "validation": lambda y: fit(validation_data=(X, y)),
    "evaluate": lambda y: begun().evaluate(X, y),
}
OF_WEIGHTS = {
    "fit": lambda w: fit(sample_weight=w),
    "validation": lambda w: fit(validation_data=(X, Y, w)),
    "evaluate": lambda w: begun().evaluate(X, Y, sample_weight=w),
}
TABLE = [
    pytest.param(call, value, says if isinstance(says, str) else says.get(door, says[""]), id=f"{what}: {name}, {door}")
    for what, doors, cases in (("x", OF_SAMPLES, SAMPLES), ("y", OF_TARGETS, TARGETS), ("weight", OF_WEIGHTS, WEIGHTS))
    for door, call in doors.items()
    for name, (value, says) in cases.items()
]


@pytest.mark.parametrize(("call", "value", "says"), TABLE)
def test_every_bad_input_at_every_door(call, value, says):
    if says == WORKS:
        call(value)
        return
    with pytest.raises(PortanetError) as caught:
        call(value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in (2, 3)


def test_names_that_are_not_those_of_the_outputs_are_not_saved(tmp_path):
    model = trainer(classes=["a", "b"])
    model.fit(X, Y, epochs=1, verbose=False)
    model.save(tmp_path / "net")
    assert pn.load(tmp_path / "net").classes == ()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_cannot_be(name):
    call, says = ARGUMENTS[name]
    with pytest.raises(PortanetError) as caught:
        call()
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_arrays_of_different_libraries_and_devices_come_together(backend):
    """Each of x, y and the weights may lie elsewhere: on the host, in another library, on another device."""
    strict = get("strict:device1")
    here = trainer(backend=backend).fit(X, Y, sample_weight=np.ones(30), epochs=2, verbose=False)
    with backend.activate():
        kinds = [X, backend.asarray(X), strict.asarray(X)]
        targets = [Y, backend.asarray(Y.astype("int32")), strict.asarray(Y)]
        weights = [np.ones(30), backend.asarray(np.ones(30, "float32")), strict.asarray(np.ones(30, "float32"))]
    for i in range(3):
        mixed = trainer(backend=backend)
        history = mixed.fit(kinds[i], targets[(i + 1) % 3], sample_weight=weights[(i + 2) % 3], epochs=2, verbose=False)
        assert history["loss"] == here["loss"]
        assert mixed.predict(kinds[i]).shape == (30, 3)


def test_what_is_unusual_and_works():
    assert len(fit(epochs=0).rows) == 0
    assert len(fit(batch_size=1000).rows) == 1
    assert np.isfinite(fit(X[:1], Y[:1])["loss"][-1])
    assert np.isfinite(trainer(seed=2**80).fit(X, Y, epochs=1, verbose=False)["loss"][-1])
    still = trainer(optimizer=pn.SGD(lr=0.0))
    still.init((4,))
    before = still.snapshot()["params"]
    still.fit(X, Y, epochs=2, verbose=False)
    for name, array in still.snapshot()["params"].items():
        np.testing.assert_array_equal(array, before[name])


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        arrays.arrays(
            st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes()),
            arrays.array_shapes(min_dims=0, min_side=0),
        ),
        st.recursive(st.one_of(st.none(), st.floats(), st.integers(), st.text()), st.lists, max_leaves=20),
    )
)
def test_any_array_is_taken_or_told(x):
    model = begun()
    try:
        found = model.predict(x)
    except DataError:
        return  # told; any other error fails
    assert found.shape == (len(x), 3)


def test_the_page_is_what_is_said():
    from tests.hostile.page import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.hostile.page"
