"""The network that options and data make."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

import portanet as pn
from portanet.data import load
from portanet.data.batching import prepare
from portanet.recipes.images import MODELS
from tests.cli.tables import table

QUICK = ("--layers", "6", "--epochs", "2")


def model(path) -> Any:
    return pn.load(path)


@pytest.mark.parametrize(
    ("options", "network", "loss"),
    [
        ((), ["Standardize", "Dense", "ReLU", "Dense"], "SoftmaxCrossEntropy"),
        (("--layers", "none"), ["Standardize", "Dense"], "SoftmaxCrossEntropy"),
        (("--activation", "linear"), ["Standardize", "Dense", "Dense"], "SoftmaxCrossEntropy"),
        (("--dropout", ".5"), ["Standardize", "Dense", "ReLU", "Dropout", "Dense"], "SoftmaxCrossEntropy"),
        (("--loss", "sum_squared_error"), ["Standardize", "Dense", "ReLU", "Dense", "Sigmoid"], "SumSquaredError"),
        (
            ("--loss", "mean_squared_error", "--output-activation", "linear"),
            ["Standardize", "Dense", "ReLU", "Dense"],
            "MeanSquaredError",
        ),
        (("--loss", "binary_cross_entropy"), ["Standardize", "Dense", "ReLU", "Dense"], "BinaryCrossEntropy"),
    ],
)
def test_network_for_three_classes(cli, flowers_csv, options, network, loss):
    assert cli("train", flowers_csv, *QUICK, *options).code == 0
    net = model("runs/flowers/best.safetensors")
    assert [type(layer).__name__ for layer in net.net.layers] == network
    assert type(net.loss).__name__ == loss
    assert net.outputs == 3
    assert net.classes == ("lily", "oak", "rose")


@pytest.mark.parametrize(
    ("short", "loss"),
    [("mse", "mean_squared_error"), ("bce", "binary_cross_entropy"), ("ce", "softmax_cross_entropy")],
)
def test_short_names_of_losses(cli, short, loss):
    assert cli("train", "moons", *QUICK, "--loss", short).code == 0
    assert tomllib.loads(Path("runs/moons/config.toml").read_text())["loss"] == loss
    short_one, whole = model("runs/moons/last.safetensors"), pn.losses.get(loss)
    assert type(short_one.loss) is type(pn.losses.get(short)) is type(whole)


@pytest.mark.parametrize(("loss", "outputs"), [("softmax_cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_two_classes(cli, loss, outputs):
    assert cli("train", "moons", *QUICK, "--loss", loss).code == 0
    assert model("runs/moons/best.safetensors").outputs == outputs


def test_regression(cli, numbers_csv):
    done = cli("train", numbers_csv, "--epochs", "60", "--lr", ".02", "--layers", "16", "--json")
    assert done.code == 0, done.err
    metrics = json.loads(done.out)["metrics"]
    assert set(metrics) == {"loss", "mae", "r2"}
    assert metrics["r2"] > 0.9
    assert type(model("runs/numbers/best.safetensors").loss).__name__ == "MeanSquaredError"


def test_images_are_standardized_as_a_whole_and_flattened(cli):
    assert cli("train", "digits", *QUICK).code == 0
    rescale, flatten, *_ = model("runs/digits/best.safetensors").net.layers
    pixels = load("digits").x
    assert rescale == pn.Rescale.of(pixels)
    assert rescale.scale * pixels.mean() + rescale.offset == pytest.approx(0.0, abs=1e-12)
    assert (rescale.scale * pixels).std() == pytest.approx(1.0)
    assert flatten == pn.Flatten()


def test_standardization_knows_the_training_part_alone(cli, numbers_csv):
    assert cli("train", numbers_csv, *QUICK, "--val-fraction", ".5").code == 0
    net = model("runs/numbers/best.safetensors")
    every = load(numbers_csv).x
    rows, _ = prepare.split(load(numbers_csv).y, 0.5, 0, stratify=False)
    assert net.buffers["0.mean"] == pytest.approx(every[rows].mean(axis=0), rel=1e-6)
    assert net.buffers["0.mean"] != pytest.approx(every.mean(axis=0), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "hidden", "output"),
    [
        ((), "he_normal", "glorot_uniform"),
        (("--activation", "tanh"), "glorot_uniform", "glorot_uniform"),
        (("--init", "normal:0.1"), "normal:0.1", "normal:0.1"),
    ],
)
def test_initial_weights_suit_the_activation(cli, options, hidden, output):
    assert cli("train", "moons", *QUICK, *options).code == 0
    dense = [x for x in model("runs/moons/best.safetensors").net.layers if isinstance(x, pn.Dense)]
    assert [x.weight_init for x in dense] == [hidden, output]


def test_no_bias(cli):
    assert cli("train", "moons", *QUICK, "--no-bias").code == 0
    assert set(model("runs/moons/best.safetensors").params) == {"1.weight", "3.weight"}


@pytest.mark.parametrize(
    ("words", "lr"), [((), 0.001), (("--optimizer", "sgd"), 0.1), (("--optimizer", "sgd", "--lr", ".3"), 0.3)]
)
def test_learning_rate(cli, words, lr):
    assert cli("train", "moons", *QUICK, *words).code == 0
    assert tomllib.loads(Path("runs/moons/config.toml").read_text())["lr"] == lr
    assert json.loads(Path("runs/moons/metrics.jsonl").read_text().splitlines()[0])["lr"] == lr


def test_optimizer_and_penalties_reach_the_trainer(cli):
    words = ("--optimizer", "sgd", "--momentum", ".9", "--weight-decay", ".01", "--clip-norm", "1", "--l1", "1e-4")
    assert cli("train", "moons", *QUICK, *words, "--l2", "1e-3", "--label-smoothing", ".1").code == 0
    net = model("runs/moons/best.safetensors")
    assert net.optimizer == pn.SGD(lr=0.1, momentum=0.9, weight_decay=0.01, clip_norm=1.0)
    assert (net.l1, net.l2, net.loss.label_smoothing) == (1e-4, 1e-3, 0.1)


def test_balanced_classes_change_the_loss(cli, tmp_path):
    rows = [[i / 10, -i, "a" if i % 9 else "b"] for i in range(90)]
    table(tmp_path / "few.csv", rows, ["u", "v", "c"])
    plain = cli("train", "few.csv", *QUICK, "--json")
    balanced = cli("train", "few.csv", *QUICK, "--json", "--class-weight", "balanced")
    assert balanced.code == 0, balanced.err
    assert json.loads(plain.out)["metrics"]["loss"] != json.loads(balanced.out)["metrics"]["loss"]


def test_full_batch_is_one_step_an_epoch(cli, monkeypatch):
    seen = []
    fit = pn.Trainer.fit

    def watched(self, *parts, **options):
        seen.append(options["batch_size"])
        return fit(self, *parts, **options)

    monkeypatch.setattr(pn.Trainer, "fit", watched)
    assert cli("train", "moons", *QUICK, "--batch-size", "full").code == 0
    assert cli("train", "moons", *QUICK, "--batch-size", "32").code == 0
    assert seen == [None, 32]


CNN = [
    "Rescale",
    "Reshape",
    "Conv2D",
    "ReLU",
    "Conv2D",
    "ReLU",
    "MaxPool2D",
    "Dropout",
    "Flatten",
    "Dense",
    "ReLU",
    "Dropout",
    "Dense",
]


def test_cnn(cli):
    done = cli("train", "digits", "--model", "cnn", "--epochs", "4", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["metrics"]["test_accuracy"] > 0.9
    net = model("runs/digits/best.safetensors").net
    assert [type(layer).__name__ for layer in net.layers] == CNN
    assert [layer for layer in net.layers if isinstance(layer, pn.Dropout)] == [pn.Dropout(0.25), pn.Dropout(0.5)]
    assert net.layers[9].units == 128


def test_cnn_comes_back_from_its_config(cli):
    assert cli("train", "digits", "--model", "cnn", "--layers", "16", "--dropout", "0", "--epochs", "1").code == 0

    assert cli("train", "--config", "runs/digits/config.toml", "--out", "again").code == 0
    first, again = model("runs/digits/best.safetensors"), model("again/best.safetensors")
    assert first.net == again.net
    assert not any(layer == pn.Dropout(0.5) for layer in first.net.layers)


@pytest.mark.parametrize("name", ["lenet", "vgg", "resnet", "depthwise"])
def test_named_networks(cli, name):
    done = cli("train", "digits", "--model", name, "--epochs", "0", "--out", "run")
    assert done.code == 0, done.err
    first, second, *own = model("run/last.safetensors").net.layers
    assert (type(first).__name__, second) == ("Rescale", pn.Reshape((8, 8, 1)))
    assert own == MODELS[name](10, (8, 8, 1))
    again = cli("train", "--config", "run/config.toml", "--epochs", "0", "--out", "again")
    assert again.code == 0, again.err
    resumed = cli("train", "--resume", "again", "--epochs", "1")
    assert resumed.code == 0, resumed.err
    refused = cli("train", "digits", "--model", name, "--dropout", "0.3")
    assert refused.code == 2
    assert f"--dropout: --model {name} has its own layers; leave it out" in refused.err


def test_cnn_wants_images(cli):
    done = cli("train", "moons", "--model", "cnn", *QUICK)
    assert done.code == 3
    assert "--model cnn: expected images, got moons with rows of 2 features; take --model mlp" in done.err


def test_augmentation(cli):
    done = cli("train", "digits", "--shift", "1", "--rotate", "10", "--epochs", "4", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["metrics"]["test_accuracy"] > 0.9
    net = model("runs/digits/best.safetensors").net
    assert [type(layer).__name__ for layer in net.layers[:4]] == ["Rescale", "Reshape", "Augment", "Flatten"]
    assert net.layers[2] == pn.Augment(shift=1.0, rotate=10.0)
    assert cli("train", "--config", "runs/digits/config.toml", "--out", "again").code == 0
    again = model("again/best.safetensors")
    assert again.net == net
    assert (
        json.loads(Path("runs/digits/report.json").read_text())["metrics"]
        == (json.loads(Path("again/report.json").read_text())["metrics"])
    )


def test_augmentation_in_front_of_convolutions(cli):
    assert cli("train", "digits", "--model", "cnn", "--flip", "--epochs", "1").code == 0
    net = model("runs/digits/best.safetensors").net
    assert [type(layer).__name__ for layer in net.layers] == [*CNN[:2], "Augment", *CNN[2:]]


def test_augmentation_wants_images(cli):
    done = cli("train", "moons", "--rotate", "5", *QUICK)
    assert done.code == 3
    assert "--rotate: expected images, got moons with rows of 2 features; leave it out" in done.err


def test_listed_augmentation(cli, tmp_path):
    (tmp_path / "net.toml").write_text('[[layers]]\ntype = "Augment"\nshift = 1\n[[layers]]\noutput_dim = 10\n')
    assert cli("train", "digits", "--config", str(tmp_path / "net.toml"), "--epochs", "1").code == 0
    net = model("runs/digits/best.safetensors").net
    assert [type(layer).__name__ for layer in net.layers] == ["Rescale", "Augment", "Flatten", "Dense"]
    done = cli("train", "digits", "--config", str(tmp_path / "net.toml"), "--shift", "2", "--epochs", "1")
    assert done.code == 2
    assert "shift says what the layers of --layers are made of" in done.err


def test_listed_convolutions_get_their_channel(cli, tmp_path):
    (tmp_path / "net.toml").write_text(
        '[[layers]]\ntype = "Conv2D"\nunits = 4\nstride = 2\n[[layers]]\ntype = "BatchNorm"\n'
        '[[layers]]\ntype = "GlobalAvgPool2D"\n[[layers]]\noutput_dim = 10\n'
    )
    done = cli("train", "digits", "--epochs", "1", "--config", str(tmp_path / "net.toml"))
    assert done.code == 0, done.err
    loaded = model("runs/digits/best.safetensors")
    assert loaded.net.layers[1] == pn.Reshape((8, 8, 1))
    assert loaded.buffers["3.mean"].any()  # the running statistics were saved
