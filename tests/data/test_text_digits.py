"""Text digits in folders and zips: what is read from them, and what broken or hostile ones say."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from tests.data.make import digit, load, refused, text, zipped
from tests.data.real import data_folder

TRAIN = {"trainingDigits/3_10.txt": 1, "trainingDigits/3_2.txt": 2, "trainingDigits/0_0.txt": 3}
TEST = {"testDigits/0_4.txt": 4}


def written(root, seeds, end="\r\n"):
    for name, seed in seeds.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(digit(seed), end), newline="")
    return root


@pytest.mark.parametrize("form", ["folder", "zip", "zip in a folder"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_round_trip(tmp_path, form, end):
    seeds = TRAIN | TEST
    if form == "folder":
        path = written(tmp_path / "digits", seeds, end)
        (path / ".DS_Store").write_bytes(b"\0")
    else:
        outer = "digits/" if form == "zip in a folder" else ""
        members = {outer + name: text(digit(seed), end) for name, seed in seeds.items()}
        path = zipped(tmp_path / "d.zip", {**members, "README.md": "x", "__MACOSX/trainingDigits/._3_2.txt": "x"})
    data = load(path)
    # Ordered by label, then by number and not by its letters: 2 before 10.
    np.testing.assert_array_equal(data.x, [digit(3), digit(2), digit(1)])
    np.testing.assert_array_equal(data.x_test, [digit(4)])
    assert data.y.tolist() == [0, 1, 1]
    assert data.y_test.tolist() == [0]
    assert data.classes == ("0", "3")
    assert data.x.dtype == np.uint8
    assert data.scale == 1.0


def test_one_folder_of_digits_and_labels_of_letters(tmp_path):
    data = load(written(tmp_path / "trainingDigits", {"b_1.txt": 1, "a_1.txt": 2}))
    assert data.classes == ("a", "b")
    assert data.x_test is None
    assert load(written(tmp_path / "testDigits", {"b_1.txt": 1})).classes == ("b",)
    only_test = load(zipped(tmp_path / "t.zip", {"testDigits/7_1.txt": text(digit(1))}))
    assert (only_test.classes, only_test.x_test) == (("7",), None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [lines[0], lines[1][:-1], *lines[2:]], "line 2: expected 32 characters, got 31"),
        (lambda lines: [*lines[:4], lines[4] + "0", *lines[5:]], "line 5: expected 32 characters, got 33"),
        (lambda lines: [lines[0][:6] + "x" + lines[0][7:], *lines[1:]], "line 1, column 7: expected 0 or 1, got 'x'"),
        (lambda lines: lines[:31], "expected 32 lines, got 31"),
        (lambda lines: [*lines, lines[0]], "expected 32 lines, got 33"),
        (lambda lines: [], "expected 32 lines, got 0"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_broken_digit_names_file_line_and_column(tmp_path, change, words, form):
    content = "\n".join(change(text(digit(0), "\n").split()))
    name = "trainingDigits/8_0.txt"
    if form == "zip":
        path = zipped(tmp_path / "d.zip", {name: content})
    else:
        path = written(tmp_path, {name: 0})
        (path / name).write_text(content)
    refused(path, f"{path}, {name}", words)


@pytest.mark.parametrize("name", ["three.txt", "_1.txt", "3_x.txt", "trainingDigits/3-1.txt"])
def test_name_without_label(tmp_path, name):
    path = zipped(tmp_path / "d.zip", {name: text(digit(0))})
    refused(path, f"{path}, {name}: expected a name with the label before an underscore")


def test_digits_beside_the_marked_folders(tmp_path):
    path = written(tmp_path / "d", {**TRAIN, "3_1.txt": 1})
    refused(path, "3_1.txt: expected digits in trainingDigits and testDigits alone")


def test_test_label_that_training_lacks(tmp_path):
    path = written(tmp_path / "d", {**TRAIN, "testDigits/5_0.txt": 5})
    refused(path, "testDigits/5_0.txt: the label '5' does not occur", "0, 3")


def test_a_digit_that_is_twice_in_a_zip(tmp_path):
    path = zipped(
        tmp_path / "d.zip", {"trainingDigits/3_0.txt": text(digit(0)), "trainingDigits/0_0.txt": text(digit(1))}
    )
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("trainingDigits/3_0.txt", text(digit(2)))
    assert np.bincount(load(path).y).tolist() == [1, 2]


def test_zip_without_digits(tmp_path):
    refused(zipped(tmp_path / "d.zip", {"readme.md": "x"}), "expected text digits", "got none")
    refused(zipped(tmp_path / "e.zip", {}), "expected text digits", "got none")


@pytest.mark.parametrize("name", ["../3_1.txt", "/3_1.txt", "a/../../3_1.txt", "C:/3_1.txt", "..\\3_1.txt"])
def test_names_that_point_out_of_the_archive(tmp_path, name):
    refused(zipped(tmp_path / "d.zip", {name: text(digit(0))}), "refused", "points out of the archive")


def test_bomb_is_refused_by_its_size(tmp_path):
    path = zipped(tmp_path / "d.zip", {"3_1.txt": "0" * 50_000_000})
    assert path.stat().st_size < 100_000
    refused(path, "3_1.txt: expected a text digit of about 1 kB, got 50000000 bytes")


def test_encrypted_and_rare_compression(tmp_path):
    path = zipped(tmp_path / "d.zip", {"3_1.txt": text(digit(0))})
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\1\2") + 8] |= 1  # the flag of encryption in the central directory
    path.write_bytes(content)
    refused(path, "3_1.txt: expected a plain zip, got an encrypted one")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("3_1.txt", text(digit(0)))
    refused(path, "3_1.txt: expected a stored or deflated member")


def test_damaged_zips(tmp_path):
    path = zipped(tmp_path / "d.zip", {f"3_{i}.txt": text(digit(i)) for i in range(5)})
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-40])
    refused(path, "the compressed data are damaged", "copy or download the file again")
    content[60:120] = b"\xff" * 60  # in the middle of the first member
    path.write_bytes(content)
    refused(path, "3_0.txt: the compressed data are damaged")


def test_real_digits():
    data = load(data_folder("digits.zip") / "digits.zip")
    assert data.x.shape == (1934, 32, 32)
    assert data.x_test is not None
    assert data.x_test.shape == (946, 32, 32)
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.y).tolist() == [189, 198, 195, 199, 186, 187, 195, 201, 180, 204]
    assert np.bincount(data.y_test).tolist() == [87, 97, 92, 85, 114, 108, 87, 96, 91, 89]
    assert data.x.max() == 1
