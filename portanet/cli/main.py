"""The way in and out of the command line: every error ends as one message on stderr and the exit code it stands for."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

import click

from portanet.cli.group import State, group
from portanet.cli.output import logging_to_stderr, say
from portanet.cli.ranks import begun
from portanet.errors import CheckError, DataError, OutOfMemoryError, PortanetError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; that of this process if it is not given.
    """
    _open_closed()
    words = list(sys.argv[1:] if arguments is None else arguments)
    state = State(words)
    with begun(), logging_to_stderr():
        try:
            code = group.main(words, prog_name="portanet", obj=state, standalone_mode=False)
            sys.stdout.flush()  # a reader that has gone is found out here, not while the interpreter shuts down
            return code if isinstance(code, int) else 0
        except click.ClickException as error:
            text = io.StringIO()
            error.show(text)
            for line in text.getvalue().splitlines():  # it quotes what the user has typed, or a file
                say(line)
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("portanet: interrupted", err=True)
            return 130
        except BrokenPipeError:
            _close_stdout()
            return 1
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        except PortanetError as error:
            custom = any(name[:1].isupper() for name in getattr(error, "missing", ()))
            hint = "; a class of your own is known by --import MODULE" if custom else ""
            return _tell(error, f"{_named_by(words, error)}{error}{hint}", error.exit_code, debug=state.debug)
        except MemoryError as error:
            words_ = f"out of memory ({error}); use smaller data, a smaller --batch-size, or --dtype float32"
            return _tell(error, words_, OutOfMemoryError.exit_code, debug=state.debug)
        except OSError as error:
            return _of_files(error, debug=state.debug)
        except Exception as error:
            return _internal(error, debug=state.debug)


def _of_files(error: OSError, *, debug: bool) -> int:
    """Report a file or folder that the system refuses: a name that is too long, a folder of another user."""
    if error.errno in _NO_ROOM:
        _close_stdout()
        place = error.filename or "standard output"
        message = f"{place}: cannot be written ({error.strerror}); make room, or let it go elsewhere"
    elif error.filename is not None:
        message = f"{error.filename}: it cannot be used ({error.strerror}); check the path and its rights"
    else:
        return _internal(error, debug=debug)
    return _tell(error, message, DataError.exit_code, debug=debug)


def _named_by(words: Sequence[str], error: PortanetError) -> str:
    """Return the environment variable that named the backend that an error is about; empty if an option did."""
    named = os.environ.get("PORTANET_BACKEND")
    by_option = any(word.startswith("--backend") for word in words)
    return "PORTANET_BACKEND: " if named and not by_option and f"backend {named!r}" in str(error)[:200] else ""


def _internal(error: Exception, *, debug: bool) -> int:
    code = _tell(error, f"internal error, {type(error).__name__}: {error}", 1, debug=debug)
    say("Run it again with --debug for the traceback.")
    return code


def _open_closed() -> None:
    """Open the standard streams that the process was started without (``>&-``): Python has None in their place.

    The first file that is opened would take the number of such a stream, and what is printed would end up in it. What
    goes to a closed stdout is an error, as on a full disk; what goes to a closed stderr is not.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, open(handle, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115


def _close_stdout() -> None:
    """Let what is still to be written go nowhere: the interpreter would try it again, and complain."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until the process ends


def _tell(error: BaseException, message: str, code: int, *, debug: bool) -> int:
    if debug:
        for line in "".join(traceback.format_exception(error)).splitlines():
            say(line)
    for line in f"Error: {message}".split("\n" if isinstance(error, CheckError) else "\0"):  # it may list what failed
        say(line)
    return code
