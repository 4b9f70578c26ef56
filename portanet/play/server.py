"""The server of the page: on 127.0.0.1 alone, for those who have its token. It writes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from portanet.errors import ConfigError, need
from portanet.play.access import HEADERS, Access
from portanet.play.files import TYPES, page_files
from portanet.play.pages import OpenPage, Pages

if TYPE_CHECKING:
    from portanet.training.model import Model

__all__ = ["Server", "listen", "serve"]

MOST_BYTES = 4_000_000  # of a message: a drawing of 512×512 numbers
PATIENCE = 10.0
"""Seconds in which a message must have arrived, and a part of an answer must have been taken."""

_MOST_CONNECTIONS = 64


class Server:
    """The server as an ASGI application.

    Parameters
    ----------
    access : Access
    network : Model, optional
        The network of the digits; by default the one that is installed with portanet.

    Attributes
    ----------
    pages : Pages
        Those that are open.
    """

    def __init__(self, access: Access, network: Model | None = None) -> None:
        self.access, self.pages = access, Pages(network)
        self._responses: Any = need("starlette.responses", "play", "portanet play")
        self._request: Any = need("starlette.requests", "play", "portanet play").Request
        self._files = page_files()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            message = f"expected http, got {scope['type']}"
            raise ConfigError(message)
        request = self._request(scope, receive)
        path, method = scope["path"], scope["method"]
        if why := self.access.wrong(request.headers):
            respond = self._text(403, why)
        elif method == "GET" and path.removeprefix("/") in self._files and path != "/index.html":
            respond = self._file(path.removeprefix("/"))  # code, the same for everyone
        elif method == "GET" and path == "/" and self._redirects(scope):
            where = f"/?token={self.access.token}"
            respond = self._responses.RedirectResponse(where, 303, HEADERS)
        elif not self.access.knows(self._token(request)):
            respond = self._text(403, "the token is missing or wrong; open the address that portanet play printed")
        elif (method, path) == ("GET", "/"):
            respond = self._file("index.html")
        elif (method, path) == ("GET", "/events"):
            await self._events(scope, receive, send)
            return
        elif (method, path) == ("POST", "/call"):
            respond = await self._call(request)
        else:
            respond = self._text(404, "there is nothing here")
        await respond(scope, receive, send)

    def _token(self, request: Any) -> str:
        found: str = request.headers.get("x-portanet-token") or request.query_params.get("token", "")
        return found

    def _redirects(self, scope: Any) -> bool:
        codes = parse_qs(scope["query_string"].decode("latin-1")).get("once", [])
        return any(map(self.access.used, codes))

    def _text(self, status: int, text: str) -> Any:
        close = {"Connection": "close"} if status in (408, 413) else {}  # the rest of the message is not read
        return self._responses.PlainTextResponse(f"portanet play: {text}\n", status, HEADERS | close)

    def _file(self, name: str) -> Any:
        kind = TYPES[name.rpartition(".")[2]]
        return self._responses.Response(self._files[name], 200, HEADERS, kind)

    async def _call(self, request: Any) -> Any:
        """Answer a message, ``{"page": ..., "method": ..., "arguments": {...}}``."""
        body, too_large = b"", self._text(413, f"expected a message of at most {MOST_BYTES:,} bytes")
        announced = request.headers.get("content-length", "0")
        if len(announced) > 9 or int(announced) > MOST_BYTES:  # the HTTP parser has seen to it that it is a number
            return too_large
        try:
            async with asyncio.timeout(PATIENCE):
                async for part in request.stream():
                    body += part
                    if len(body) > MOST_BYTES:
                        return too_large
        except TimeoutError:
            return self._text(408, f"the message did not arrive within {PATIENCE:g} seconds")
        try:
            message = json.loads(body)
            names = message.keys() if isinstance(message, dict) else ()
            if set(names) != {"page", "method", "arguments"} or not isinstance(message["page"], str):
                raise ValueError
        except (ValueError, RecursionError):
            return self._text(400, 'expected JSON, {"page": "...", "method": "...", "arguments": {...}}')
        page = self.pages.open.get(message["page"])
        if page is None:
            return self._text(404, "this page is not open; load it again")
        text = await self._answer(page, message["method"], message["arguments"])
        return self._responses.Response(text, 200, HEADERS, "application/json")

    async def _answer(self, page: OpenPage, method: Any, arguments: Any) -> str:
        if method == "play" and isinstance(arguments, dict):
            page.play(arguments)
        elif method == "pause":
            page.play(None)
        else:
            return await self.pages.answer(page, method, arguments)
        return '{"result": null}'

    async def _events(self, scope: Any, receive: Any, send: Any) -> None:
        """Send a page its events until it is closed, which ends its training."""
        page = self.pages.begin()
        if page is None:
            await self._text(429, "too many pages are open; close one")(scope, receive, send)
            return
        head = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        head.append((b"content-type", b"text/event-stream"))
        sending = asyncio.ensure_future(self._send_events(page, head, send))
        try:
            waiting = asyncio.ensure_future(_gone(receive))
            await asyncio.wait({sending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        finally:
            sending.cancel()
            self.pages.end(page)
            with contextlib.suppress(asyncio.CancelledError, OSError, TimeoutError):
                await sending

    async def _send_events(self, page: OpenPage, head: Any, send: Callable[[Any], Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": head})
        async for name, text in self.pages.events(page):
            body = f"event: {name}\ndata: {text}\n\n".encode()
            async with asyncio.timeout(PATIENCE):  # of a client that takes nothing, the page is closed
                await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Callable[[], Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _patient(protocol: Any) -> Any:
    """Return uvicorn's protocol with a limit on the time in which the head of a request must have arrived."""

    class Patient(protocol):  # type: ignore[misc]  # uvicorn is imported only when it is needed
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(PATIENCE, self.tick, None)

        def tick(self, before: Any) -> None:
            """Close the connection if it has been without a request since the last look."""
            waiting = self.cycle is None or self.cycle.response_complete
            now = self.cycle or self
            if waiting and before is now:
                self.transport.close()
            elif not self.transport.is_closing():
                self.loop.call_later(PATIENCE, self.tick, now if waiting else None)

    return Patient


def listen(port: int) -> socket.socket:
    """Return a socket on 127.0.0.1; 0 for a free port.

    Raises
    ------
    ConfigError
        If the port is taken.
    """
    found = socket.socket()
    try:
        found.bind(("127.0.0.1", port))
        found.listen(128)
    except OSError as error:
        found.close()
        message = f"--port {port}: it cannot be used ({error.strerror}); leave it out, and a free one is taken"
        raise ConfigError(message) from None
    return found


def serve(app: Server, own: socket.socket) -> Any:
    """Return uvicorn's server for `app` on the socket; its ``run(sockets=[own])`` ends by Ctrl-C."""
    uvicorn = need("uvicorn", "play", "portanet play")
    config = uvicorn.Config(
        app,
        http=_patient(need("uvicorn.protocols.http.h11_impl", "play", "portanet play").H11Protocol),
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16384,
    )
    return uvicorn.Server(config)
