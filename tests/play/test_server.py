"""The server answers its own page alone, within limits, and its thread ends with the page."""

from __future__ import annotations

import http.client
import json
import socket
import time

import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install -e '.[play]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")

from tests.play.client import Client, send
from tests.play.served import computing, served, until


@pytest.fixture(scope="module")
def server():
    with served() as found:
        yield found


def test_a_page_trains_and_its_thread_ends_with_it(server):
    access, app = server
    assert until(lambda: not computing())
    client = Client(access)
    client.call("open", kind="points", settings={"n": 40})
    client.call("play", kind="points", steps=2, side=4)
    frames = [client.event()[1]["result"] for _ in range(5)]
    assert [frame["steps"] for frame in frames] == [2, 4, 6, 8, 10]
    assert len(computing()) == 1
    client.close()
    assert until(lambda: not computing() and not app.pages.open)


def test_pause_and_single_steps(server):
    client = Client(server[0])
    client.call("open", kind="points", settings={"n": 40})
    client.call("play", kind="points", steps=1, side=4)
    client.event()
    client.call("pause")
    now = client.call("score", kind="points")["result"]["steps"]
    time.sleep(0.3)
    assert client.call("score", kind="points")["result"]["steps"] <= now + 1
    client.close()


def test_a_training_that_fails_pauses(server):
    client = Client(server[0])
    client.call("open", kind="points", settings={"n": 40})
    client.call("play", kind="points", steps=-1)
    assert "step: expected" in client.event()[1]["error"]
    assert client.call("step", kind="points", n=1)["result"]["steps"] == 1
    client.close()


def test_without_the_token_there_is_only_code(server):
    access = server[0]
    for path in ("/", "/events", "/call", "/?token=", f"/?token={access.token[:-1]}", "/?token=é", "/secret"):
        assert send(access, "GET", path.replace("é", "%FF"))[0] == 403, path
    assert send(access, "POST", "/call", "{}", {"X-Portanet-Token": "x"})[0] == 403
    status, text = send(access, "GET", "/main.js")
    assert status == 200
    assert access.token not in text
    status, text = send(access, "GET", f"/?token={access.token}")
    assert status == 200
    assert "portanet-engine" in text


def test_only_its_own_page_may_ask(server):
    access = server[0]
    path, own = f"/?token={access.token}", f"127.0.0.1:{access.port}"
    for headers, expected in [
        ({}, 200),
        ({"Host": f"localhost:{access.port}"}, 200),
        ({"Origin": f"http://{own}"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": f"evil.example:{access.port}"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": f"{own}.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": f"https://{own}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{access.port + 1}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ]:
        assert send(access, "GET", path, headers=headers)[0] == expected, headers


def test_the_code_in_the_browsers_command_line_works_once(server):
    access = server[0]
    path = access.once.partition(str(access.port))[2]
    connection = http.client.HTTPConnection("127.0.0.1", access.port)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (303, f"/?token={access.token}")
    connection.close()
    assert send(access, "GET", path)[0] == 403


def test_a_message_to_a_page_that_is_not_open(server):
    access = server[0]
    body = json.dumps({"page": "x", "method": "described", "arguments": {}})
    assert send(access, "POST", "/call", body, {"X-Portanet-Token": access.token})[0] == 404


def test_other_paths_and_methods(server):
    access = server[0]
    for method, path in [("POST", "/"), ("GET", "/call"), ("GET", "/../server.py"), ("PUT", "/main.js"), ("GET", "/x")]:
        assert send(access, method, path, headers={"X-Portanet-Token": access.token})[0] == 404, path


def test_every_answer_has_the_headers(server):
    access = server[0]
    connection = http.client.HTTPConnection("127.0.0.1", access.port)
    for path in ("/", f"/?token={access.token}", "/main.js", f"/x?token={access.token}"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    connection.close()


def test_it_listens_on_this_address_alone(server):
    with pytest.raises(OSError, match=r"refused|timed out|requested address"):
        socket.create_connection(("127.0.0.2", server[0].port), timeout=2)
