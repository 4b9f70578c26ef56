"""Whom the page's server answers, asked by a real browser; and what the page runs."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from tests.play.served import Quiet, computing, served, until

pytestmark = pytest.mark.browser


def test_a_closed_page_stops_the_thread(browser):
    with served() as (access, app):
        page = browser.new_page()
        page.goto(access.address)
        page.wait_for_selector("body[data-ready]")
        page.get_by_test_id("play").click()
        page.wait_for_timeout(500)
        assert len(computing()) == 1
        page.close()
        assert until(lambda: not computing() and not app.pages.open)


def test_other_origins_and_missing_tokens_get_403(browser, tmp_path):
    (tmp_path / "index.html").write_text("<title>another page</title>")
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    with served() as (access, app):
        page, base = browser.new_page(), f"http://127.0.0.1:{access.port}"
        assert page.goto(base).status == 403
        assert page.goto(f"{base}/?token=wrong").status == 403
        refused, wrong = [], access.wrong

        def noted(headers):
            refused.append(wrong(headers))
            return refused[-1]

        access.wrong = noted
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        page.evaluate(
            """async ([base, token]) => {
              await fetch(`${base}/call`, {method: "POST", mode: "no-cors", body: "{}"}).catch(() => 0);
              await fetch(`${base}/?token=${token}`, {mode: "no-cors"}).catch(() => 0);
              await new Promise((done) => { new EventSource(`${base}/events?token=${token}`).onerror = done; });
            }""",
            [base, access.token],
        )
        assert [why for why in refused if why] == [
            "the request comes from another page"
        ] * 3  # "": an icon was asked for
        assert not app.pages.open
        page.close()
    other.shutdown()
    other.server_close()
    thread.join()


def test_a_file_that_was_changed_is_not_run(browser, static, tmp_path):
    page = browser.new_page()
    page.route("**/portanet.zip", lambda route: route.fulfill(body=b"something else"))
    page.goto(static)
    page.wait_for_selector("#status:has-text('SHA-256')", timeout=60_000)
    assert page.locator("body[data-ready]").count() == 0
    page.close()
