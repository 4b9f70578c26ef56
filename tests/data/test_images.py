"""Folders of images by class: what is read from them, and what broken ones say."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from portanet.errors import MissingPackageError
from tests.data.make import load, refused

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")
RNG = np.random.default_rng(0)


def saved(root, name, shape=(4, 5), mode=None):
    """Write a picture of noise and return its pixels."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return pixels


@pytest.mark.parametrize(("channels", "kind"), [((), ()), ((3,), (3,)), ((4,), (4,))])
def test_round_trip_with_train_and_test(tmp_path, channels, kind):
    names = ["train/dog/b.png", "train/cat/x.png", "train/dog/a.bmp" if len(channels) == 0 else "train/dog/a.png"]
    b, x, a = (saved(tmp_path, name, (4, 5, *channels)) for name in names)
    t = saved(tmp_path, "test/dog/1.png", (4, 5, *channels))
    (tmp_path / "train" / "dog" / "Thumbs.db").write_bytes(b"x")
    data = load(tmp_path)
    np.testing.assert_array_equal(data.x, [x, a, b])
    np.testing.assert_array_equal(data.x_test, [t])
    assert data.x.shape == (3, 4, 5, *kind)
    assert data.x.dtype == np.uint8
    assert data.classes == ("cat", "dog")
    assert (data.y.tolist(), data.y_test.tolist()) == ([0, 1, 1], [1])
    assert data.scale == 255.0


def test_numbered_classes_without_parts(tmp_path):
    for name in ("10/a.png", "9/a.png"):
        saved(tmp_path, name)
    data = load(tmp_path)
    assert data.classes == ("9", "10")
    assert data.y.tolist() == [1, 0]
    assert data.x_test is None


def test_black_and_white_and_palettes_become_bytes(tmp_path):
    saved(tmp_path / "one", "a/1.png", mode="1")
    assert set(np.unique(load(tmp_path / "one").x)) <= {0, 255}
    saved(tmp_path / "p", "a/1.png", (4, 5, 3), mode="P")
    assert load(tmp_path / "p").x.shape == (1, 4, 5, 3)


def test_size_that_differs_names_the_first(tmp_path):
    saved(tmp_path, "a/0.png")
    saved(tmp_path, "a/1.png", (4, 6))
    saved(tmp_path, "b/0.png", (9, 9))
    words = ("2 of 3 are not of 5×4 pixels", f"such as {tmp_path / 'a' / '1.png'} of 6×4", "--image-size 4")
    assert "--grey" not in refused(tmp_path, *words)


def test_colours_that_differ(tmp_path):
    saved(tmp_path, "a/0.png")
    saved(tmp_path, "a/1.png", (4, 5, 3))
    saved(tmp_path, "a/2.png", (4, 5, 4))
    saved(tmp_path, "b/0.png")
    place = tmp_path / "a" / "1.png"
    words = (f"1 of 4 is in colour, such as {place}", "1 of 4 is in colour with transparency", "2 in grey")
    assert "--image-size" not in refused(tmp_path, *words, "bring them to one form by --grey or --colour")


def test_sixteen_bits(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint16)).save(tmp_path / "a" / "0.png")
    refused(tmp_path, str(tmp_path / "a" / "0.png"), "expected 8 bits a channel, got the mode I;16", "--grey")


def test_damaged_image(tmp_path):
    saved(tmp_path, "a/0.png", (40, 40))
    path = tmp_path / "a" / "0.png"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"no picture", b""):
        path.write_bytes(damaged)
        refused(tmp_path, f"{path}: expected an image that can be decoded")


def test_class_without_images_and_class_that_training_lacks(tmp_path):
    saved(tmp_path, "train/a/0.png")
    saved(tmp_path, "test/b/0.png")
    refused(tmp_path, str(tmp_path / "test" / "b" / "0.png"), "the label 'b' does not occur")
    (tmp_path / "train" / "c").mkdir()
    refused(tmp_path, f"{tmp_path / 'train' / 'c'}: expected images of the class 'c', got none")


def test_without_pillow(tmp_path, monkeypatch):
    saved(tmp_path, "a/0.png")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    refused(tmp_path, "PIL, which is not installed", 'pip install "portanet[data]"', kind=MissingPackageError)
