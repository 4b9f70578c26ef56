"""Takes from a process what Windows does not have; Python imports this first where its folder is on PYTHONPATH.

Other packages choose by sys.platform, which stays Linux's: of modules they keep what they ask for, filelock left aside.
What portanet opens as text must name its encoding, for Windows has another one: ``-X warn_default_encoding`` makes it a
warning, and this an error.
"""

import builtins
import os
import signal
import warnings

MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
SIGNALS = ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGUSR2")
FUNCTIONS = ("fork", "forkpty", "sched_getaffinity", "statvfs")
HELD = {"portanet", "backends", "tests", "filelock"}

imported = builtins.__import__


def import_(name, globals=None, *rest, **options):
    if name in MODULES and str((globals or {}).get("__name__", "")).partition(".")[0] in HELD:
        message = f"No module named {name!r}"
        raise ImportError(message, name=name)
    return imported(name, globals, *rest, **options)


def refuse(*args, **options):
    raise OSError(1314, "A required privilege is not held by the client")


builtins.__import__ = import_
for name in SIGNALS:
    delattr(signal, name)
for name in FUNCTIONS:
    delattr(os, name)
os.symlink = os.link = refuse
warnings.filterwarnings("error", category=EncodingWarning, module=r"(portanet|tests)\b")
