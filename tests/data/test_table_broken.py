"""Tables that are broken: each is told with its line and column."""

from __future__ import annotations

import gzip

import pytest

from tests.data.make import refused
from tests.data.test_table import IRIS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IRIS.replace(",4.7", ""), "line 3: expected 3 cells, as the header has, got 2"),
        (IRIS.replace("4.7", "4,7"), "line 3: expected 3 cells, as the header has, got 4"),
        (IRIS.replace("4.7", '"4.7'), "line 3: expected cells in quotes to be closed"),
        (IRIS.replace("versi", "é").encode("latin-1"), "line 3: expected text in UTF-8, got the byte 0xe9"),
        ("1,2,0\n3,4\n", "line 2: expected 3 cells, as the first row has, got 2"),
        ("a,b,c\n", "expected rows of data, got a header alone (a, b, c)"),
        ('"a\nb",c\x1b[2J\n', r"expected rows of data, got a header alone (a\nb, c\x1b[2J)"),
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
