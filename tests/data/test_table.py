"""Tables of text: separators, headers, targets, a test part."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest

from tests.data.make import load, refused

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
        gzip.compress(IRIS.encode(), mtime=0),
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
    data = written(tmp_path / "t.csv", 'a,"two\nlines",label\n1,2,"x, ""y"""\n3,4,"\nw"\n5,6,z\n')
    assert data.classes == ("w", 'x, "y"', "z")
    assert data.features == ("a", "two\nlines")
    refused_path = tmp_path / "u.csv"
    refused_path.write_text('a,b,label\n1,2,"two\nlines"\n3,z\n')
    refused(refused_path, "line 4: expected 3 cells, as the header has, got 2")


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
