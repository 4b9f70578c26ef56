"""Who may ask the server: requests from its own page, with its token, under its own name. All others get 403."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

__all__ = ["HEADERS", "Access"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: the page loads nothing from elsewhere, sends nothing elsewhere, and is shown in no frame."""


class Access:
    """The token of one server, and the checks of a request's headers.

    Parameters
    ----------
    port : int
        The server's own.

    Attributes
    ----------
    token : str
        256 random bits, new for each server.
    """

    def __init__(self, port: int) -> None:
        self.port, self.token = port, secrets.token_urlsafe(32)
        self._once: str | None = secrets.token_urlsafe(32)
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def once(self) -> str:
        """An address that leads to the page once: the browser's command line, which others may see, holds no token."""
        return f"http://127.0.0.1:{self.port}/?once={self._once}"

    def used(self, code: str) -> bool:
        """Return whether this is the code of :attr:`once`, which then is valid no longer."""
        right = self._once is not None and _equal(code, self._once)
        if right:
            self._once = None
        return right

    def wrong(self, headers: Mapping[str, str]) -> str:
        """Return why a request is refused, whatever it asks for; empty if it is not.

        `Host` is checked against DNS rebinding: a foreign name that was made to lead to 127.0.0.1. `Origin` and
        `Sec-Fetch-Site` say whose page sends the request.
        """
        host = headers.get("host", "")
        if host not in self._hosts:
            return "the Host of the request is not this server's"
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return "the request comes from another page"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "the request comes from another page"
        return ""

    def knows(self, token: str) -> bool:
        """Return whether this is the token; in the same time for every wrong one."""
        return _equal(token, self.token)


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())
