"""A browser, the page by each of its two engines, and a visit to it.

Playwright comes from PyPI; the browser is that of the system (``chromium`` on the path, or ``CHROMIUM``), or
Playwright's own. The engine in the browser needs Pyodide and NumPy's wheel for it in a folder, ``PORTANET_PYODIDE``.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import threading

import pytest

from portanet.cli.main import run
from tests.play.served import Quiet, served


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as own:
        try:
            found = own.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no chromium: playwright install chromium, or apt install chromium ({str(error)[:80]})")
        yield found
        found.close()


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    """Yield the address of the page as files, served by nothing but a server of files."""
    pyodide = os.environ.get("PORTANET_PYODIDE")
    if not pyodide:
        pytest.skip("PORTANET_PYODIDE names no folder with Pyodide and NumPy's wheel for it")
    folder = tmp_path_factory.mktemp("static") / "site"
    assert run(["play", "--static", str(folder), "--pyodide", pyodide]) == 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", params=["http", "worker"])
def address(request):
    """Yield the address of the page with each of the two engines."""
    if request.param == "worker":
        yield request.getfixturevalue("static")
        return
    with served() as (access, _):
        yield access.address


@pytest.fixture
def visit(browser):
    """Open an address and wait until the page is ready; no error may appear, and no request may leave the machine."""
    wrong, pages = [], []

    def call(address, width=1100, **options):
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        pages.append(page)
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        own = re.compile(r"(blob:)?http://127\.0\.0\.1:|data:")
        page.on("request", lambda r: None if own.match(r.url) else wrong.append(r.url))
        page.goto(address if "#" in address else f"{address}#language=en")
        page.wait_for_selector("body[data-ready]", timeout=120_000)
        return page

    yield call
    for page in pages:
        page.close()
    assert wrong == []
