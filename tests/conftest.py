"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter

import pytest

from tests.backends.at_hand import BACKENDS, require


def pytest_configure(config):
    """Spare all processes of this run some compiling, and let SIGINT be heard.

    Without bytecode on disk, the package would be compiled again in each process that a test starts. What JAX compiled
    is kept for later runs, and is compiled without the optimizations that take a third of the time. SIGINT is ignored
    in a background job, by the processes that tests start too.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cache = getattr(config, "cache", None)  # none with "-p no:cacheprovider"
    if cache is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Give each of several worker processes one thread: they share the processors already."""
    if len(specs) > 1:
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark scikit-learn's checks as slow that repeat another on memory-mapped data."""
    for item in items:
        if "readonly_memmap=True" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend; one that cannot be used is a skip with its reason (a failure where PORTANET_REQUIRE names it)."""
    return require(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def compiled_as_for_users(request, monkeypatch):
    """Let JAX compile with all of its optimizations, for tests of its numbers; those in float64 too do without."""
    if request.node.callspec.params.get("dtype") == "float64":
        yield
        return

    def choose(few):
        if jax := sys.modules.get("jax"):
            jax.config.update("jax_disable_most_optimizations", few)

    before = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")  # for a JAX that is not imported yet, and other processes
    choose(False)
    yield
    choose(before not in ("", "0"))


@pytest.fixture
def forget():
    """Forget the activations that a test adds: other tests list all that there are."""
    from portanet.layers.custom import ACTIVATIONS

    known = dict(ACTIVATIONS)
    yield
    ACTIVATIONS.clear()
    ACTIVATIONS.update(known)


@pytest.fixture(scope="session")
def loky():
    """Workers of joblib's loky, shut down after the tests: otherwise they print warnings at exit."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def pytest_terminal_summary(terminalreporter):
    """Print why tests were skipped: a line for each reason, not for each test."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
