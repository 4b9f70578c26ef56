"""``portanet play``: Open a page to train on points and draw digits."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from portanet.cli.output import echo, say
from portanet.cli.parameters import any_size_option, which_option
from portanet.errors import ConfigError


@click.command("play")
@click.argument("run", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1. Default: a free one.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@click.option(
    "--static",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the page to the new folder DIR for any web host instead: Python then runs in the browser (Pyodide).",
)
@click.option(
    "--pyodide",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="With --static: copy Pyodide from DIR beside the page. Without it the page loads Pyodide from a CDN.",
)
@which_option
@any_size_option
def play(
    run: str | None,
    port: int,
    static: Path | None,
    pyodide: Path | None,
    which: str,
    *,
    no_browser: bool,
    any_size: bool,
) -> None:
    """Open a page to train on points and draw digits.

    All numbers on the page are computed by this library, on this machine. RUN is a network of images to draw for, such
    as one trained on mnist or digits; by default a small one that is installed with portanet. Ctrl-C ends it.
    """
    from portanet.cli import stored

    if pyodide is not None and static is None:
        message = "--pyodide: belongs to --static; give both, or neither"
        raise ConfigError(message)
    if static is not None:
        if run is not None:
            message = "--static: the page has the network that is installed with portanet; leave RUN out"
            raise ConfigError(message)
        from portanet.play.static_page import write

        for line in write(static, pyodide):
            say(line)
        return
    from portanet.play.access import Access
    from portanet.play.server import Server, listen, serve

    network = None if run is None else stored.model(run, which, any_size=any_size)
    if network is not None:
        from portanet.play.digits import form

        form(network)
    with listen(port) as own:
        access = Access(own.getsockname()[1])
        server = serve(Server(access, network), own)
        echo(access.address)
        say("Open it in a browser of this machine. Ctrl-C ends it.")
        if not no_browser:
            webbrowser.open(access.once)
        server.run(sockets=[own])
