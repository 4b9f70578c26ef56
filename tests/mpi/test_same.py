"""The same global batches give the same training, on one process and on several."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.mpi import jobs, trainings


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def by_ranks(request, tmp_path_factory):
    """What several processes have come to."""
    file = tmp_path_factory.mktemp("ranks") / f"{request.param}.npz"
    code, _, err = jobs.run(request.param, "-m", "tests.mpi.trainings", file)
    assert code == 0, err[-3000:]
    return dict(np.load(file))


alone = functools.cache(lambda name: trainings.trained(name, None))


@pytest.mark.parametrize("name", trainings.CASES)
def test_same_training(by_ranks, name):
    if trainings.missing(name):
        pytest.skip(trainings.missing(name))
    if f"{name}/history" not in by_ranks:
        pytest.skip("done by two processes alone")
    tolerance = trainings.CASES[name]["tolerance"]
    for key, expected in alone(name).items():
        found = by_ranks[f"{name}/{key}"]
        assert found.shape == expected.shape, key
        apart = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)
        assert apart <= tolerance, f"{key}: {apart:.2e}"
