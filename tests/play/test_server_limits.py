"""What the server does about malformed, huge and slow requests, and about too many."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install -e '.[play]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")

from portanet.play import server as server_module
from tests.play.client import Client, send
from tests.play.served import computing, served, until


@pytest.fixture(scope="module")
def server():
    with served() as found:
        yield found


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


def test_a_request_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 0.5)
    with served() as (access, _):
        head = f"POST /call HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\nX-Portanet-Token: {access.token}\r\n"
        whole = f"GET /main.js HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\n\r\n"
        for sent, answer in [
            ("GET / HT", b""),
            (f"{head}Content-Length: 9\r\n\r\n{{", b"408"),
            (f"{whole}GET /", b"200"),
        ]:
            with socket.create_connection(("127.0.0.1", access.port), timeout=20) as one:
                one.sendall(sent.encode())
                got = b""
                while part := one.recv(65536):  # until the server closes it
                    got += part
            assert got[9:12] == answer
        client = Client(access)  # a page stays
        time.sleep(2)
        assert client.call("described")["result"]["fields"]
        client.close()


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
