"""The server answers its own page alone, within limits, and its thread ends with the page."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time

import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install -e '.[play]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")

from tests.play.served import computing, served, until


class Client:
    """A page without a browser: a stream of events and messages."""

    def __init__(self, access):
        self.access = access
        self.stream = http.client.HTTPConnection("127.0.0.1", access.port, timeout=20)
        self.stream.request("GET", f"/events?token={access.token}")
        self.response = self.stream.getresponse()
        self.status = self.response.status
        if self.status == 200:
            self.page = self.event()[1]["page"]

    def event(self):
        name, data = self.response.readline(), self.response.readline()
        self.response.readline()
        return name.decode().split(": ")[1].strip(), json.loads(data.decode().removeprefix("data: "))

    def call(self, method, **arguments):
        body = json.dumps({"page": self.page, "method": method, "arguments": arguments})
        status, text = send(self.access, "POST", "/call", body, {"X-Portanet-Token": self.access.token})
        assert status == 200, text
        return json.loads(text)

    def close(self):
        self.response.close()
        self.stream.close()


def send(access, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", access.port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server():
    with served() as found:
        yield found


def test_a_page_trains_and_its_thread_ends_with_it(server):
    access, app = server
    assert computing() == []
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


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"page": 1, "method": "x", "arguments": {}}',
        b'{"page": "x"}',
        b'{"page": "x", "method": "x", "arguments": {}, "more": 1}',
        b'{"page": "x", "method": ' + b"9" * 5000 + b', "arguments": {}}',
    ],
)
def test_malformed_messages(server, body):
    access = server[0]
    assert send(access, "POST", "/call", body, {"X-Portanet-Token": access.token})[0] == 400


def test_messages_with_wrong_parts_are_answered_in_words(server):
    client = Client(server[0])
    for method, arguments in [("open", {"kind": "x"}), ("nothing", {}), ("open", {"kind": "points", "settings": 3})]:
        assert "error" in client.call(method, **arguments)
    client.close()


@pytest.mark.parametrize("size", [4_000_001, 10**9, 10**30])
def test_huge_messages_are_refused_before_they_are_sent(server, size):
    access = server[0]
    head = f"POST /call HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\nX-Portanet-Token: {access.token}\r\n"
    with socket.create_connection(("127.0.0.1", access.port), timeout=20) as one:
        one.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        assert one.recv(100).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


def test_a_message_of_chunks_ends_at_the_limit(server):
    access = server[0]
    head = f"POST /call HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\nX-Portanet-Token: {access.token}\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", access.port), timeout=20) as one:
        one.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):  # the server answers 413 and closes
            for _ in range(1000):
                one.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                sent += 65536
    assert 4_000_000 < sent < 20_000_000  # what the sockets hold is counted too


def test_a_message_to_a_page_that_is_not_open(server):
    access = server[0]
    body = json.dumps({"page": "x", "method": "described", "arguments": {}})
    assert send(access, "POST", "/call", body, {"X-Portanet-Token": access.token})[0] == 404


def test_other_paths_and_methods(server):
    access = server[0]
    for method, path in [("POST", "/"), ("GET", "/call"), ("GET", "/../server.py"), ("PUT", "/main.js"), ("GET", "/x")]:
        assert send(access, method, path, headers={"X-Portanet-Token": access.token})[0] == 404, path


def test_many_pages_are_refused(server):
    access, app = server
    clients = [Client(access) for _ in range(40)]
    assert sorted(client.status for client in clients) == [200] * 8 + [429] * 32
    for client in clients:
        client.close()
    assert until(lambda: not app.pages.open)
    again = Client(access)
    assert again.status == 200
    again.close()


def test_slow_clients_hold_up_nobody(server):
    access = server[0]
    slow = [socket.create_connection(("127.0.0.1", access.port)) for _ in range(20)]
    for one in slow[:10]:
        one.sendall(b"GET / HT")  # and no more
    for one in slow[10:]:
        head = f"POST /call HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\nX-Portanet-Token: {access.token}\r\n"
        one.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    began = time.monotonic()
    client = Client(access)
    assert client.call("open", kind="points", settings={"n": 40})["result"]["kind"] == "points"
    assert time.monotonic() - began < 10
    client.close()
    for one in slow:
        one.close()


def test_a_client_that_takes_nothing_stops_its_own_training(server):
    access, app = server
    client = Client(access)
    client.call("open", kind="points", settings={"n": 40})
    client.call("play", kind="points", steps=1, side=128)  # a frame is larger than what the sockets hold
    (page,) = app.pages.open.values()
    seen = []

    def stands_still():
        seen.append(page.page.sessions["points"].steps)
        return len(seen) > 20 and seen[-1] == seen[-15]

    assert until(stands_still)
    client.close()
    assert until(lambda: not computing())


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
