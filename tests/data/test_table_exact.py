"""Tables of any numbers, written and read back exactly, by the quick pass as by the exact one."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portanet.data import fingerprint, write_csv
from portanet.data.readers import table_parse
from portanet.data.readers.table_form import Form
from portanet.errors import DataError
from tests.data.make import load
from tests.data.real import MNIST, data_folder


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    ),
    data=st.data(),
)
def test_floats_and_labels_round_trip(tmp_path, x, data):
    words = st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=4
    )
    labels = data.draw(st.lists(words.map(lambda word: "#" + word), min_size=len(x), max_size=len(x)))
    path = tmp_path / "t.csv"
    write_csv(path, x, labels, header=["label", *(f"f{i}" for i in range(x.shape[1]))])
    back = load(path)
    np.testing.assert_array_equal(back.x, x)
    assert [back.classes[i] for i in back.y] == labels
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]  # nothing temporary is left


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=hnp.arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=st.integers(0, 1200)),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    block=st.integers(1, 40),
)
def test_quick_and_exact_pass_agree(tmp_path, x, end, last, block):
    """The quick pass takes what it takes to the same numbers as the exact one, wherever its blocks end."""
    path = tmp_path / "t.csv"
    path.write_bytes((end.join("7," + ",".join(map(str, row)) for row in x.tolist()) + end * last).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_parse, "_BLOCK", block)
        quick = load(path, target="first")
        patch.setattr(table_parse, "_quick", lambda data, form: None)
        exact = load(path, target="first")
    assert fingerprint(quick) == fingerprint(exact)
    np.testing.assert_array_equal(quick.x, x)
    assert quick.x.dtype == (np.uint8 if x.max() < 256 else np.float64)
    assert quick.x.flags.c_contiguous


@pytest.mark.parametrize(
    "row", ["1,,2", "1,2", "1,2,3,4,5,6", "1,2,3,4", "-1,2,3", "1.5,2,3", "1, 2,3", ",1,2", "1,2,", "1000,2,3", "a,2,3"]
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_quick_pass_leaves_all_else_to_the_exact_one(row, position):
    rows = ["1,2,3", "4,5,6"]
    rows.insert(position, row)
    form = Form(",", (), 3, 0, 1)
    assert table_parse._quick(bytearray("\n".join(rows).encode()), form) is None


def test_write_csv_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="a label for each of 3 samples"):
        write_csv(tmp_path / "t.csv", np.zeros((3, 2)), [1, 2])
    with pytest.raises(DataError, match="or 3 names"):
        write_csv(tmp_path / "t.csv", np.zeros((3, 2)), [1, 2, 3], header=["a", "b"])
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(tmp_path / "nowhere" / "t.csv", np.zeros((1, 2)), [1])
    assert list(tmp_path.iterdir()) == []


def test_write_csv_replaces_whole_files_alone(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(path, np.zeros((1, 2)), [1])
    before = path.read_bytes()

    class Breaks(list[str]):
        def __iter__(self):
            yield "a"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_csv(path, np.ones((2, 2)), ["a", "b"], header=Breaks(["a", "b", "c"]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_real_mnist_as_csv(tmp_path, monkeypatch):
    monkeypatch.setenv("PORTANET_DATA", str(data_folder(*MNIST)))
    mnist = load("mnist")
    write_csv(tmp_path / "mnist_train.csv", mnist.x[:10000], mnist.y[:10000])
    write_csv(tmp_path / "mnist_test.csv", mnist.x_test[:1000], mnist.y_test[:1000])
    begin = time.process_time()
    data = load(tmp_path / "mnist_train.csv")
    seconds = time.process_time() - begin
    np.testing.assert_array_equal(data.x, mnist.x[:10000].reshape(10000, 784))
    np.testing.assert_array_equal(data.y, mnist.y[:10000])
    np.testing.assert_array_equal(data.x_test, mnist.x_test[:1000].reshape(1000, 784))
    assert data.x.dtype == np.uint8
    assert data.x.flags.c_contiguous
    assert data.classes == mnist.classes
    assert data.scale == 255.0
    assert seconds < 10
