"""The open pages of a server, and the one thread that computes for all of them while any is open."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from portanet.play.messages import Page, answer

if TYPE_CHECKING:
    from portanet.training.model import Model

__all__ = ["THREAD", "OpenPage", "Pages"]

MOST_PAGES = 8
THREAD = "portanet-play"
"""What the name of the thread begins with."""

_FRAME = 0.025  # seconds from one frame to the next, at least: the browser wants to draw too
_SIGN = 10.0  # seconds after which an idle page is sent a sign, by which a lost connection is noticed


class OpenPage:
    """A page in a browser, from the begin of its stream of events to the end.

    Attributes
    ----------
    name : str
        By which the page names itself in its messages.
    playing : dict or None
        The arguments of the frames that are being sent.
    """

    def __init__(self, network: Model | None) -> None:
        self.name, self.page = secrets.token_urlsafe(12), Page(network)
        self.playing: dict[str, Any] | None = None
        self.changed = asyncio.Event()

    def play(self, arguments: dict[str, Any] | None) -> None:
        """Send frames with these arguments from now on; None to pause."""
        self.playing = arguments
        self.changed.set()


class Pages:
    """All open pages, at most eight; the thread begins with the first one and ends with the last one.

    Parameters
    ----------
    network : Model, optional
        The network of the digits.
    """

    def __init__(self, network: Model | None = None) -> None:
        self.network, self.open = network, dict[str, OpenPage]()
        self._thread: ThreadPoolExecutor | None = None

    def begin(self) -> OpenPage | None:
        """Return a new page, or None if too many are open."""
        if len(self.open) >= MOST_PAGES:
            return None
        page = OpenPage(self.network)
        self.open[page.name] = page
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, THREAD)
        return page

    def end(self, page: OpenPage) -> None:
        """Forget a page and its sessions; the thread ends after the frame that it computes, if this was the last."""
        page.play(None)
        del self.open[page.name]
        if not self.open and self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    async def answer(self, page: OpenPage, method: Any, arguments: Any) -> str:
        """Return the answer to a message as JSON, computed on the thread; one at a time for all pages."""
        if self._thread is None:
            return json.dumps({"error": "the page was closed"})
        return await asyncio.get_running_loop().run_in_executor(self._thread, answer, page.page, method, arguments)

    async def events(self, page: OpenPage) -> AsyncIterator[tuple[str, str]]:
        """Yield events, (name, JSON): frames while the page plays, and a sign now and then while it does not.

        A frame is computed when the one before it has been taken: a slow client slows its own training down.
        """
        yield "hello", json.dumps({"page": page.name})
        loop = asyncio.get_running_loop()
        while True:
            page.changed.clear()
            if page.playing is None:
                try:
                    await asyncio.wait_for(page.changed.wait(), _SIGN)
                except TimeoutError:
                    yield "sign", "{}"
                continue
            began = loop.time()
            found = await self.answer(page, "frame", page.playing)
            if found.startswith('{"error"'):
                page.playing = None
            yield "frame", found
            await asyncio.sleep(max(0.0, began + _FRAME - loop.time()))
