"""What becomes of samples and targets before the first batch, and each refusal in words that help."""

from __future__ import annotations

import numpy as np
import pytest

from portanet import losses
from portanet.data.batching import prepare
from portanet.errors import DataError, ShapeError

X = np.arange(12.0).reshape(4, 3)
SOFTMAX, BINARY, SQUARE = losses.SoftmaxCrossEntropy(), losses.BinaryCrossEntropy(), losses.MeanSquaredError()


class Frame:
    """Stands in for a table of another library: NumPy can make an array of it."""

    def __array__(self, dtype=None, copy=None):
        return np.asarray(X, dtype)


SAMPLES = [
    ("float64", X, "float32"),
    ("float16", X.astype("float16"), "float32"),
    ("big-endian", X.astype(">f8"), "float32"),
    ("int64", X.astype("int64"), "float32"),
    ("list", X.tolist(), "float32"),
    ("tuple of rows", tuple(X), "float32"),
    ("another library's table", Frame(), "float32"),
    ("nothing masked", np.ma.masked_array(X, mask=False), "float32"),
    ("columns first", np.asfortranarray(X), "float32"),
    ("uint8", X.astype("uint8"), "uint8"),
    ("bool", X > 3, "bool"),
    ("int16", X.astype("int16"), "int16"),
]


@pytest.mark.parametrize(("x", "dtype"), [s[1:] for s in SAMPLES], ids=[s[0] for s in SAMPLES])
def test_samples(x, dtype):
    got = prepare.samples(x, "float32", (3,))
    assert (got.dtype, got.shape) == (np.dtype(dtype), (4, 3))
    np.testing.assert_array_equal(got, X > 3 if dtype == "bool" else X)


def test_samples_in_form_are_not_copied():
    x = X.astype("float32")
    assert prepare.samples(x, "float32") is x


def test_samples_on_a_device_stay_there(backend):
    with backend.activate():
        x = backend.asarray(X, "float32")
        if backend.name != "numpy":
            assert prepare.samples(x, "float64") is x
        with pytest.raises(ShapeError, match=r"x: expected samples of shape \(5,\), got \(3,\)"):
            prepare.samples(x, "float32", (5,))


def nan(place, value=np.nan):
    x = X.copy()
    x[place] = value
    return x


REFUSED = [
    (None, DataError, "x: expected real numbers, got None; give an array"),
    ("data.csv", DataError, "x: expected real numbers, got the text 'data.csv'; load it first"),
    ({"a": 1}, DataError, "x: expected real numbers, got dict; give an array"),
    (5.0, ShapeError, "x: expected rows of samples, got an array of shape ()"),
    (X[0], ShapeError, "got an array of shape (3,), which is one sample; add the axis: x[None]"),
    (X[:2, 0], ShapeError, "got an array of shape (2,); reshape one feature to (n, 1)"),
    (np.zeros((0, 3)), DataError, "x: expected at least one sample, got an array of shape (0, 3); look where its rows"),
    ([[1.0, 2.0], [3.0]], DataError, "x: expected rows of equal length, got a ragged list"),
    (np.asarray([[1, "a"]], dtype=object), DataError, "an array of objects, among them 'a'; leave these out"),
    (np.asarray([["1", "2"]]), DataError, "got text such as '1'"),
    (np.asarray([["a", 2]], dtype=object), DataError, "got text such as 'a'"),
    (X * 1j, DataError, "got complex numbers (complex128); take their real parts or magnitudes"),
    (X.astype("datetime64[D]"), DataError, "got an array of datetime64[D]; convert it first"),
    (np.ma.masked_greater(X, 5), DataError, "x: expected numbers only, got an array with masked entries; fill them"),
    (nan((2, 1)), DataError, "x: expected finite numbers in float32, got nan at index (2, 1); fix or drop that row"),
    (nan((0, 2), -np.inf), DataError, "got -inf at index (0, 2)"),
    (nan((1, 0), 1e300), DataError, "expected finite numbers in float32, got 1e+300 at index (1, 0)"),
    (np.asarray([[np.inf, -np.inf]]), DataError, "got inf at index (0, 0)"),
    (X[:, :2], ShapeError, "x: expected samples of shape (3,), got (2,); retrain for other data"),
]


@pytest.mark.parametrize(("x", "kind", "said"), REFUSED, ids=[r[2][-30:] for r in REFUSED])
def test_samples_refused(x, kind, said):
    with pytest.raises(kind) as caught:
        prepare.samples(x, "float32", (3,))
    assert said in str(caught.value)
    assert type(caught.value) is kind


def test_one_image_without_the_axis_of_samples():
    with pytest.raises(ShapeError, match=r"x: expected samples of shape \(4, 5\) along a first axis"):
        prepare.samples(np.zeros((4, 5)), "float32", (4, 5))
    assert prepare.samples(np.zeros((4, 4, 5)), "float32", (4, 5)).shape == (4, 4, 5)


def test_a_large_sum_is_no_fault():
    x = np.full((4, 3), 3e38, dtype="float32")
    assert prepare.samples(x, "float32") is x


TARGETS = [
    ([0, 2, 1, 2], 3, SOFTMAX, "int32"),
    (np.asarray([0, 2, 1, 2], dtype="uint8"), 3, SOFTMAX, "int32"),
    (np.asarray([0.0, 2.0, 1.0, 2.0]), 3, SOFTMAX, "int32"),
    (np.asarray([True, False, True, True]), 2, SOFTMAX, "int32"),
    (np.eye(3)[[0, 2, 1, 2]], 3, SOFTMAX, "float32"),
    ([0, 2, 1, 2], 3, SQUARE, "int32"),
    ([0, 1, 1, 0], 1, BINARY, "float32"),
    (np.asarray([True, False, True, True]), 1, BINARY, "float32"),
    ([[0], [1], [1], [0]], 1, BINARY, "float32"),
    ([[0, 1], [1, 1], [1, 0], [0, 0]], 2, BINARY, "float32"),
    (X[:, 0], 1, SQUARE, "float32"),
    (X, 3, SQUARE, "float32"),
]


@pytest.mark.parametrize(("y", "outputs", "loss", "dtype"), TARGETS)
def test_targets(y, outputs, loss, dtype):
    got = prepare.targets(y, 4, outputs, loss, "float32")
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got, np.asarray(y))


Y = [0, 2, 1, 2]
REFUSED_TARGETS = [
    (None, 3, SOFTMAX, DataError, "y: expected targets, got None; give them as the second argument"),
    (Y[:3], 3, SOFTMAX, ShapeError, "y: expected one target for each of the 4 samples, got an array of shape (3,)"),
    (1, 3, SOFTMAX, ShapeError, "y: expected one target for each of the 4 samples, got an array of shape ()"),
    ([], 3, SOFTMAX, ShapeError, "of the 4 samples, got an array of shape (0,)"),
    (np.eye(4), 3, SOFTMAX, ShapeError, "y: expected 3 numbers a sample, as the network has outputs, got shape (4, 4)"),
    ([[0], [2], [1], [2]], 3, SOFTMAX, ShapeError, "got shape (4, 1); y.reshape(-1) makes class indices of a column"),
    (np.zeros((4, 3, 1)), 3, SQUARE, ShapeError, "got shape (4, 3, 1)"),
    ([0, 3, 1, 2], 3, SOFTMAX, DataError, "y: expected class indices 0 … 2 for 3 outputs, got 3 at row 1; number"),
    ([0, 2, -1, 2], 3, SOFTMAX, DataError, "got -1 at row 2; number the classes from 0, or give the network as many"),
    ([0, 0.5, 1, 2], 3, SOFTMAX, DataError, "expected class indices (whole numbers) for 3 outputs, got 0.5 at row 1"),
    (
        [0, np.nan, 1, 2],
        3,
        SOFTMAX,
        DataError,
        "expected class indices (whole numbers) for 3 outputs, got nan at row 1",
    ),
    (["a", "b", "a", "c"], 3, SOFTMAX, DataError, "y: expected real numbers, got text such as 'a'; number it first"),
    (np.asarray(Y) * 1j, 3, SOFTMAX, DataError, "y: expected real numbers, got complex numbers"),
    ([[0, 1], [1], [0], [1]], 3, SOFTMAX, DataError, "y: expected rows of equal length, got a ragged list"),
    (np.ma.masked_equal(Y, 1), 3, SOFTMAX, DataError, "y: expected numbers only, got an array with masked entries"),
    ([1, np.inf, 1, 1], 1, SQUARE, DataError, "y: expected finite numbers in float32, got inf at index (1,)"),
    ([1, -1, 1, 1], 1, BINARY, DataError, "y: BinaryCrossEntropy expects targets from 0 to 1, got -1 to 1"),
    ([1, -1, 1, 1], 1, losses.Poisson(), DataError, "y: Poisson expects targets from 0 to inf, got -1 to 1"),
    (2 * np.eye(4)[:, :3], 3, SOFTMAX, DataError, "SoftmaxCrossEntropy expects targets from 0 to 1, got 0 to 2"),
]


@pytest.mark.parametrize(
    ("y", "outputs", "loss", "kind", "said"), REFUSED_TARGETS, ids=[r[4][-30:] for r in REFUSED_TARGETS]
)
def test_targets_refused(y, outputs, loss, kind, said):
    with pytest.raises(kind) as caught:
        prepare.targets(y, 4, outputs, loss, "float32")
    assert said in str(caught.value)
    assert type(caught.value) is kind


def test_class_indices_on_a_device_are_checked_as_well(backend):
    # Out of range they would match no class, and train on nothing without a word.
    with backend.activate():
        good, bad = backend.asarray([0, 2, 1, 2], "int32"), backend.asarray([0, 3, 1, 2], "int32")
        np.testing.assert_array_equal(backend.to_numpy(prepare.targets(good, 4, 3, SOFTMAX, "float32")), Y)
        with pytest.raises(DataError, match="got 3 at row 1"):
            prepare.targets(bad, 4, 3, SOFTMAX, "float32")


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_samples_are_in_one_piece(dtype):
    """A column cut off a table leaves a strided array, which would be copied whole for every batch."""
    table = np.arange(12).reshape(3, 4).astype(dtype)
    x = prepare.samples(table[:, 1:], "float32")
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, table[:, 1:])
