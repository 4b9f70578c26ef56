"""IDX files: what is read from them, and what broken ones say."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portanet.data.readers import idx as module
from tests.data.make import IDX_CODES, idx, idx_folder, load, refused
from tests.data.real import MNIST, data_folder

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 3, 4), dtype=np.uint8)
Y = np.array([2, 0, 1, 2, 0, 1], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    return idx_folder(tmp_path / "set", X, Y, X[:2], Y[:2])


def test_folder_round_trip(folder):
    data = load(folder)
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.x_test, X[:2])
    np.testing.assert_array_equal(data.y_test, Y[:2])
    assert data.x.dtype == np.uint8
    assert data.y.dtype == data.y_test.dtype == np.int64
    assert data.classes == ("0", "1", "2")
    assert data.scale == 255.0
    assert data.x.flags.writeable


def test_names_with_dots_packed_and_without_test_part(tmp_path):
    folder = idx_folder(tmp_path, X, Y, dot=".")
    for path in list(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    data = load(folder)
    np.testing.assert_array_equal(data.x, X)
    assert data.x_test is None


def test_a_folder_of_such_a_name_is_looked_into(folder):
    """Some programs unpack each file into a folder of its name, next to the file or in its place."""
    name = "train-images-idx3-ubyte"
    (folder / "packed").mkdir()
    (folder / name).rename(folder / "packed" / name)
    (folder / "packed").rename(folder / name)
    np.testing.assert_array_equal(load(folder).x, X)
    (folder / "train-labels.idx1-ubyte").mkdir()  # an empty one next to the file
    np.testing.assert_array_equal(load(folder).y, Y)


def test_plain_file_is_taken_before_its_packed_copy(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(Y[::-1].copy())))
    np.testing.assert_array_equal(load(folder).y, Y)


def test_test_images_stand_for_the_test_pair(folder):
    data = load(folder / "t10k-images-idx3-ubyte")
    np.testing.assert_array_equal(data.x, X[:2])
    assert data.x_test is None
    assert data.classes == ("0", "2")
    assert len(load(folder / "train-images-idx3-ubyte").x_test) == 2


def test_labels_that_do_not_begin_at_zero_are_numbered(tmp_path):
    data = load(idx_folder(tmp_path, X, Y * 10 + 5))
    np.testing.assert_array_equal(data.y, Y)
    assert data.classes == ("5", "15", "25")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_arrays_of_every_type_round_trip(tmp_path, data):
    dtype = data.draw(st.sampled_from(sorted(IDX_CODES)))
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
    array = data.draw(hnp.arrays(np.dtype(dtype), shape))
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(idx(array)) if data.draw(st.booleans()) else idx(array))
    back = module.read_idx_array(path)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("cut", [1, 10, 71])
def test_truncated_file_says_how_many_bytes(folder, cut):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-cut])
    refused(
        folder, str(path), "expected 72 bytes", f"cannot hold more than {88 - cut}" if cut > 16 else f"got {72 - cut}"
    )


def test_truncated_header_and_trailing_bytes(folder):
    path = folder / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    path.write_bytes(whole[:9])
    refused(folder, str(path), "expected a header of 16 bytes, got 9")
    path.write_bytes(whole + b"x")
    refused(folder, str(path), "expected 72 bytes", "got more")


def test_truncated_gzip_says_how_many_bytes(tmp_path):
    folder = idx_folder(tmp_path, RNG.integers(0, 256, (50, 8, 8), dtype=np.uint8), np.arange(50, dtype=np.uint8) % 3)
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes())[:-1000])
    refused(folder, "3200 bytes of data expected", "the compressed data end early, after", "bytes")


def test_header_of_absurd_sizes_is_refused_before_memory_is_taken(folder):
    header = bytes([0, 0, 8, 3]) + (2**20).to_bytes(4) * 3
    (folder / "train-images-idx3-ubyte").write_bytes(header)
    refused(folder, f"expected {2**60} bytes", "cannot hold more than")
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.compress(header))
    refused(
        folder, f"its header announces {2**20} rows, which take {2**60} bytes", "unpack it yourself, if you trust it"
    )


@pytest.mark.parametrize("magic", [b"\0\0\x07\x03", b"\1\0\x08\x03", b"\0\0\x08\0", b"\0"])
def test_wrong_magic(folder, magic):
    (folder / "train-images-idx3-ubyte").write_bytes(magic + b"\0" * 40 * (len(magic) > 1))
    refused(folder, "train-images-idx3-ubyte: expected an IDX file", f"got {magic.hex(' ')}")


def test_counts_that_differ(tmp_path):
    folder = idx_folder(tmp_path, X, Y[:-1])
    refused(folder, "train-images-idx3-ubyte holds 6 images", "train-labels-idx1-ubyte 5 labels")


def test_images_and_labels_swapped(tmp_path):
    folder = idx_folder(tmp_path, X, Y)
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    content = images.read_bytes(), labels.read_bytes()
    images.write_bytes(content[1])
    labels.write_bytes(content[0])
    refused(folder, "labels of one axis, got the shape (6, 3, 4)", "swapped")


def test_missing_labels_and_two_sets_in_one_folder(folder):
    (folder / "train-labels-idx1-ubyte").rename(folder / "emnist-train-labels-idx1-ubyte")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(Y))
    refused(folder, "one file of training labels", "got 2 (", "emnist-train-labels-idx1-ubyte")
    for path in folder.glob("*train-labels*"):
        path.unlink()
    refused(folder, "one file of training labels, such as train-labels-idx1-ubyte", "got none")


def test_test_part_of_other_shape_or_labels(tmp_path):
    refused(idx_folder(tmp_path / "a", X, Y, X[:2, :2], Y[:2]), "the shape (3, 4)", "the test part (2, 4)")
    folder = idx_folder(tmp_path / "b", X, Y, X[:2], Y[:2] + np.uint8(1))
    refused(folder, "t10k-labels-idx1-ubyte, label 0: the label '3' does not occur", "0, 1, 2")


def test_no_samples_and_a_name_without_a_part(tmp_path):
    refused(idx_folder(tmp_path / "a", X[:0], Y[:0]), "one sample, got the shape (0, 3, 4); write the file again")
    path = tmp_path / "images.idx"
    path.write_bytes(idx(X))
    refused(path, "expected a name such as train-images-idx3-ubyte")


def test_real_mnist(monkeypatch):
    monkeypatch.setenv("PORTANET_DATA", str(data_folder(*MNIST)))
    begin = time.process_time()
    data = load("mnist")
    seconds = time.process_time() - begin
    assert data.name == "mnist"
    assert data.x.shape == (60000, 28, 28)
    assert data.x_test is not None
    assert data.x_test.shape == (10000, 28, 28)
    assert data.classes == tuple("0123456789")
    assert data.scale == 255.0
    # Known of MNIST: the counts of each digit, the sums of the pixels, the first labels 5 0 4 1 9.
    assert np.bincount(data.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert abs(float(data.x.mean()) / 255 - 0.1307) < 5e-5
    assert seconds < 20
