"""What the layers of a network from a file make of a sample is bounded when it is loaded."""

from __future__ import annotations

import time

import numpy as np
import pytest

import portanet as pn
from portanet.files.sample_size import LARGEST, RATIO, check_sample_size
from portanet.layers.parallel import parted
from portanet.layers.windows import axis
from tests.cli.conftest import cli, moons  # noqa: F401  # fixtures


@pytest.fixture
def wide(tmp_path):
    """A network of few parameters that makes 36 million numbers of a sample."""
    net = [pn.Dense(600_000, bias=False), *[pn.ReLU()] * 58, pn.Reshape((1000, 600, 1)), pn.GlobalAvgPool2D()]
    trainer = pn.Trainer(net, "mean_squared_error", backend="numpy")
    trainer.init((2,))
    trainer.save(tmp_path / "wide.safetensors")
    return trainer, tmp_path / "wide.safetensors"


def test_a_small_file_that_asks_for_much_is_refused_and_any_size_lifts_it(wide, cli, tmp_path):  # noqa: F811
    trainer, path = wide
    with pytest.raises(pn.DataError, match=r"numbers of a sample, where 33,554,432 are plausible.*any_size=True"):
        pn.load(path)
    loaded = pn.load(path, any_size=True)
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 2))), trainer.predict(np.ones((1, 2))))
    np.savetxt(tmp_path / "x.csv", [[1, 1], [2, 2]], delimiter=",")
    for words in (["predict", path, "x.csv"], ["info", path], ["export", path, "--to", "npz"]):
        refused = cli(*words)
        assert refused.code == 3
        assert "--any-size" in refused.err
    assert cli("predict", path, "x.csv", "--any-size").code == 0
    assert cli("info", path, "--any-size").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "runs/moons", "moons"),
        ("evaluate", "runs/moons", "moons"),
        ("info", "runs/moons"),
        ("export", "runs/moons", "--to", "npz"),
        ("show", "runs/moons"),
        ("gradcheck", "runs/moons"),
        ("agree", "--model", "runs/moons", "--backends", "numpy"),
        ("plot", "runs/moons", "--data", "moons"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_loads_a_network_has_the_option(moons, monkeypatch, words):  # noqa: F811
    monkeypatch.setattr("portanet.files.sample_size.LARGEST", 10)
    monkeypatch.setattr("portanet.files.sample_size.RATIO", 0)
    refused = moons(*words)
    assert refused.code == 3
    assert "numbers of a sample, where 10 are plausible" in refused.err
    assert "--any-size" in refused.err
    assert moons(*words, "--any-size").code == 0


def test_a_large_network_may_make_more():
    net, parameters = pn.Sequential([pn.Embedding(2, 300), pn.Embedding(2, 300)]), 1200
    check_sample_size(net, (100,), parameters)  # 9 million outputs
    with pytest.raises(pn.DataError, match="numbers of a sample"):
        check_sample_size(net, (400,), parameters)
    check_sample_size(net, (400,), 2 * LARGEST // RATIO)


@pytest.mark.parametrize(
    ("layer", "shape", "scratch"),
    [
        (pn.Conv2D(4), (8, 8, 3), 8 * (8 + 6 * 3) * 3),  # the images, and of each row the lines of 6 places by 3 taps
        (pn.Conv2D(4, padding="same"), (8, 8, 3), 10 * (10 + 8 * 3) * 3),
        (pn.Conv2D(4, kernel=(1, 3), dilation=2, padding="same"), (8, 8, 1), 8 * (12 + 8 * 3)),
        (pn.MaxPool2D(2), (8, 8, 3), (64 + 64) * 3),
        (pn.AvgPool2D(3, stride=1, padding="same"), (4, 4, 2), (36 + 9 * 16) * 2),
        (pn.Embedding(7, 3), (5,), 0),
        (pn.Dense(9), (5,), 0),
    ],
)
def test_scratch(layer, shape, scratch):
    assert layer.scratch(shape) == scratch


def test_padding_and_dilation_that_no_window_needs():
    for wrong in ({"padding": 17}, {"kernel": (1, 3), "padding": 17}, {"kernel": 2, "dilation": 20, "padding": 21}):
        with pytest.raises(pn.ConfigError, match="Conv2D: padding must be below"):
            pn.Conv2D(1, **wrong)
    assert pn.Conv2D(1, kernel=2, dilation=20, padding=20).padding == 20
    assert pn.Conv2D(1, kernel=1, padding=1).padding == 1
    with pytest.raises(
        pn.ShapeError, match="a dilation of 8 lets no window hold two of 8 pixels; take a dilation below"
    ):
        axis(8, 2, 1, "same", 8)
    assert axis(9, 2, 1, "same", 8).out == 9
    assert axis(1, 3, 1, "same").out == 1  # a small kernel on a single pixel, as deep networks have it
    assert axis(1, 1, 1, "valid", 8).out == 1
    with pytest.raises(pn.ConfigError, match="MaxPool2D: kernel must have at most 16384 pixels, got 129 × 128"):
        pn.MaxPool2D((129, 128))


def test_a_prediction_of_large_samples_takes_few_at_a_time(wide, monkeypatch):
    trainer, _ = wide
    rows = []
    forward = trainer.engine.linked

    def watched(params, x):
        rows.append(len(x))
        return forward(params, x)

    monkeypatch.setattr(trainer.engine, "linked", watched)
    trainer.predict(np.ones((3, 2)))
    assert rows == [1, 1, 1]


def test_many_parts_take_linear_time():
    sizes = [1] * 20_000
    began = time.process_time()
    parts = parted(np.arange(20_000.0)[None], sizes)
    assert time.process_time() - began < 1  # the sums of all beginnings took 3 seconds
    assert [float(part[0, 0]) for part in parts] == list(range(20_000))
