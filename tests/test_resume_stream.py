"""A training on data that are on disk, stopped in the middle of an epoch and resumed, is the one that never stopped."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.data import NpySamples
from portanet.data.lazy import block_order
from tests.test_resume import BACKENDS, StopAt, data, make, same


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(block_order, "WINDOW", 36 * 4 * 40)


class Own:
    blocks = 9

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def read(self, start, stop):
        return self.x[start:stop], self.y[start:stop]


def fit(trainer, data, epochs, *callbacks, **options):
    settings = {"batch_size": 16, "verbose": False, **options}
    return trainer.fit(*data, epochs=epochs, callbacks=list(callbacks), **settings)


def on_disk(folder):
    folder.mkdir(exist_ok=True)
    x, y = data()
    np.save(folder / "X.npy", x)
    samples = NpySamples(folder / "X.npy")
    samples.blocks = 9
    return samples, y


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("epoch", "batch"), [(1, 3), (2, 8)])
def test_stopped_and_resumed(backend, epoch, batch, tmp_path):
    path = tmp_path / "training.safetensors"
    whole, first, second = make(backend), make(backend), make(backend)
    fit(whole, on_disk(tmp_path / "a"), 3)
    fit(first, on_disk(tmp_path / "a"), 3, StopAt(epoch, batch), pn.TrainingCheckpoint(path))
    assert (first.epoch, first.position) == (epoch - 1, batch)
    left = second.resume(path)
    fit(second, on_disk(tmp_path / "moved"), left, pn.TrainingCheckpoint(path))  # the same data, elsewhere
    same(whole, second)


@pytest.mark.parametrize("shuffle", [True, False])
def test_at_each_batch_and_with_a_part_for_validation(shuffle, tmp_path):
    path, source = tmp_path / "training.safetensors", (Own(*data()),)
    options = {"shuffle": shuffle, "validation_fraction": 0.2}
    whole, trainer = make(), make()
    fit(whole, source, 2, **options)
    fit(trainer, source, 2, StopAt(1, 1), pn.TrainingCheckpoint(path), **options)
    stops = 1
    while trainer.epoch < 2:
        trainer = make()
        left = trainer.resume(path)
        at = (trainer.epoch + 1, trainer.position + 1)
        fit(trainer, source, left, StopAt(*at), pn.TrainingCheckpoint(path), **options)
        stops += 1
    assert stops > 10
    same(whole, trainer)


def test_the_same_trainer_goes_on(tmp_path):
    whole, trainer = make(), make()
    fit(whole, on_disk(tmp_path), 2)
    fit(trainer, on_disk(tmp_path), 2, StopAt(1, 4))
    fit(trainer, on_disk(tmp_path), 2)
    same(whole, trainer)


def change_first_row(x, y):
    x[0] += 1
    return x, y


def change_a_target(x, y):
    y[-1] = 1 - y[-1]
    return x, y


@pytest.mark.parametrize("change", [change_first_row, change_a_target, lambda x, y: (x[:-1], y[:-1])])
def test_other_data_are_told(change, tmp_path):
    path = tmp_path / "training.safetensors"
    fit(make(), (Own(*data()),), 2, StopAt(1, 3), pn.TrainingCheckpoint(path))
    trainer = make()
    trainer.resume(path)
    with pytest.raises(pn.DataError, match=r"since it is another fit: .*data was"):
        fit(trainer, (Own(*change(*data())),), 2)


def test_other_blocks_are_told(tmp_path):
    path, other = tmp_path / "training.safetensors", Own(*data())
    fit(make(), (Own(*data()),), 2, StopAt(1, 3), pn.TrainingCheckpoint(path))
    trainer = make()
    trainer.resume(path)
    other.blocks = 10
    with pytest.raises(pn.DataError, match="data was"):
        fit(trainer, (other,), 2)


def test_a_divergence_goes_back(tmp_path):
    trainer = pn.Trainer([pn.Flatten(), pn.Dense(1)], "mean_squared_error", pn.SGD(lr=1e20), backend="numpy")
    x, y = data()
    fit(trainer, (Own(x, y.astype("float64")),), 2, pn.LowerRate(factor=1e-8))
    assert trainer.rate_factor < 1
    assert trainer.epoch == 2
