"""A folder of pictures as a user has it: trained on, evaluated by class, and new pictures classified."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.cli.main import run
from portanet.data import Pictures
from portanet.data.pictures.decode import decoded
from portanet.data.pictures.files import on_disk

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")
FORM = ["--image-size", "8x6", "--grey"]
NET = ["--layers", "8", "--epochs", "15", "--lr", ".02", "--batch-size", "16", "--quiet"]


def picture(path, label, seed):
    """Write a picture that is bright on the left or on the right, of one of two sizes, modes and formats."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (12, 16) if seed // 2 % 2 else (18, 24), dtype=np.uint8)
    half = pixels.shape[1] // 2
    pixels[:, slice(half) if label == "left" else slice(half, None)] += 150
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if seed % 3 else image.convert("RGB")).save(path.with_suffix(".png" if seed % 2 else ".jpg"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on pictures of two classes; return the folder of the data, of new pictures, and of the run."""
    folder = tmp_path_factory.mktemp("trained")
    for i in range(60):
        picture(folder / "sides" / ("left", "right")[i % 2] / f"deep/{i:02}", ("left", "right")[i % 2], i)
    for i in range(6):
        picture(folder / "new" / f"{i}", ("left", "right")[i % 2], 1000 + i)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PORTANET_BACKEND", "numpy")
        assert run(["train", "sides", *FORM, "--val-fraction", ".2", *NET]) == 0
    return folder


@pytest.fixture
def sides(cli, trained, tmp_path):
    """Return the command line in a folder with ``sides``, ``new`` and ``runs/sides``."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return cli


def table(text):
    return list(csv.reader(io.StringIO(text)))


def test_without_a_form_the_error_counts_and_names_the_options(sides):
    done = sides("train", "sides", *NET)
    assert done.code == 3
    for words in ("of 60 are not of", "of 60 are in colour, such as sides/", "--image-size", "--grey or --colour"):
        assert words in done.err


def test_the_form_is_kept_and_predict_makes_it_again(sides, tmp_path):
    net = pn.load("runs/sides/best.safetensors")
    assert net.pictures == Pictures((8, 6), "pad", "grey")
    files = sorted(Path("new").iterdir())
    header, *rows = table(sides("predict", "runs/sides", "new").out)
    assert header == ["file", "label", "probability"]
    assert [row[0] for row in rows] == [str(file) for file in files]
    assert [row[1] for row in rows] == ["left", "right"] * 3
    x = np.stack([decoded(on_disk(file), net.pictures) for file in files])
    p = net.predict(x)[:, 0]
    assert [float(row[2]) for row in rows] == pytest.approx(np.maximum(p, 1 - p), rel=1e-5)
    header, *rows = table(sides("predict", "runs/sides", "new", "--proba").out)
    assert header == ["file", "label", "probability", "left", "right"]
    assert [float(row[4]) for row in rows] == pytest.approx(p, rel=1e-5)


def test_all_the_ways_to_name_new_pictures(sides, tmp_path):
    files = sorted(str(file) for file in Path("new").iterdir())
    with zipfile.ZipFile("new.zip", "w") as archive:
        for file in files:
            archive.write(file)
    for name in ("here", "there"):  # by classes that the network does not know
        Path("sorted", name).mkdir(parents=True)
    for i, file in enumerate(files):
        Path("sorted", ("here", "there")[i % 2], Path(file).name).write_bytes(Path(file).read_bytes())

    def names(*paths):
        done = sides("predict", "runs/sides", *paths)
        assert done.code == 0, done.err
        return [row[0] for row in table(done.out)[1:]]

    assert names(files[0]) == files[:1]
    assert names(files[2], files[0], files[2]) == [files[2], files[0]]
    assert names("new/*.png") == [file for file in files if file.endswith(".png")]
    assert names("n*") == [*files, *(f"new.zip/{file}" for file in files)]
    assert names("new.zip") == [f"new.zip/{file}" for file in files]
    assert sorted(Path(name).name for name in names("sorted")) == [Path(file).name for file in files]
    done = sides("predict", "runs/sides", "new", "-o", "out.csv")
    assert "out.csv: 6 predictions" in done.err
    assert Path("out.csv").read_text() == sides("predict", "runs/sides", "new").out


def test_what_is_predicted_comes_out_while_the_rest_is_read(sides, monkeypatch):
    monkeypatch.setattr("portanet.cli.predict._PICTURES", 2)
    (Path("new") / "5.jpg").write_bytes(b"no picture")
    Path("new/5.png").unlink(missing_ok=True)
    done = sides("predict", "runs/sides", "new")
    assert done.code == 3
    assert len(table(done.out)) == 5  # the header and two blocks
    assert "new/5.jpg: expected an image that can be decoded" in done.err
    done = sides("predict", "runs/sides", "new", "--skip-broken")
    assert (done.code, len(table(done.out))) == (0, 6)
    assert "new: skipped 1 of 6 pictures" in done.err


@pytest.mark.parametrize(
    ("paths", "code", "message"),
    [
        (["nothing*.png"], 3, "nothing fits it"),
        (["new/0.png", "moons"], 2, "moons: expected pictures, as several PATHs were given"),
        (["empty"], 3, "empty"),
        (["new/0.png", "nowhere.png"], 3, "nowhere.png: no such file or folder"),
        (["new", "--target", "y"], 2, "it names a column of a table"),
        (["new", "--part", "test"], 3, "expected a folder test next to one called train"),
    ],
)
def test_predict_says_what_is_no_picture(sides, paths, code, message):
    Path("empty").mkdir()
    picture(Path("new/0"), "left", 1)
    done = sides("predict", "runs/sides", *paths)
    assert done.code == code
    assert message in done.err
    assert done.out == ""


def test_evaluate_reports_by_class(sides):
    found = json.loads(sides("evaluate", "runs/sides", "sides", "--json").out)
    assert {name: own["samples"] for name, own in found["classes"].items()} == {"left": 30, "right": 30}
    recalls = [own["recall"] for own in found["classes"].values()]
    assert found["accuracy"] == pytest.approx(np.mean(recalls))
    assert found["accuracy"] > 0.9
    done = sides("evaluate", "runs/sides", "sides")
    assert done.out.splitlines()[1].split() == ["class", "samples", "recall", "precision"]
    assert done.out.splitlines()[2].split()[:2] == ["left", "30"]


def test_a_class_without_samples_has_no_recall(sides):
    (Path("sides") / "right").rename("away")
    found = json.loads(sides("evaluate", "runs/sides", "sides", "--json").out)
    assert found["classes"]["right"]["recall"] is None


def test_a_run_is_made_again_from_its_configuration(sides):
    done = sides("train", "--config", "runs/sides/config.toml", "--out", "again", "--quiet")
    assert done.code == 0, done.err
    first, again = (pn.load(f"{run}/last.safetensors") for run in ("runs/sides", "again"))
    assert first.pictures == again.pictures
    assert all(np.array_equal(first.params[name], again.params[name]) for name in first.params)


def test_a_network_of_other_data_takes_pictures_in_its_own_form(cli, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 8), dtype=np.uint8)
    np.savez(tmp_path / "grey.npz", x=x, y=np.arange(40) % 2)
    assert cli("train", "grey.npz", "--layers", "4", "--epochs", "1", "--quiet").code == 0
    picture(tmp_path / "a", "left", 3)
    done = cli("predict", "runs/grey", "a.png")
    assert done.code == 0, done.err
    assert "brought to the form that the network takes: 8×6 pixels, padded with black, in grey" in done.err
    assert cli("train", "digits", "--layers", "4", "--epochs", "1", "--quiet").code == 0
    assert "was trained on far smaller ones" in cli("predict", "runs/digits", "a.png").err
    assert cli("train", "moons", "--layers", "4", "--epochs", "1", "--quiet").code == 0
    refused = cli("predict", "runs/moons", "a.png")
    assert refused.code == 3
    assert "expected samples of 2, as the network was trained on, got pictures" in refused.err


def test_intervals_of_numbers_predicted_for_pictures(cli, tmp_path):
    x = np.random.default_rng(0).random((120, 8, 8, 1)).astype("float32")
    np.savez(tmp_path / "brightness.npz", X=x, y=x.mean((1, 2, 3)))
    words = ("--val-fraction", "0.2", "--epochs", "2", "--out", str(tmp_path / "run"), "--quiet")
    assert cli("train", str(tmp_path / "brightness.npz"), *words).code == 0
    Image.fromarray(np.full((8, 8), 90, "uint8")).save(tmp_path / "new.png")
    run = str(tmp_path / "run")
    header, row = table(cli("predict", run, str(tmp_path / "new.png"), "--interval", "0.9").out)
    _, other, *_ = table(cli("predict", run, str(tmp_path / "brightness.npz"), "--interval", "0.9").out)
    assert header == ["file", "value", "value_lower", "value_upper"]
    widths = [float(upper) - float(lower) for _, _, lower, upper in (row, other)]
    assert widths[0] == pytest.approx(widths[1], rel=1e-3)
    assert widths[0] > 0


def test_parts_of_a_folder_are_used(cli, tmp_path):
    for part, count in (("train", 20), ("val", 8), ("test", 6)):
        for i in range(count):
            label = ("left", "right")[i % 2]
            picture(tmp_path / "sides" / part / label / f"{i}", label, 100 * count + i)
    done = cli("train", "sides", *FORM, *NET, "--early-stop", "20", "--classes", "right,left", "--plots")
    assert done.code == 0, done.err
    assert pn.load("runs/sides/best.safetensors").classes == ("right", "left")
    report = json.loads(Path("runs/sides/report.json").read_text())
    assert {"val_accuracy", "test_accuracy"} <= set(report["metrics"])
    for part, count in (("test", 6), ("val", 8), ("train", 20)):
        words = [] if part == "test" else ["--part", part]
        found = json.loads(cli("evaluate", "runs/sides", "sides", "--json", *words).out)
        assert (found["part"], found["samples"]) == (part, count)
        assert len(table(cli("predict", "runs/sides", "sides", *words).out)) == count + 1
    refused = cli("train", "sides", *FORM, *NET, "--val-fraction", ".1")
    assert (refused.code, "has a validation part" in refused.err) == (2, True)
    resumed = cli("train", "--resume", "runs/sides", "--epochs", "16", "--quiet")
    assert resumed.code == 0, resumed.err


def test_classes_that_are_not_those_of_the_data(sides):
    refused = sides("train", "sides", *FORM, *NET, "--classes", "left,up")
    assert refused.code == 2
    assert "--classes: expected those of the data, left, right, each once; got left,up" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image-size", "big"], "expected a size in pixels such as 28, or 32x24"),
        (["--fit", "crop"], "give that too"),
        (["--fit", "stretch"], "'pad', 'crop'"),
    ],
)
def test_options_that_are_none(sides, words, message):
    refused = sides("train", "sides", *words, *NET)
    assert refused.code == 2
    assert message in refused.err


def test_exports_say_what_pictures_are_brought_to(sides):
    form = "8×6 pixels, padded with black, in grey; values from 0 to 255"
    done = sides("export", "runs/sides", "--to", "numpy")
    assert form in done.err
    assert form in Path("runs/sides/model_predict.py").read_text()
    compile(Path("runs/sides/model_predict.py").read_text(), "script", "exec")
    sides("export", "runs/sides", "--to", "torch")
    assert f"pictures {form}" in sides("info", "runs/sides/model.torch.safetensors").out
    pytest.importorskip("onnx")
    sides("export", "runs/sides", "--to", "onnx")
    assert f"pictures {form}" in sides("info", "runs/sides/model.onnx").out


def test_info_about_pictures(sides):
    found = json.loads(sides("info", "sides", *FORM, "--json").out)
    assert found["shape"] == [6, 8]
    assert "pictures 8×6 pixels, padded with black, in grey" in sides("info", "runs/sides").out


def test_names_of_files_are_written_out(sides):
    picture(Path("new/=1+1\n"), "left", 1)
    rows = table(sides("predict", "runs/sides", "new").out)
    assert "new/=1+1\\n.png" in [row[0] for row in rows]
    Path("new/=1+1\n.png").rename("=2.png")
    assert table(sides("predict", "runs/sides", "=2.png", "--escape-formulas").out)[1][0] == "'=2.png"
