"""The same table is the same task, classes and numbers as CSV, as Parquet, and as a frame of three libraries."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import portanet as pn
from portanet.data import load
from portanet.data.frames import table
from portanet.data.planned import encoded, plan_of
from portanet.errors import DataError

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

KINDS = {
    "whole": st.integers(-50, 50),
    "fraction": st.integers(-400, 400).map(lambda i: i / 8),
    "yes": st.booleans(),
    "text": st.sampled_from(["red", "green", "dark blue", "a,b", 'say "x"', "ß"]),
    "date": st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)),
    "time": st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)).map(
        lambda t: t.replace(microsecond=0)
    ),
}
TARGETS = {
    "classes": st.sampled_from(["setosa", "virginica", "x"]),
    "numbers": st.integers(-1000, 1000).map(lambda i: i / 16),
    "digits": st.integers(0, 2),
    "counts": st.integers(0, 10**6),
    "booleans": st.booleans(),
}


@st.composite
def frames(draw):
    n = draw(st.integers(4, 40))
    columns = {}
    for name, cells in KINDS.items():
        gaps = st.none() if name != "whole" else st.nothing()
        columns[name] = draw(st.lists(cells | gaps if draw(st.booleans()) else cells, min_size=n, max_size=n))
    columns["y"] = draw(st.lists(TARGETS[draw(st.sampled_from(sorted(TARGETS)))], min_size=n, max_size=n))
    return pl.DataFrame(columns, strict=False)


def outcome(data):
    """Return what a data set teaches: task, classes, targets, names and numbers of the inputs; or what is wrong."""
    try:
        plan = plan_of(data)
    except DataError as error:
        return str(error).partition(": ")[2]
    own = encoded(data, plan)
    return data.task, data.classes, data.y.tolist(), own.features, own.x.round(6).tolist(), data.scale


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames())
def test_csv_parquet_and_frames_are_one(tmp_path, frame):
    frame.to_pandas().to_csv(tmp_path / "t.csv", index=False)
    frame.write_parquet(tmp_path / "t.parquet")
    found = []
    for name in ("t.csv", "t.parquet"):
        try:
            found.append(load(tmp_path / name, target="y"))
        except DataError as error:
            found.append(str(error).partition(name)[2])
    if any(isinstance(own, str) for own in found):
        assert all(isinstance(own, str) for own in found), found
        return
    wanted, plan = outcome(found[0]), None
    assert outcome(found[1]) == wanted
    if isinstance(wanted, str):
        return
    plan = plan_of(found[0])
    features = frame.drop("y")
    for own in (features, features.to_pandas(), features.to_arrow()):
        x = plan.encode(table(own), "x")
        np.testing.assert_allclose(x.round(6), wanted[4])


def houses():
    rng = np.random.default_rng(0)
    city, size = rng.choice(["Bern", "Rome"], 80), rng.normal(100.0, 20.0, 80)
    size[::9] = np.nan
    y = np.where((city == "Bern") ^ (np.nan_to_num(size, nan=100) > 100), "dear", "cheap")
    return pd.DataFrame({"city": city, "size": size}), pd.Series(y)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_trainer_takes_frames(tmp_path, library):
    x, y = houses()
    make = {"pandas": lambda f: f, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[library]
    layers = [pn.Dense(24), pn.ReLU(), pn.Dense(2)]
    trainer = pn.Trainer(layers, optimizer=pn.Adam(lr=0.03), metrics=["accuracy"], backend="numpy")
    history = trainer.fit(make(x), y, epochs=40, batch_size=16, validation_fraction=0.2, verbose=False)
    assert history[-1]["accuracy"] > 0.9
    assert trainer.classes == ("cheap", "dear")
    trainer.save(tmp_path / "m.safetensors")
    loaded = pn.load(tmp_path / "m.safetensors")
    back = x[["size", "city"]]
    np.testing.assert_array_equal(loaded.predict(make(back)), trainer.predict(make(x)))
    assert loaded.evaluate(make(x), y)["accuracy"] > 0.9
    with pytest.raises(DataError, match="now missing: city"):
        loaded.predict(make(x[["size"]]))


def test_a_frame_of_numbers_is_its_array_with_names():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    found = []
    for own in (x, pd.DataFrame(x, columns=["a", "b", "c"])):
        trainer = pn.Trainer([pn.Dense(4), pn.Tanh(), pn.Dense(2)], backend="numpy")
        found.append((trainer, trainer.fit(own, y, epochs=3, verbose=False)[-1]["loss"]))
    assert found[0][1] == found[1][1]
    own = pd.DataFrame(x[:, ::-1], columns=["c", "b", "a"])
    np.testing.assert_array_equal(found[1][0].predict(own), found[0][0].predict(x))
    with pytest.raises(DataError, match=r"fitted to an array; text or gaps are in city"):
        found[0][0].predict(pd.DataFrame({"city": ["a"], "b": [1.0], "c": [2.0]}))
