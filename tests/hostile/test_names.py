"""Each name of a run folder as what it should not be: nothing else is read or written, and one line says it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import cli  # noqa: F401  # a fixture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links, and has no pipes")

READ = ("config.toml", "environment.json", "metrics.jsonl", "report.json", "best.safetensors")
CHECKPOINT = "checkpoint/training.safetensors"
FILES = (*READ, "last.safetensors", ".lock", CHECKPOINT, "plots/curves.png", "plots/confusion.png", "plots/worst.png")
FOLDERS = ("checkpoint", "plots")
KINDS = ("link", "link to nothing", "link to a folder", "link to itself", "pipe", "device", "folder", "socket")

RESUME = ("train", "--resume", "run", "--epochs", "3", "--quiet")
READERS = {
    "config.toml": ("evaluate", "run", "moons"),
    "metrics.jsonl": ("plot", "run"),
    "report.json": ("info", "run"),
    "best.safetensors": ("predict", "run", "moons"),
    "last.safetensors": ("predict", "run", "moons", "--which", "last"),
    "plots": ("plot", "run"),
    "plots/curves.png": ("plot", "run"),
    "model.npz": ("export", "run", "--to", "npz", "--force"),
    "model_predict.py": ("export", "run", "--to", "numpy", "--force"),
    "model_predict.npz": ("export", "run", "--to", "numpy", "--force"),
}
"""The commands other than train that read a name, or write it."""


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A run of two epochs; and the folder that holds it alone."""
    from portanet.cli.main import run

    folder = tmp_path_factory.mktemp("good")
    words = ("train", "moons", "--layers", "4", "--epochs", "2", "--batch-size", "200", "--backend", "numpy", "--quiet")
    assert run([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def place(cli, good, tmp_path):  # noqa: F811
    """The run, a canary and a folder with another one; and no patience for a command that waits."""
    shutil.copytree(good, tmp_path / "run")
    (tmp_path / "run" / "plots").mkdir()
    (tmp_path / "canary").write_text("kept")
    shutil.copytree(good / "checkpoint", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / ".x.0123456789abcdef.part").write_text("kept, also where a writer's left-overs are swept")
    before = signal.signal(signal.SIGALRM, _waited)
    signal.alarm(30)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _waited(number, frame):
    pytest.fail("the command waits")


def put(path: Path, kind: str) -> None:
    """Put what it should not be in the place of a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    canary = path.parents[1 if path.parent.name == "run" else 2]
    match kind:
        case "link":
            path.symlink_to(canary / "canary")
        case "link to nothing":
            path.symlink_to(canary / "nothing")
        case "link to a folder":
            path.symlink_to(canary / "elsewhere", target_is_directory=True)
        case "link to itself":
            path.symlink_to(path.name)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "file":
            path.write_text("kept")
        case "socket":
            import socket

            with socket.socket(socket.AF_UNIX) as end:
                end.bind(os.path.relpath(path))
        case "device":
            try:
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # endless zeros
            except PermissionError:
                pytest.skip("only root may make devices")
        case "huge":
            with path.open("wb") as file:
                file.truncate(1 << 40)


def seen(folder: Path) -> dict[str, str]:
    """Return what lies in a folder: the content of files, where links lead, and the kind of all else."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if path.is_symlink():
            found[name] = f"to {os.readlink(path)}"
        elif stat.S_ISREG(mode):
            small = path.stat().st_size < 1 << 30
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if small else "huge"
        else:
            found[name] = f"{stat.S_IFMT(mode):o}"
    found.pop("run/.lock", None)  # an empty file
    return found


def refused(told, name):
    assert told.code == 3, told
    (line,) = (line for line in told.err.splitlines() if not line.startswith("portanet: "))
    assert line.startswith(f"Error: run/{name}: ")
    assert told.out == ""


CASES = [
    *((name, kind) for name in FILES for kind in KINDS),
    *((name, kind) for name in FOLDERS for kind in (*KINDS[:-2], "file", "socket") if kind != "device"),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_no_training_begins(cli, place, name, kind):  # noqa: F811
    put(place / "run" / name, kind)
    before = seen(place)
    told = cli(*RESUME)
    refused(told, name)
    assert f"found a {'link' if 'link' in kind else kind}" in told.err
    assert seen(place) == before


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
def test_no_other_command_reads_or_writes_it(cli, place, name, kind):  # noqa: F811
    put(place / "run" / name, kind)
    before = seen(place)
    refused(cli(*READERS[name]), name)
    assert seen(place) == before


GOES_ON = ("environment.json", "metrics.jsonl", "report.json", "last.safetensors", ".lock")
"""What is not read by a training that goes on, but for the list of its starts, and is written again."""


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems do not leave holes")
@pytest.mark.parametrize("name", [*READ, "last.safetensors", CHECKPOINT, ".lock"])
def test_huge(cli, place, name):  # noqa: F811
    """A terabyte of nothing takes neither time nor memory."""
    put(place / "run" / name, "huge")
    told = cli(*RESUME)
    if name in GOES_ON:
        assert told.code == 0, told.err
        assert ("it is larger than" in told.err) == (name == "environment.json")
    else:
        refused(told, name)
    if name in ("metrics.jsonl", "report.json"):
        put(place / "run" / name, "huge")
    if name in READERS and name != "config.toml" and (name not in GOES_ON or name != "last.safetensors"):
        refused(cli(*READERS[name]), name)


@pytest.mark.parametrize("name", [*READ, CHECKPOINT, ".lock"])
def test_unreadable(cli, place, monkeypatch, name):  # noqa: F811
    """Root may read all: so the system's answer to others is given here."""
    real = os.open

    def refusing(path, *rest, **more):
        if isinstance(path, str | os.PathLike) and os.path.abspath(path) == str(place / "run" / name):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refusing)
    before = seen(place)
    told = cli(*RESUME)
    if name in ("environment.json", "metrics.jsonl", "report.json"):
        assert told.code == 0, told.err
    else:
        assert told.code == 3, told.err
        assert "Permission denied" in told.err
        assert told.err.count("\n") == 1
        assert seen(place) == before
    if name in READERS:
        told = cli(*READERS[name])
        assert told.code == 3, told.err
        assert told.err.count("\n") == 1


def test_a_network_that_is_named_may_be_a_link(cli, place):  # noqa: F811
    """Its user says which file is meant: caches and shared folders are full of them."""
    (place / "net.safetensors").symlink_to("run/best.safetensors")
    assert cli("predict", "net.safetensors", "moons").code == 0
    (place / "link").symlink_to("run", target_is_directory=True)
    assert cli("train", "--resume", "link", "--epochs", "3", "--quiet").code == 0
