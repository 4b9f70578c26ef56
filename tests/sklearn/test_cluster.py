"""Searches in other processes, joblib's loky and a Dask cluster, give what they give in this one, bit for bit."""

from __future__ import annotations

import multiprocessing
import os

import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from portanet.sklearn import FleetGridSearchCV
from tests.sklearn.digits import CLASSIFIER, GRID, REGRESSOR, X, Y, assert_same

pytestmark = pytest.mark.filterwarnings("ignore")  # too few epochs to converge, and the workers' own


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """A product on two threads may round otherwise than on one, which is what a worker has for itself."""
    with threadpool_limits(1):
        yield


@pytest.fixture(
    scope="module",
    params=[pytest.param(CLASSIFIER, id="classifier"), pytest.param(REGRESSOR, id="regressor", marks=pytest.mark.slow)],
)
def serial(request):
    return GridSearchCV(request.param, GRID, cv=3).fit(X, Y)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason='Dask is not installed: pip install "dask[distributed]"')
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local,
        distributed.Client(local) as client,
    ):
        yield client


def searched(serial):
    return clone(serial).fit(X, Y)


def where():
    return os.getpid(), multiprocessing.get_start_method(allow_none=True)


@pytest.mark.usefixtures("loky")
def test_loky(serial):
    with parallel_config("loky", n_jobs=2):
        assert_same(searched(serial), serial)
        others = {pid for pid, _ in Parallel()(delayed(where)() for _ in range(4))}
    assert others
    assert os.getpid() not in others


def test_dask(serial, cluster):
    with parallel_config("dask"):
        assert_same(searched(serial), serial)
        told = set(Parallel()(delayed(where)() for _ in range(4)))
    assert os.getpid() not in {pid for pid, _ in told}
    import dask

    assert dask.config.get("distributed.worker.multiprocessing-method") == "spawn"  # a GPU does not live through a fork


def test_a_fleet(serial):
    search = FleetGridSearchCV(serial.estimator, GRID, cv=3).fit(X, Y)
    assert_same(search, serial)
    assert search.fleets_ == [12]
