"""What lies at an output's place: files keep mode and owner, links lead on, devices and pipes stay what they are."""

from __future__ import annotations

import os
import socket
import stat
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.data.write import write_csv
from portanet.errors import DataError
from portanet.files.atomic import append, replaces, replacing, write
from tests.cli.conftest import cli, moons  # noqa: F401  # fixtures
from tests.small import blobs, trainer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither owners nor pipes with names")


@pytest.fixture
def place(tmp_path):
    return tmp_path / "out"


def device(path, kind=stat.S_IFCHR, number=(1, 3)):
    """Make a device at a path in a temporary folder; one that takes all and keeps nothing, unless told otherwise."""
    try:
        os.mknod(path, kind | 0o666, os.makedev(*number))
    except PermissionError:
        pytest.skip("only root may make devices")


class Reader:
    """Holds a pipe with a name open, so that no writer waits; what comes fits into the system's 64 KiB."""

    def __init__(self, path):
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def all(self):
        found = b""
        while more := os.read(self._handle, 1 << 16):
            found += more
        os.close(self._handle)
        return found


def ready():
    model = trainer()
    model.init((5,))
    return model


def logged(logger):
    def train(path):
        x, y = blobs(20)
        trainer().fit(x, y, epochs=1, verbose=False, callbacks=[logger(path)])

    return train


WRITERS = {
    "write": lambda path: write(path, "text"),
    "append": lambda path: append(path, "text"),
    "save": lambda path: ready().save(path),
    "checkpoint": lambda path: ready().save_checkpoint(path),
    "csv": lambda path: write_csv(path, np.ones((2, 3)), [0, 1]),
    "npz": lambda path: pn.export.to_npz(ready(), path),
    "torch": lambda path: pn.export.to_torch(ready(), path),
    "JSONLLogger": logged(pn.JSONLLogger),
    "CSVLogger": logged(pn.CSVLogger),
    "Checkpoint": logged(pn.Checkpoint),
    "TrainingCheckpoint": logged(pn.TrainingCheckpoint),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer(place, name):
    """A device stays one, a pipe is written to, a file keeps its mode."""
    write_to = WRITERS[name]
    os.mkfifo(place)
    reader = Reader(place)
    write_to(place)
    assert place.is_fifo()
    assert reader.all()
    place.unlink()
    place.write_bytes(b"")
    place.chmod(0o640)
    write_to(place)
    assert place.stat().st_size
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    place.unlink()
    device(place)
    write_to(place)
    assert place.is_char_device()
    assert os.listdir(place.parent) == ["out"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o444, 0o000])
def test_a_file_keeps_its_mode(place, mode):
    place.write_text("before")
    place.chmod(mode)
    write(place, "after")
    assert stat.S_IMODE(place.stat().st_mode) == mode
    place.chmod(0o600)
    assert place.read_text() == "after"


def test_what_is_private_is_so_while_it_is_written(place):
    place.write_text("before")
    place.chmod(0o600)
    with replacing(place) as file:
        (unfinished,) = (path for path in place.parent.iterdir() if path != place)
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
        file.write(b"after")


def test_a_new_file_has_the_rights_that_the_umask_leaves(place):
    before = os.umask(0o027)
    try:
        write(place, "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(place):
    place.write_text("before")
    os.chown(place, 1234, 2345)
    write(place, "after")
    assert (place.stat().st_uid, place.stat().st_gid) == (1234, 2345)


@pytest.mark.parametrize(("mode", "left"), [(0o640, 0o600), (0o664, 0o644), (0o600, 0o600), (0o666, 0o666)])
def test_a_group_that_cannot_be_kept_hands_on_no_rights(place, monkeypatch, mode, left):
    """Its members may do what others may."""

    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    place.write_text("before")
    place.chmod(mode)
    monkeypatch.setattr(os, "fchown", refused)
    write(place, "after")
    assert stat.S_IMODE(place.stat().st_mode) == left


def test_a_link_stays_and_its_file_is_replaced_where_it_lies(place):
    folder = place.parent / "elsewhere"
    folder.mkdir()
    (folder / "file").write_text("before")
    (folder / "file").chmod(0o600)
    place.symlink_to("elsewhere/file")
    with replacing(place) as file:
        assert os.listdir(place.parent) in (["out", "elsewhere"], ["elsewhere", "out"])  # the other folder has it
        file.write(b"after")
    assert os.readlink(place) == "elsewhere/file"
    assert (folder / "file").read_text() == "after"
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600
    append(place, ", and more")
    assert (folder / "file").read_text() == "after, and more"
    assert os.listdir(folder) == ["file"]


def test_a_link_to_nothing_leads_to_the_new_file(place):
    place.symlink_to(place.parent / "new")
    assert not replaces(place)
    write(place, "text")
    assert place.is_symlink()
    assert (place.parent / "new").read_text() == "text"
    assert replaces(place)


def test_a_link_to_itself(place):
    place.symlink_to(place)
    with pytest.raises(DataError, match="out: cannot be written"):
        write(place, "text")


def _socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(path))  # a long path is none for it


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_socket, "a socket"),
        (os.mkdir, "a folder"),
        (lambda path: device(path, stat.S_IFBLK, (240, 77)), "a disk"),  # which no driver has: none is opened
    ],
)
@pytest.mark.parametrize("by", [write, append, lambda path, text: replaces(path)])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_refused(place, monkeypatch, make, kind, by, linked):
    monkeypatch.chdir(place.parent)
    make(place)
    before = os.lstat(place)
    path = place
    if linked:
        path = place.parent / "link"
        path.symlink_to(place)
    with pytest.raises(DataError, match=rf"cannot be written \(it is {kind}\); name a file"):
        by(path, "text")
    assert os.lstat(place) == before
    assert len(os.listdir(place.parent)) == 1 + linked


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
@pytest.mark.parametrize("handle", [1, 2])
def test_a_link_to_what_is_printed_to(place, capfd, handle):
    """As /dev/stdout is: what was printed before and after stays, in its order, also where it is a file."""
    place.symlink_to(f"/proc/self/fd/{handle}")
    own = (sys.stdout, sys.stderr)[handle - 1]
    print("before", file=own)
    write(place, "text\n")
    append(place, "more\n")
    assert not replaces(place)
    print("after", file=own)
    assert capfd.readouterr()[handle - 1] == "before\ntext\nmore\nafter\n"
    assert place.is_symlink()


def test_predictions_go_where_they_are_sent(moons, place):  # noqa: F811
    printed = moons("predict", "runs/moons", "moons").out
    assert printed.count("\n") == 201
    assert moons("predict", "runs/moons", "moons", "-o", "-").out == printed
    assert not os.path.exists("-")
    os.mkfifo(place)
    reader = Reader(place)
    assert moons("predict", "runs/moons", "moons", "-o", place).code == 0
    assert reader.all().decode() == printed
    place.unlink()
    place.mkdir()
    assert moons("predict", "runs/moons", "moons", "-o", place).code == 3


def test_export_replaces_files_alone_by_force(moons, place):  # noqa: F811
    words = ("export", "runs/moons", "--to", "npz", "-o", place)
    place.symlink_to(place.parent / "real")
    assert moons(*words).code == 0
    assert moons(*words).code == 2
    assert moons(*words, "--force").code == 0
    assert place.is_symlink()
    place.unlink()
    device(place)
    assert moons(*words).code == 0
    assert place.is_char_device()


@pytest.mark.parametrize(
    "words",
    [
        ("export", "runs/moons", "--to", "npz", "-o", "-"),
        ("plot", "runs/moons", "-o", "-"),
        ("convert", "table.csv", "-o", "-"),
        ("tune", "moons", "--space", "space.toml", "--plot", "-"),
    ],
)
def test_a_dash_is_no_file(cli, words):  # noqa: F811
    told = cli(*words)
    assert told.code == 2
    assert "only predict writes to standard output" in told.err
    assert not os.path.exists("-")
