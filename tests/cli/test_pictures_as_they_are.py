"""What is wrong with a folder of pictures is said: repeats, files that are not read, broken and dark ones, parts."""

from __future__ import annotations

import csv
import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.data import Pictures, load
from portanet.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")
NET = ["--layers", "4", "--epochs", "1", "--quiet"]


def pixels(seed, size=(6, 8)):
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def put(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path)


@pytest.fixture
def parts(cli):
    """Make 6 and 4 pictures of two classes in the parts train and val, and go there."""
    for i in range(12):
        put(Path("parts/train") / "ab"[i % 2] / f"{i} (50%).png", pixels(i))
    for i in range(20, 24):
        put(Path("parts/val") / "ab"[i % 2] / f"{i}.png", pixels(i))
    return cli


def test_pictures_that_are_in_two_parts_or_classes_are_counted(parts):
    assert "too good" not in parts("train", "parts", *NET).err
    shutil.copy("parts/train/a/0 (50%).png", "parts/val/a/again.png")
    shutil.copy("parts/train/a/2 (50%).png", "parts/val/b/again.png")
    shutil.copy("parts/train/a/4 (50%).png", "parts/train/b/again.png")
    done = parts("train", "parts", *NET)
    assert done.code == 0
    assert "2 of 6 pictures of the part val are training pictures too, such as parts/val/a/again.png and" in done.err
    twice = "parts/train/a/4 (50%).png and parts/train/b/again.png"
    assert f"2 pictures occur under two classes, such as {twice}" in done.err


def test_pictures_of_phones_are_counted_and_not_dropped_silently(parts):
    for name in ("x.HEIC", "y.avif", ".hidden.heic"):
        Path("parts/train/a", name).write_bytes(b"not read")
    done = parts("train", "parts", *NET)
    assert "left out 2 pictures of kinds that are not read, such as parts/train/a/x.HEIC" in done.err
    assert "left out" in parts("predict", "runs/parts", "parts").err
    done = parts("predict", "runs/parts", "parts/train/a/x.HEIC")
    assert done.code == 3
    assert "convert it to PNG or JPEG" in done.err


def test_which_part_is_predicted_is_said(parts):
    parts("train", "parts", *NET)
    done = parts("predict", "runs/parts", "parts")
    assert "its val part, 4 of 16 pictures" in done.err
    assert len(list(csv.reader(io.StringIO(done.out)))) == 5


def test_all_broken_pictures_are_counted_at_once(parts):
    whole = Path("parts/train/a/0 (50%).png").read_bytes()
    Path("parts/train/a/cut.png").write_bytes(whole[:-30])
    Path("parts/train/b/none.png").write_bytes(b"")
    Path("parts/train/b/other.png").write_bytes(b"text")
    done = parts("train", "parts", *NET)
    assert done.code == 3
    assert "parts/train/a/cut.png: expected an image that can be decoded" in done.err
    assert "2 more cannot be decoded, such as parts/train/b/none.png" in done.err
    done = parts("train", "parts", *NET, "--skip-broken")
    assert "none.png: expected an image that can be decoded, got an empty file" in done.err


def test_deep_pictures_are_counted_with_those_of_another_kind(parts):
    put(Path("parts/train/a/deep.png"), Image.fromarray(pixels(50).astype(np.uint16) * 257))
    done = parts("train", "parts", *NET)
    assert done.code == 3
    assert "1 of 13 is of more than 8 bits a channel, such as parts/train/a/deep.png; 12 in grey" in done.err
    for file in Path("parts").rglob("*.png"):
        put(file, Image.fromarray(pixels(1).astype(np.uint16)))
    done = parts("train", "parts", *NET)
    assert "expected 8 bits a channel, got the mode I;16" in done.err
    done = parts("train", "parts", *NET, "--grey")  # of 8 bits, in files of 16: all but black
    assert "13 of 13 pictures are nearly black" in done.err


def test_lab_becomes_grey(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for name in "ab":
        put(tmp_path / name / "x.tiff", Image.fromarray(colour).convert("LAB"))
    found = load(tmp_path, pictures=Pictures(colours="grey")).x[0]
    assert found.tolist() == np.asarray(Image.fromarray(colour).convert("LAB").convert("RGB").convert("L")).tolist()


def test_a_class_alone_and_a_size_that_pools_leave_nothing_of(parts):
    shutil.rmtree("parts/train/b")
    shutil.rmtree("parts/val")
    assert "add a folder of pictures for each other class" in parts("train", "parts/train", *NET).err
    put(Path("parts/train/b/x.png"), pixels(3))
    done = parts("train", "parts/train", "--model", "vgg", "--image-size", "7")
    assert done.code == 3
    assert "--model vgg: expected images of at least 8×8 pixels, got 7×7" in done.err
    for model, least in (("vgg", "8"), ("lenet", "4"), ("cnn", "6"), ("resnet", "1"), ("depthwise", "1")):
        done = parts("train", "parts/train", "--model", model, "--image-size", least, "--epochs", "1", "--quiet")
        assert done.code == 0, (model, done.err)


def test_tune_decides_by_the_validation_part_and_cv_leaves_it_alone(parts):
    Path("space.toml").write_text("lr = [0.001, 0.1]\n")
    how = ("tune", "parts", "--space", "space.toml", "--trials", "2", "--epochs", "2", "--layers", "4", "--json")
    best = json.loads(parts(*how).out)[0]
    parts("train", "parts", "--layers", "4", "--epochs", "2", "--lr", str(best["lr"]), "--quiet", "--out", "run")
    row = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])
    assert best["val_loss"] == pytest.approx(row["val_loss"], rel=1e-4)
    done = parts(*how, "--val-fraction", ".5")
    assert done.code == 2
    assert "parts has a validation part; leave it out" in done.err
    done = parts("cv", "parts", "-k", "2", "--epochs", "1", "--layers", "4")
    assert done.code == 0
    assert "its validation part of 4 samples is left alone" in done.err


@pytest.mark.parametrize(
    "form", [("--image-size", "12x10", "--colour"), ("--image-size", "9", "--grey", "--fit", "crop")]
)
def test_the_script_takes_picture_files(parts, form):
    colour = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    image, turned = Image.fromarray(colour), Image.Exif()
    turned[0x0112] = 6
    Path("new").mkdir()
    image.save("new/photo.jpg", exif=turned)
    image.convert("LA").save("new/alpha.png")
    Image.fromarray(pixels(3).astype(np.uint16) * 257).save("new/deep.png")
    image.convert("P").save("new/palette.gif")
    assert parts("train", "parts", *form, *NET).code == 0
    assert "or a picture file" in parts("export", "runs/parts", "--to", "numpy", "-o", "net.py").err
    script, net = runpy.run_path("net.py"), pn.load("runs/parts/best.safetensors")
    rows = list(csv.reader(io.StringIO(parts("predict", "runs/parts", "new", "--proba").out)))[1:]
    assert len(rows) == 4
    for file, label, _, first, second in rows:
        p = script["predict"](script["samples"](file)).ravel()
        assert p[-1] == pytest.approx(float(second), abs=1e-6)
        assert float(first) + float(second) == pytest.approx(1, abs=1e-6)
        done = subprocess.run([sys.executable, "net.py", file], capture_output=True, text=True, check=True)
        assert done.stdout == f"{label}\n"
    assert net.pictures is not None


def test_a_broken_picture_among_arrays_read_in_python(parts):
    Path("parts/train/a/cut.png").write_bytes(b"")
    with pytest.raises(DataError, match="an empty file"):
        load("parts")


def test_info_counts_pictures_that_are_not_alike(parts):
    put(Path("parts/train/a/deep.png"), Image.fromarray(pixels(50).astype(np.uint16) * 257))
    put(Path("parts/train/b/colour.png"), Image.fromarray(pixels(51, (9, 7, 3))))
    Path("parts/val/b/cut.png").write_bytes(b"")
    done = parts("info", "parts")
    assert done.code == 0, done.err
    assert "parts: 19 pictures of 2 classes, not alike" in done.out
    assert "sizes    16 8×6, 1 7×9" in done.out
    assert "colours  16 grey, 1 more than 8 bits a channel, 1 colour, 1 cannot be decoded" in done.out
    assert "to train bring them to one form by --image-size 8x6 and --grey or --colour" in done.out
    found = json.loads(parts("info", "parts", "--json").out)
    assert (found["train"], found["val"]) == ({"a": 7, "b": 7}, {"a": 2, "b": 3})
    assert found["sizes"] == {"8×6": 16, "7×9": 1}
    for file in ("parts/train/a/deep.png", "parts/train/b/colour.png", "parts/val/b/cut.png"):
        Path(file).unlink()
    assert "samples of 6×8" in parts("info", "parts").out
