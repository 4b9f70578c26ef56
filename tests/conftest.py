"""What all tests share."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.backends.at_hand import BACKENDS, require


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend; one that cannot be used is a skip with its reason (a failure where PORTANET_REQUIRE names it)."""
    return require(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def pytest_configure(config):
    """Let SIGINT be heard, by the tests that send it and by the processes they start, in a background job too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def loky():
    """Workers of joblib's loky, which end with the tests: left to themselves they complain behind the last line."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def pytest_terminal_summary(terminalreporter):
    """Tell why tests were skipped, a line a reason and not a line a test."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
