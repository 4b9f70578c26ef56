"""SIGINT, SIGTERM and SIGHUP while a network trains: the first ends it in order, a second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.training.trainer import Trainer

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_NOTICE = b"\nportanet: interrupted; finishing this batch, then saving (once more to stop at once)\n"


class Interrupts(Callback):
    """A block in which signals stop the trainer after its current batch.

    A signal that is ignored already is left alone: SIGHUP under ``nohup``, and SIGINT in a job that a script has
    started in the background, which Ctrl-C is not meant for. SIGHUP, of a terminal that was closed, may come twice,
    from the shell and from the system: a second one changes nothing.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.received = 0  # number of the signal that came
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """What a process that a signal ended exits with: 130, 143 or 129."""
        return 128 + self.received

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # no other thread may set a handler
            for number in (signal.SIGINT, signal.SIGTERM, _HANGUP):
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        if self.received:  # it came while the data were prepared
            trainer.stop("interrupted")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave_terminal()
        if self.received and number == _HANGUP:
            return
        if self.received:
            raise SystemExit(128 + number)
        self.received = number
        self.trainer.stop("interrupted")
        with contextlib.suppress(OSError):
            os.write(2, _NOTICE)  # not print: the signal may have come in the middle of one


def _leave_terminal() -> None:
    """Let what is still to be printed go nowhere: a terminal that was closed answers each write with an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        try:
            os.write(stream, b"")
            gone = os.isatty(stream)
        except OSError:
            gone = True
        if gone:
            os.dup2(nowhere, stream)
    os.close(nowhere)
