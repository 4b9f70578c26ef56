"""Runs command lines one after the other in one process and tells of each: exit code, stderr, processor time, memory.

``python -m tests.hostile.watch [MODULE ...]`` imports the modules, reads a JSON list of command lines on stdin, each a
list of words or an object with these and the folder to run it in, and prints a JSON object for each. No command can
allocate more than `ROOM`: a larger block is refused by the system, even one that would never be touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import re
import sys
import time
from pathlib import Path

ROOM = 200 << 20
STATUS = Path("/proc/self/status")


def status(field: str) -> int:
    """Return a figure of this process in bytes: VmHWM, its peak resident memory, or VmSize."""
    return int(re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())[1]) * 1024


def main() -> None:
    import resource  # of Unix; the module is imported elsewhere for its figures

    import PIL.Image  # noqa: F401

    import portanet.backends
    import portanet.cli.evaluate
    import portanet.cli.export
    import portanet.cli.foreign
    import portanet.cli.info
    import portanet.cli.predict
    import portanet.cli.stored
    import portanet.cli.train
    import portanet.cli.training
    import portanet.cli.unlabelled
    import portanet.export.onnx_file
    from portanet.cli.main import run
    from portanet.names import escaped

    for name in sys.argv[1:]:
        importlib.import_module(name)  # all that the commands import is there before memory is measured

    run(["predict", "no.safetensors", "moons"])
    portanet.backends.keep_memory = lambda: False  # else a command's peak would be that of all before it
    os.environ["PORTANET_BACKEND"] = "numpy"  # says nothing of what "auto" takes
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda keep: 0)  # of glibc
    for line in json.load(sys.stdin):
        words = line["words"] if isinstance(line, dict) else line
        if isinstance(line, dict):
            os.chdir(line["in"])
        gc.collect()
        trim(0)  # what the last command has given back is no part of this one's peak
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from the beginning
        # Beyond what is there now: allocators and threads of pyarrow keep addresses that nothing is stored at.
        resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + ROOM, most))
        out, err, began = io.StringIO(), io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
        told = {"code": code, "err": err.getvalue(), "seconds": time.process_time() - began, "peak": status("VmHWM")}
        safe = all(escaped(line) == line for line in (out.getvalue() + err.getvalue()).split("\n"))
        print(json.dumps({**told, "safe": safe}), flush=True)


if __name__ == "__main__":
    main()
