"""The same global batches give the same training, on one process and on several."""

from __future__ import annotations

import functools

import numpy as np
import pytest

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
