"""Several targets of a table: the same from CSV and Parquet, as numbers or as labels."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.data.cells import joined_names, split_names
from portanet.data.readers.targets import named_targets

COLUMNS = {
    "size": [1.5, 2.5, None, 4.5, 3.0],
    "city": ["Bern", "Rome", "Bern", "Oslo", "Rome"],
    "price, EUR": [10.0, 20.0, 30.0, None, 50.0],
    "rooms": [1.0, 2.0, 3.0, 4.0, 5.0],
    "sold": ["yes", "no", "yes", "yes", "no"],
}


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    pd = pytest.importorskip("pandas")
    file = tmp_path / f"houses.{request.param}"
    frame = pd.DataFrame(COLUMNS)
    if request.param == "csv":
        frame.to_csv(file, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(file)
    return file


def test_numbers(path):
    data = pn.data.load(path, target='rooms, "price, EUR"')
    assert (data.outputs, data.classes, data.labels) == (("rooms", "price, EUR"), (), False)
    np.testing.assert_array_equal(data.y, [[1, 10], [2, 20], [3, 30], [5, 50]])  # a row lacks the price
    assert data.x.names == ("size", "city", "sold")
    assert split_names(data.target) == data.outputs


def test_labels(path):
    data = pn.data.load(path, target="sold,rooms", task="regression")
    np.testing.assert_array_equal(data.y[:, 0], [1, 0, 1, 1, 0])
    assert not data.labels
    with pytest.raises(pn.ConfigError, match="several targets of a classification are labels, 0 or 1"):
        pn.data.load(path, target="sold,rooms", task="classification")
    with pytest.raises(pn.DataError, match=r"column 'city': expected numbers, or yes and no.*got 'Bern'"):
        pn.data.load(path, target="sold,city")
    with pytest.raises(pn.DataError, match="romms"):
        pn.data.load(path, target="sold,romms")


def test_a_single_column_whose_name_holds_a_comma(path):
    data = pn.data.load(path, target="price, EUR")
    assert (data.target, data.outputs) == ("price, EUR", ())
    assert len(data.y) == 4


@pytest.mark.parametrize("names", [("a", "b"), ("a, b", "c"), ('say "a"', "b;c"), ("x",)])
def test_names_come_back(names):
    assert split_names(joined_names(names)) == names
    if len(names) > 1:
        assert named_targets(joined_names(names), names) == names
