"""A layer between a program and its file system in which the n-th call that writes fails, or ends the program."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ERRORS = {
    "open": ("ENOSPC", "EACCES", "EROFS", "EMFILE", "EIO"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "EFBIG"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EACCES", "ENOSPC", "EIO", "EXDEV"),
    "mkdir": ("ENOSPC", "EACCES", "EROFS"),
    "close": ("EIO", "EDQUOT"),
}
"""What the system may answer to each call."""

FAULTS = ("once", "from then on", "signal", "second signal", "kill")
"""An error of this one call; of all from it on, as of a full disk; SIGTERM; an exception as a second SIGTERM raises it;
the process' end."""

KILLED = 99
"""Exit code of a process that a fault has ended."""


class Layer:
    """Counts the calls that write below a folder, and lets the n-th one fail; none where `n` is 0.

    Attributes
    ----------
    calls : list of str
        The kind of each call so far.
    renamed : set of (Path, Path)
        From which folder to which something was renamed.
    """

    def __init__(self, root: Path, n: int = 0, fault: str = "once") -> None:
        self.root, self.n, self.fault = str(root.resolve()), n, fault
        self.calls: list[str] = []
        self.renamed: set[tuple[Path, Path]] = set()

    def call(self, kind: str, path: Any = None) -> None:
        """Take note of a call; raise what the fault is."""
        self.calls.append(kind)
        now = len(self.calls)
        if not self.n or now < self.n or (now > self.n and self.fault != "from then on"):
            return
        if self.fault == "kill":
            os._exit(KILLED)  # nothing more is written, nothing is tidied up
        if self.fault == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self.fault == "second signal":
            raise SystemExit(128 + signal.SIGTERM)
        names = ERRORS[kind]
        number = getattr(errno, names[self.n % len(names)])
        raise OSError(number, os.strerror(number), *([] if path is None else [os.fspath(path)]))

    def below(self, path: Any) -> bool:
        """Whether a path lies below the folder."""
        if not isinstance(path, str | os.PathLike):
            return False
        return os.path.abspath(os.fspath(path)).startswith(self.root)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Layer]:
        """Stand between the program and the system as long as the block runs."""
        real_open = io.open

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
            if set(mode) <= set("rbt") or not self.below(file):
                return real_open(file, mode, buffering, *rest, **more)
            self.call("open", file)
            raw = _Raw(self, file, mode, more.get("opener"))
            if "b" in mode:
                return raw if buffering == 0 else io.BufferedWriter(raw)
            return io.TextIOWrapper(io.BufferedWriter(raw), *rest, **more)

        def renamed(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(source: Any, target: Any, **more: Any) -> Any:
                if self.below(target):
                    self.call("rename", target)
                    self.renamed.add((Path(source).parent, Path(target).parent))
                return real(source, target, **more)

            return call

        def mkdir(path: Any, *rest: Any, **more: Any) -> Any:
            if self.below(path) and not os.path.isdir(path):
                self.call("mkdir", path)
            return real_mkdir(path, *rest, **more)

        def fsync(handle: Any) -> None:
            self.call("fsync")
            real_fsync(handle)

        real_mkdir, real_fsync = os.mkdir, os.fsync
        with contextlib.ExitStack() as stack:
            for place, name, new in (
                (io, "open", opened),
                (builtins, "open", opened),
                (os, "replace", renamed(os.replace)),
                (os, "rename", renamed(os.rename)),
                (os, "mkdir", mkdir),
                (os, "fsync", fsync),
            ):
                stack.enter_context(mock.patch.object(place, name, new))
            yield self


class _Raw(io.FileIO):
    """A file whose writes and whose closing may fail: a write has then done half of what it should."""

    def __init__(self, layer: Layer, path: Any, mode: str, opener: Any = None) -> None:
        super().__init__(path, mode.replace("b", "").replace("t", ""), opener=opener)
        self.layer = layer

    def write(self, data: Any, /) -> int:
        begun = len(self.layer.calls)
        half = memoryview(data)[: len(data) // 2]
        if self.layer.n == begun + 1 or (self.layer.fault == "from then on" and 0 < self.layer.n <= begun):
            done = super().write(half)
            self.layer.call("write")
            return done + super().write(memoryview(data)[done:])  # a signal: the rest is written
        self.layer.calls.append("write")
        return super().write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.layer.call("close")
