"""The same global batches give the same training, on one process and on several."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.backends.at_hand import require
from tests.mpi import jobs, trainings


# Processes, and epochs at most: in 20 of them, 220 steps, rounding has time to grow.
@pytest.fixture(scope="module", params=[(2, 8), pytest.param((4, 40), marks=pytest.mark.slow)], ids=str)
def by_ranks(request, tmp_path_factory):
    """What several processes have come to, and after how many epochs."""
    ranks, epochs = request.param
    file = tmp_path_factory.mktemp("ranks") / f"{ranks}.npz"
    code, _, err = jobs.run(ranks, "-m", "tests.mpi.trainings", file, epochs)
    assert code == 0, err[-3000:]
    return epochs, dict(np.load(file))


alone = functools.cache(lambda name, epochs: trainings.trained(name, None, epochs))


@pytest.mark.parametrize("name", trainings.CASES)
def test_same_training(by_ranks, name):
    if trainings.missing(name):
        pytest.skip(trainings.missing(name))
    epochs, found_by_ranks = by_ranks
    if f"{name}/history" not in found_by_ranks:
        pytest.skip("done by two processes alone")
    tolerance = trainings.CASES[name]["tolerance"]
    for key, expected in alone(name, epochs).items():
        found = found_by_ranks[f"{name}/{key}"]
        assert found.shape == expected.shape, key
        apart = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)
        assert apart <= tolerance, f"{key}: {apart:.2e}"


LATE = """
import sys
import numpy as np
import portanet as pn
from portanet.backends.flat_sum import FlatSum
from portanet.distributed import all_reduce


class OnTheDevice(FlatSum):
    late = True

    def read_host(self, start, stop):
        raise AssertionError("the device was waited for within an epoch")


if sys.argv[1] == "late":
    all_reduce.flat_sum = OnTheDevice
rng = np.random.default_rng(0)
x, y = rng.normal(size=(41, 5)), rng.integers(0, 3, 41)
net = [pn.Dense(6), pn.Tanh(), pn.Dropout(0.3), pn.Dense(3)]
how = {"metrics": ["accuracy", "top_2"], "backend": "torch", "seed": 1, "dtype": "float64", "ranks": "mpi"}
trainer = pn.Trainer(net, "softmax_cross_entropy", "adam", **how)


class Stop(pn.Callback):
    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch, batch) == (2, 2):
            trainer.stop("enough")


for callbacks in ([Stop()], []):
    trainer.fit(x, y, epochs=4, batch_size=8, sample_weight=1 + y, callbacks=callbacks, verbose=False)
    if trainer.ranks.rank == 0:
        print(trainer.epoch, trainer.position, trainer.meter.sizes)
        print([{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history.rows])
        print({name: a.tolist() for name, a in trainer.snapshot()["params"].items()})
"""


def test_losses_that_stay_on_the_device_until_the_epoch_ends():
    """As with sums on the GPU (NCCL), which were not tried here: the same training, and the same rows, bit for bit."""
    require("torch")
    expected, found = (jobs.run(2, "-c", LATE, how) for how in ("host", "late"))
    assert expected[0] == found[0] == 0, expected[2] + found[2]
    assert found[1] == expected[1]
    assert (
        found[1].count("loss") == 2 + 6
    )  # two epochs before it was stopped; these, the rest of the third, and three more
