"""Archives and pairs of NumPy's files: what is read from them, and what broken ones say."""

from __future__ import annotations

import gzip
import io
import logging

import numpy as np
import pytest

from tests.data.make import load, refused

X = np.random.default_rng(0).normal(size=(7, 3))
Y = np.array([0, 1, 2, 0, 1, 2, 0])


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("keys", [("x_train", "y_train"), ("X", "y"), ("data", "target"), ("images", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_round_trip(tmp_path, keys, save):
    path = tmp_path / "data.npz"
    save(path, **dict(zip(keys, (X, Y), strict=True)), x_test=X[:2], y_test=Y[:2])
    data = load(path)
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.x_test, X[:2])
    np.testing.assert_array_equal(data.y_test, Y[:2])
    assert data.classes == ("0", "1", "2")
    assert data.x.dtype == np.float64
    assert data.scale is None
    assert data.x.flags.writeable


@pytest.mark.parametrize("packed", [False, True])
def test_npy_pair_by_folder_and_by_file(tmp_path, packed):
    for name, array in (("X", X), ("y", Y)):
        content = npy(array)
        (tmp_path / f"{name}.npy{'.gz' * packed}").write_bytes(gzip.compress(content) if packed else content)
    for path in (tmp_path, tmp_path / f"X.npy{'.gz' * packed}"):
        data = load(path)
        np.testing.assert_array_equal(data.x, X)
        np.testing.assert_array_equal(data.y, Y)


@pytest.mark.parametrize(
    "x",
    [
        X.astype(np.float32),
        X.astype(">f8"),
        np.asfortranarray(X),
        np.arange(21).reshape(7, 3),
        np.zeros((7, 2, 2, 3), dtype=np.uint8),
    ],
)
def test_values_and_kinds_are_kept(tmp_path, x):
    np.savez(tmp_path / "a.npz", X=x, y=Y)
    back = load(tmp_path / "a.npz").x
    np.testing.assert_array_equal(back, x)
    assert back.dtype == x.dtype.newbyteorder("=")
    assert back.flags.c_contiguous


def test_pixels_have_a_scale_and_booleans_are_numbers(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (7, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", X=x, y=Y)
    assert load(tmp_path / "a.npz").scale == 255.0
    np.savez(tmp_path / "b.npz", X=x > 99, y=Y)
    assert load(tmp_path / "b.npz").x.dtype == np.uint8


def test_channels_first_are_moved_to_the_end(tmp_path, caplog):
    x = np.arange(7 * 3 * 5 * 6).reshape(7, 3, 5, 6)
    np.savez(tmp_path / "a.npz", X=x, y=Y)
    with caplog.at_level(logging.INFO, logger="portanet"):
        data = load(tmp_path / "a.npz")
    assert data.x.shape == (7, 5, 6, 3)
    np.testing.assert_array_equal(data.x[..., 1], x[:, 1])
    assert "channels first" in caplog.text


def test_targets_of_every_kind(tmp_path):
    path = tmp_path / "a.npz"
    for y, task, classes, expected in (
        (np.array(list("babacbb")), None, ("a", "b", "c"), [1, 0, 1, 0, 2, 1, 1]),
        (Y[:, None] - 1, None, ("-1", "0", "1"), Y.tolist()),
        (np.eye(3)[Y], None, ("0", "1", "2"), Y.tolist()),
        (Y + 0.5, None, (), (Y + 0.5).tolist()),
        (Y, "regression", (), Y.astype(float).tolist()),
        (X, None, (), X.tolist()),
    ):
        np.savez(path, X=X, y=y)
        data = load(path, task=task)
        assert data.classes == classes
        assert data.y.tolist() == expected
        assert data.y.dtype == (np.int64 if classes else np.float64)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": X}, "got a"),
        ({"X": X}, "X: expected its targets under the name y"),
        ({"X": X, "y": Y, "x_test": X}, "x_test: expected its targets under the name y_test"),
        ({"X": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "the shape (3,), those of the test part (2,)"),
        ({"X": X, "y": Y[1:]}, "y: expected 7 targets, one a sample, got the shape (6,)"),
        ({"X": X[:, 0], "y": Y}, "got (7,); reshape them"),
        ({"X": X[:0], "y": Y[:0]}, "got (0, 3)"),
        ({"X": X * 1j, "y": Y}, "X: expected real numbers, got the type complex128"),
        ({"X": X, "y": Y * 1j}, "y: expected numbers or text, got the type complex128"),
        ({"X": np.where(X[4, 1] == X, np.nan, X), "y": Y}, "X[4, 1]: expected a finite number, got nan"),
        ({"X": np.where(X[0, 2] == X, -np.inf, X), "y": Y}, "X[0, 2]: expected a finite number, got -inf"),
        ({"X": X, "y": np.where(np.arange(7) == 5, np.inf, Y)}, "y[5]: expected a finite label, got inf"),
        ({"X": X, "y": Y.astype(np.uint64) + np.uint64(2**63)}, "y[0]: the label is out of range"),
        ({"X": X, "y": Y, "x_test": X, "y_test": Y + 1}, "y_test[2]: the label '3' does not occur"),
        ({"X": X.astype(object), "y": Y}, "X: refused: it holds Python objects"),
        ({"X": X, "y": np.array(list("ab" * 7)).reshape(7, 2)}, "y: expected one label a sample"),
    ],
)
def test_what_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", str(tmp_path / "a.npz"), words)


def test_regression_of_text_and_classes_of_several_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=np.array(list("0120120")))
    assert load(tmp_path / "a.npz", task="regression").y.dtype == np.float64
    np.savez(tmp_path / "a.npz", X=X, y=np.array(list("01a0120")))
    refused(tmp_path / "a.npz", "y[2]: expected a number to regress, got 'a'", task="regression")
    np.savez(tmp_path / "a.npz", X=X, y=X)
    refused(tmp_path / "a.npz", "one label a sample, or one-hot rows, got 3 numbers", task="classification")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(X)[:-8], "expected 168 bytes of data, as its header says, got 160"),
        (npy(X) + b"x", "got more"),
        (npy(X).replace(b"(7, 3), }" + b" " * 9, b"(1073741824, 3), }"), "expected 25769803776 bytes"),
        (npy(X).replace(b"}", b"("), "another or a damaged header"),
        (npy(X)[:9], "another or a damaged header"),
        (npy(X).replace(b"'<f8'", b"'<q8'"), "another or a damaged header"),
        (npy(X).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "another or a damaged header"),
        (gzip.compress(npy(X))[:-60], "the compressed data end early"),
    ],
)
def test_damaged_npy(tmp_path, content, words):
    assert content != npy(X)
    (tmp_path / "X.npy").write_bytes(content)
    (tmp_path / "y.npy").write_bytes(npy(Y))
    refused(tmp_path / "X.npy", str(tmp_path / "X.npy"), words)


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=X, y=Y)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:100])
    refused(path, "the compressed data are damaged")
    content[80:140] = bytes(60)
    path.write_bytes(content)
    refused(path, "a.npz, X", "damaged")


def test_pair_without_its_other_half(tmp_path):
    (tmp_path / "X.npy").write_bytes(npy(X))
    refused(tmp_path / "X.npy", "X.npy: expected its targets under the name y")
    (tmp_path / "weights.npy").write_bytes(npy(X))
    refused(tmp_path / "weights.npy", "such as X.npy with y.npy beside it")
