"""Tables of text: separators, headers, targets, both passes of the parser, and what broken ones say."""

from __future__ import annotations

import gzip
import logging
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portanet.data import fingerprint, table_parse, write_csv
from portanet.data.table_form import Form
from portanet.errors import DataError
from tests.data.make import load, refused
from tests.data.real import MNIST, data_folder

IRIS = "sepal,petal,species\n5.1,1.4,setosa\n7,4.7,versicolor\n4.9,1.5,setosa\n"


def written(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path, **options)


@pytest.mark.parametrize(
    "content",
    [
        IRIS,
        IRIS.replace(",", "\t"),
        IRIS.replace(",", ";"),
        IRIS.replace("\n", "\r\n"),
        IRIS.replace("\n", "\r"),
        IRIS.rstrip(),
        IRIS.replace("\n", "\n\n"),
        "\n\n" + IRIS,
        IRIS.replace(",", ", "),
        IRIS.replace("setosa", '"setosa"').replace("sepal", '"sepal"').replace("5.1", '"5.1"'),
        IRIS.encode("utf-8-sig"),
        IRIS.replace(",", "\t").encode("utf-16"),
        gzip.compress(IRIS.encode()),
    ],
)
def test_dialects(tmp_path, content):
    data = written(tmp_path / "t.data", content)
    np.testing.assert_array_equal(data.x, [[5.1, 1.4], [7, 4.7], [4.9, 1.5]])
    assert data.y.tolist() == [0, 1, 0]
    assert data.classes == ("setosa", "versicolor")
    assert data.features == ("sepal", "petal")
    assert data.scale is None
    assert data.x.dtype == np.float64
    assert data.x.flags.writeable


def test_quoted_cells_hold_separators_quotes_and_line_ends(tmp_path):
    data = written(tmp_path / "t.csv", 'a,b,label\n1,2,"x, ""y"""\n3,4,"two\nlines"\n5,6,z\n')
    assert data.classes == ('two\nlines', 'x, "y"', "z")  # fmt: skip
    refused_path = tmp_path / "u.csv"
    refused_path.write_text('a,b,label\n1,2,"two\nlines"\n3,oops,z\n')
    refused(refused_path, "line 4, column 2 (b): expected a number, got 'oops'")


@pytest.mark.parametrize(
    ("target", "column"),
    [(None, 2), ("last", 2), ("first", 0), ("k", 1), (1, 1), ("1", 1), (-2, 1), ("label", 2)],
)
def test_target(tmp_path, target, column):
    values = np.array([[1, 5, 0], [2, 6, 1], [1, 6, 1]])
    data = written(
        tmp_path / "t.csv", "n,k,label\n" + "\n".join(",".join(map(str, row)) for row in values), target=target
    )
    labels, expected = np.unique(values[:, column], return_inverse=True)
    assert data.classes == tuple(map(str, labels))
    np.testing.assert_array_equal(data.y, expected)
    np.testing.assert_array_equal(data.x, np.delete(values, column, axis=1))
    assert data.features == tuple(np.delete(["n", "k", "label"], column))


@pytest.mark.parametrize(
    ("content", "reason", "classes"),
    [
        ("Class,b\n0,1\n1,2\n", "column 1 (Class): its name", ("0", "1")),
        ("a,b,c\n1,no,2\n2,yes,3\n", "column 2 (b): it is the only column of text", ("no", "yes")),
        ("1,2,0\n3,4,1\n", "column 3: it is the last one", ("0", "1")),
        ("\n".join(f"{i % 2 + 3}," + ",".join(["0", "255"] * 8) for i in range(4)), "look like pixels", ("3", "4")),
        (
            "\n".join("0," + ",".join(["0", "255"] * 8) + f",{i % 2}" for i in range(4)),
            "it is the last one",
            ("0", "1"),
        ),
        ("\n".join(f"{i}.5," + ",".join(["0", "255"] * 8) for i in range(4)), "it is the last one", ("255",)),
        (
            "\n".join(f"{i % 2}," + ",".join(["0", "16"] * 8) + f",{i % 2 + 5}" for i in range(4)),
            "it is the last one",
            ("5", "6"),
        ),
    ],
)
def test_default_target_is_logged_with_its_reason(tmp_path, caplog, content, reason, classes):
    with caplog.at_level(logging.INFO, logger="portanet"):
        data = written(tmp_path / "t.csv", content)
    assert reason in caplog.text
    assert data.classes == classes


@pytest.mark.parametrize(
    ("content", "features"),
    [
        ("a,b,y\n1,2,0\n", ("a", "b")),
        ("1,2,0\n3,4,1\n", ()),
        ("label,0,1\n7,2,0\n", ("0", "1")),  # names that are numbers, below a name that is none
        ("5.1,1.4,setosa\n4.9,1.5,setosa\n", ()),
        (",a,y\n0,2,0\n1,4,1\n", ("a",)),  # a data frame's row numbers are no feature
        (",a,y\n0,2,0\n7,4,1\n", ("", "a")),
    ],
)
def test_header(tmp_path, content, features):
    assert written(tmp_path / "t.csv", content).features == features


def test_row_numbers_are_left_out_by_both_passes(tmp_path):
    for y in ("0", "zero"):
        data = written(tmp_path / "t.csv", f",a,b,y\n0,20,30,{y}\n1,21,31,{y}\n")
        np.testing.assert_array_equal(data.x, [[20, 30], [21, 31]])


def test_regression_and_task(tmp_path):
    data = written(tmp_path / "t.csv", "1,2.5\n2,3\n")
    assert data.y.tolist() == [2.5, 3.0]
    assert data.task == "regression"
    assert load(tmp_path / "t.csv", task="classification").classes == ("2.5", "3")
    many = "\n".join(f"1,{i}" for i in range(150))
    assert written(tmp_path / "m.csv", many).task == "regression"
    assert load(tmp_path / "m.csv", task="classification").classes[:3] == ("0", "1", "2")


@pytest.mark.parametrize("form", ["file", "folder", "packed"])
def test_test_part_beside_the_training_part(tmp_path, form):
    name = "t_train.csv" if form == "file" else "train.csv"
    (tmp_path / name).write_text(IRIS)
    (tmp_path / name.replace("train", "test")).write_text("sepal,petal,species\n1,2,versicolor\n")
    if form == "packed":
        for path in list(tmp_path.iterdir()):
            path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    data = load(tmp_path / name if form == "file" else tmp_path)
    assert data.y_test.tolist() == [1]
    np.testing.assert_array_equal(data.x_test, [[1, 2]])
    assert data.x_test.dtype == data.x.dtype == np.float64


def test_test_part_that_does_not_fit(tmp_path, caplog):
    (tmp_path / "train.csv").write_text(IRIS)
    test = tmp_path / "test.csv"
    test.write_text("sepal,petal,species\n1,2,setosa\n1,2,virginica\n")
    refused(tmp_path, f"{test}, line 3, column 3 (species): the label 'virginica' does not occur", "setosa, versicolor")
    test.write_text("sepal,width,species\n1,2,setosa\n")
    refused(tmp_path, f"{test}, column 2: expected 'petal' as in the training part, got 'width'")
    test.write_text("1,2,3,setosa\n")
    refused(tmp_path, f"{test}: expected 3 columns as in the training part, got 4")
    test.write_text("sepal,petal\n1,2\n")  # a competition's test part has no labels
    assert load(tmp_path).x_test is None
    assert f"{test}: it has no target column" in caplog.text
    (tmp_path / "more_train.csv").write_text(IRIS)
    refused(tmp_path, "expected one training table, got more_train.csv, train.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IRIS.replace("4.7", "abc"), "line 3, column 2 (petal): expected a number, got 'abc'"),
        (IRIS.replace("4.7", "n/a"), "line 3, column 2 (petal): the value is missing ('n/a')"),
        (IRIS.replace("4.7", ""), "line 3, column 2 (petal): the value is missing ('')"),
        (IRIS.replace("4.7", "nan"), "line 3, column 2 (petal): the value is missing ('nan')"),
        (IRIS.replace("4.7", "-inf"), "line 3, column 2 (petal): expected a finite number, got -inf"),
        (IRIS.replace("4.7", "1e999"), "line 3, column 2 (petal): expected a finite number, got inf"),
        (IRIS.replace("4.7", "4_7"), "line 3, column 2 (petal): expected a number, got '4_7'"),
        (IRIS.replace("versicolor", " "), "line 3, column 3 (species): the value is missing ('')"),
        (IRIS.replace(",4.7", ""), "line 3: expected 3 cells, as the header has, got 2"),
        (IRIS.replace("4.7", "4,7"), "line 3: expected 3 cells, as the header has, got 4"),
        (IRIS.replace(",", ";").replace("4.7", "4,7"), "got '4,7'; write decimals with a point"),
        (IRIS.replace("4.7", '"4.7'), "line 3: expected cells in quotes to be closed"),
        (IRIS.replace("versi", "é").encode("latin-1"), "line 3: expected text in UTF-8, got the byte 0xe9"),
        ("1,2,0\n3,x,1\n", "line 2, column 2: expected a number, got 'x'"),
        ("1,2,0\n3,4\n", "line 2: expected 3 cells, as the first row has, got 2"),
        ("n/a,2,0\n3,4,1\n", "line 1, column 1: the value is missing ('n/a')"),
        ("x,2.5,0\n3,4,1\n", "line 1, column 1: expected a number, got 'x'"),
        ("1,5;0\n2,5;1\n", "line 1, column 1: expected a number, got '1,5'; write decimals with a point"),
        ("a,b,c\n", "expected rows of data, got a header alone (a, b, c)"),
        ("a\n1\n2\n", "expected at least two columns"),
        ("\n \n", "expected a table, got an empty file"),
        ("", "got an empty file"),
        ("1,2,1e300\n1,2,0\n", "line 1, column 3: the label is out of range"),
    ],
)
def test_broken_table_names_line_and_column(tmp_path, content, words):
    path = tmp_path / "broken.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, str(path), words, task="classification")


def test_text_as_a_regression_and_labels_not_finite(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,2,0.5\n3,4,1.5\n1,1,high\n")
    refused(path, "line 3, column 3: expected a number to regress, got 'high'", task="regression")
    path.write_text("1,2,0.5\n3,4,1.5\n1,1,inf\n")
    refused(path, "line 3, column 3: expected a finite label, got inf")


@pytest.mark.parametrize(
    ("target", "words"),
    [("speces", "did you mean 'species'"), (3, "between 0 and 2, got 3"), (-4, "got -4"), ("9", "got 9")],
)
def test_unknown_target(tmp_path, target, words):
    path = tmp_path / "t.csv"
    path.write_text(IRIS)
    refused(path, str(path), words, target=target)
    path.write_text("1,2,0\n1,2,1\n")
    refused(path, "unknown column 'label': there is no header", target="label")


def test_truncated_gzip(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(IRIS.encode() * 500)[:-20])
    refused(path, str(path), "the compressed data end early")


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
    begin = time.perf_counter()
    data = load(tmp_path / "mnist_train.csv")
    seconds = time.perf_counter() - begin
    np.testing.assert_array_equal(data.x, mnist.x[:10000].reshape(10000, 784))
    np.testing.assert_array_equal(data.y, mnist.y[:10000])
    np.testing.assert_array_equal(data.x_test, mnist.x_test[:1000].reshape(1000, 784))
    assert data.x.dtype == np.uint8
    assert data.x.flags.c_contiguous
    assert data.classes == mnist.classes
    assert data.scale == 255.0
    assert seconds < 10
