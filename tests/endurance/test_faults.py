"""A fault at every write of a short training, through the command line; and a disk that is really full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from portanet.data.write import write_csv
from portanet.errors import DataError
from portanet.files.atomic import append, replacing, sweep, write
from tests.endurance.faults import command, final, leftovers
from tests.endurance.layer import Layer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_fault_at_every_write_of_a_training():
    command = [sys.executable, "-m", "tests.endurance.faults", "--epochs", "1", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" in done.stdout  # the table's last column
    calls = int(done.stdout.split()[0])
    assert calls >= 50
    assert f"{calls} faults at {calls} calls, {calls} survived" in done.stdout


@pytest.mark.parametrize("fault", ["once", "from then on", "second signal"])
@pytest.mark.parametrize("n", range(1, 6))
def test_a_fault_in_a_single_write(tmp_path, n, fault):
    path = tmp_path / "file"
    path.write_text("before")
    layer = Layer(tmp_path, n, fault)
    with layer(), pytest.raises(SystemExit if fault == "second signal" else DataError):
        write(path, "after")
    assert os.listdir(tmp_path) == ["file"]
    behind_the_rename = layer.calls[:n].count("rename") and layer.calls[n - 1] != "rename"
    assert path.read_text() == ("after" if behind_the_rename else "before")
    assert all(a == b for a, b in layer.renamed)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_line_is_appended_whole_or_not_at_all(tmp_path, n):
    path = tmp_path / "log.csv"
    append(path, "epoch,loss\n")
    with Layer(tmp_path, n)(), pytest.raises(DataError, match=r"log\.csv: cannot be written"):
        append(path, "1,0.5\n")
    closing = n == 3  # then the line is there, and only the system may know whether it stays
    assert path.read_text() == "epoch,loss\n" + ("1,0.5\n" if closing else "")


def test_what_a_writer_left_that_was_killed_is_swept(tmp_path):
    kept = ["run.part", ".run.part", ".hidden", "weights", ".weights.0123456789abcdef.part.txt"]
    for name in (*kept, ".weights.0123456789abcdef.part", ".other.0123456789abcdef.part"):
        (tmp_path / name).touch()
    sweep(tmp_path, "weights")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, ".other.0123456789abcdef.part"])
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    sweep(tmp_path / "nowhere")


def test_a_name_of_255_bytes_and_rights_for_others(tmp_path):
    path = tmp_path / ("ä" * 127 + "x")
    with replacing(path) as file:
        (unfinished,) = os.listdir(tmp_path)
        file.write(b"1")
    assert unfinished.endswith(".part")
    assert path.read_bytes() == b"1"
    table = tmp_path / "t.csv"
    write_csv(table, np.ones((1, 2)), [1])
    assert table.stat().st_mode == path.stat().st_mode


DISK = """
mount -t tmpfs -o size=400k none "$1" || exit 77
cd "$1"
python="$2 -m portanet train"
$python moons --layers 6 --batch-size 200 --epochs 2 --out run --quiet >&2 || exit 1
dd if=/dev/zero of=fill bs=1k count=1000 2>/dev/null
$python --resume run --epochs 4 --quiet; echo "full: $?"
rm fill
mount -o remount,ro none "$1"
$python --resume run --epochs 4 --quiet; echo "read-only: $?"
mount -o remount,rw none "$1"
cp -r run "$3/stopped"
$python --resume run --epochs 4 --quiet >&2; echo "again: $?"
cp -r run "$3/resumed"
"""


def test_a_disk_that_is_really_full_and_one_that_is_read_only(tmp_path):
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    if not shutil.which("unshare"):
        pytest.skip("no unshare: no file system of one's own can be mounted")
    words = ["unshare", "-rm", "sh", "-c", DISK, "sh", str(disk), sys.executable, str(kept)]
    env = os.environ | {"PORTANET_BACKEND": "numpy"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=120, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system of one's own may be mounted here")
    assert done.stdout.splitlines() == ["full: 3", "read-only: 3", "again: 0"], done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "No space left on device" in errors[0]
    assert "Read-only file system" in errors[1]
    assert len(errors) == 2
    assert not leftovers(kept / "stopped")
    whole = ("train", "moons", "--layers", "6", "--batch-size", "200", "--epochs", "4", "--backend", "numpy", "--quiet")
    assert command(*whole, "--out", str(tmp_path / "whole"))[0] == 0
    assert final(kept / "resumed") == final(tmp_path / "whole")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(("stream", "code"), [("stdout", 3), ("stderr", 0)])
def test_a_log_on_a_full_disk(tmp_path, stream, code):
    """What cannot be printed ends no training; a result that cannot be printed is told."""
    words = [sys.executable, "-m", "portanet", "train", "moons", "--epochs", "2", "--layers", "6", "--backend", "numpy"]
    with open("/dev/full", "w") as full:
        out, err = (full if name == stream else subprocess.PIPE for name in ("stdout", "stderr"))
        done = subprocess.run(
            [*words, "--out", "run"], cwd=tmp_path, stdout=out, stderr=err, text=True, timeout=60, check=False
        )
    assert done.returncode == code
    if stream == "stdout":
        told = "Error: standard output: cannot be written (No space left on device); make room, or let it go elsewhere"
        assert done.stderr.splitlines()[-1] == told
    assert final(tmp_path / "run")[-2:] == (2, 2)
