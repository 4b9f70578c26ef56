"""The server of the page in a thread, as ``portanet play`` runs it."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time

from portanet.play.access import Access
from portanet.play.pages import THREAD
from portanet.play.server import Server, listen, serve


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(network=None):
    """Yield the Access and the Server of a server that runs until the block ends."""
    own = listen(0)
    access = Access(own.getsockname()[1])
    app = Server(access, network)
    server = serve(app, own)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
    thread.start()
    try:
        assert until(lambda: server.started)
        yield access, app
    finally:
        server.should_exit = True
        thread.join(20)
        own.close()
        assert not thread.is_alive()


def until(condition, seconds=20.0):
    """Wait until the condition holds, and return whether it does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def computing() -> list[str]:
    """Return the names of the threads that compute for pages."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD)]
