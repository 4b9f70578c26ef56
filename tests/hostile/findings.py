"""Findings of untrusted run folders, outputs, checkpoints, names and files: what each did, and how it is made again."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile.model_files import MODELS, joined, parts
from tests.hostile.packed_files import ONNX, PARQUET, TABLES, columns
from tests.hostile.size_files import SIZES

CHECKPOINT = "checkpoint/training.safetensors"
RESUME = ("train", "--resume", "run", "--epochs", "3", "--quiet")
LONG = "n" * 300


class Finding(NamedTuple):
    """What was found.

    `make` prepares a folder with a good run in ``run``, in which the command `words` is then run; it must end with
    `code`, and `seen` says what has become of the files. `before` is what happened when it was found.
    """

    before: str
    make: Callable[[Path], object]
    words: tuple[str, ...]
    code: int = 3
    seen: Callable[[Path], str] = lambda folder: ""


def kept(folder: Path) -> str:
    """Say whether the file of somebody else is as it was, and nothing new is in the folders next to the run."""
    same = (folder / "canary").read_text() == "kept" and os.listdir(folder / "elsewhere") == ["canary"]
    return "nothing else touched" if same and not (folder / "nothing").exists() else "ANOTHER FILE HAS CHANGED"


def instead(name: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts something else in the place of a file of the run."""

    def make(folder: Path) -> None:
        path = folder / "run" / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        change(path)

    return make


def link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(path.parents[1 if path.parent.name == "run" else 2] / to)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def described(name: str, **changes: Any) -> Callable[[Path], None]:
    """Return what edits values in the description of a file of the run, by their paths with two underscores."""

    def make(folder: Path) -> None:
        path = folder / "run" / name
        header, data = parts(path.read_bytes())
        about = json.loads(header["__metadata__"]["portanet"])
        for place, value in changes.items():
            *outer, last = place.split("__")
            inner = about
            for key in outer:
                inner = inner[key]
            inner[last] = value
        header["__metadata__"]["portanet"] = json.dumps(about)
        path.write_bytes(joined(header, data))

    return make


def reshaped(folder: Path) -> None:
    path = folder / "run" / "best.safetensors"
    header, data = parts(path.read_bytes())
    for name in header.keys() - {"__metadata__"}:
        header[name]["shape"] = [1, *header[name]["shape"]]
    path.write_bytes(joined(header, data))


def reported(**values: Any) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        path = folder / "run" / "report.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return make


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def closed(folder: Path) -> None:
    (folder / "out.csv").write_text("old")
    (folder / "out.csv").chmod(0o600)


def device(folder: Path) -> None:
    os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))


def mode(name: str) -> Callable[[Path], str]:
    def seen(folder: Path) -> str:
        found = (folder / name).lstat().st_mode
        return "still a device" if stat.S_ISCHR(found) else f"mode {found & 0o777:o}"

    return seen


def target(folder: Path) -> str:
    same = (folder / "link.csv").is_symlink() and (folder / "real.csv").read_text().startswith("row,")
    return "the link's target is replaced, the link stays" if same else "THE LINK IS GONE"


def linked(folder: Path) -> None:
    (folder / "real.csv").write_text("old")
    (folder / "link.csv").symlink_to("real.csv")


def case(cases: dict[str, Any], name: str) -> Callable[[Path], object]:
    """Return what puts a file of another table of hostile files into the folder, always under one name."""

    def make(folder: Path) -> None:
        (folder / "made").mkdir()
        made = cases[name].make(folder / "made")
        made.rename(folder / f"x{''.join(made.suffixes)}")

    return make


FOLDERS = {
    ".lock is a link to a file": Finding("the file was emptied", instead(".lock", link("canary")), RESUME, seen=kept),
    ".lock is a pipe": Finding("waits for ever", instead(".lock", lambda path: os.mkfifo(path)), RESUME, seen=kept),
    "plots is a link to a folder": Finding(
        "0; pictures written there", instead("plots", link("elsewhere")), ("plot", "run"), seen=kept
    ),
    "checkpoint is a link to a folder": Finding(
        "files written there", instead("checkpoint", link("elsewhere")), RESUME, seen=kept
    ),
    "report.json is a link to nothing": Finding(
        "0; the link was replaced", instead("report.json", link("nothing")), RESUME, seen=kept
    ),
    "config.toml of 1 TB, reproduced": Finding("2", instead("config.toml", huge), ("reproduce", "run", "--quiet")),
}

OUTPUTS = {
    "-o over a file of mode 600": Finding(
        "0; mode 644", closed, ("predict", "run", "moons", "-o", "out.csv"), 0, mode("out.csv")
    ),
    "-o over a device such as /dev/null": Finding(
        "0; an ordinary file in its place", device, ("predict", "run", "moons", "-o", "null"), 0, mode("null")
    ),
    "-o over a link": Finding(
        "0; the link was replaced", linked, ("predict", "run", "moons", "-o", "link.csv"), 0, target
    ),
    "-o with a name that is too long": Finding(
        "1; internal error", kept, ("export", "run", "--to", "npz", "-o", f"{LONG}.npz")
    ),
    "a RUN with a name that is too long": Finding("1; internal error", kept, ("predict", LONG, "moons")),
    "a zero byte in the path of --config": Finding(
        "1; internal error", written("a.toml", 'out = "a\\u0000b"\n'), ("train", "moons", "--config", "a.toml"), 2
    ),
}

CHECKPOINTS = {
    "epoch -1": Finding("1; internal error", described(CHECKPOINT, training__epoch=-1), RESUME),
    "epoch 2^63": Finding("0; taken", described(CHECKPOINT, training__epoch=2**63), RESUME),
    "epoch 1.5": Finding("0; taken", described(CHECKPOINT, training__epoch=1.5), RESUME),
    'epoch "7"': Finding("0; taken", described(CHECKPOINT, training__epoch="7"), RESUME),
    "t 2^2000": Finding("1; internal error", described(CHECKPOINT, training__optimizer__t=2**2000), RESUME),
    "best.safetensors of another epoch": Finding("0; taken", described("best.safetensors", epoch=0), RESUME),
    "best.safetensors of other shapes, reproduced": Finding(
        '0; "bit for bit"', reshaped, ("reproduce", "run", "--quiet"), 7
    ),
    "metrics that are a list, reproduced": Finding(
        "1; internal error", reported(metrics=[1]), ("reproduce", "run", "--quiet"), 7
    ),
}

NAMES = {
    "a class named by an escape": Finding(
        "0; printed raw", described("best.safetensors", classes=["a", "\x1b[2J"]), ("info", "run")
    ),
    "a class named by half a character": Finding(
        "3; named in a message about the data",
        described("best.safetensors", classes=["a", "\ud800"]),
        ("predict", "run", "moons"),
    ),
    "columns named by escapes, several targets": Finding(
        "3; raw in the exception's text",
        written("a.csv", "a,\x1b[2J,\x1b[3J\n1,,\n2,,\n"),
        ("train", "a.csv", "--target", "\x1b[2J,\x1b[3J"),
    ),
    "a number of 100,000 digits": Finding(
        "3; a message of 100 kB", case(TABLES, "a number of 100,000 digits"), ("info", "x.csv")
    ),
}

BOUNDS = {
    "a quote that is not closed": Finding(
        "4.9 GB for 133 MB", case(TABLES, "a quote that is not closed, in 3 MB"), ("info", "x.csv")
    ),
    "20,000 columns of one name": Finding(
        "more than 60 s for 100,000", case(TABLES, "20,000 columns of one name"), ("info", "x.csv")
    ),
    "20,000 columns of text": Finding(
        "0; 322 MB for 200 kB",
        lambda folder: (folder / "a.csv").write_bytes(columns(b"a", b"u", 20_000)()),
        ("info", "a.csv"),
    ),
    "padding of 9,000 in 840 bytes": Finding(
        "4 to 5 GB", case(SIZES, "an image padded by 9,000 pixels"), ("predict", "x.safetensors", "moons")
    ),
    "a dilation of 8,000": Finding(
        "4 to 5 GB", case(SIZES, "a dilation of 8,000"), ("predict", "x.safetensors", "moons")
    ),
    "100,000 layers": Finding("3, 4.6 s", case(MODELS, "described: 100,000 layers"), ("info", "x.safetensors")),
    "gzip of 15 million labels in 15 kB": Finding(
        "458 MB", case(TABLES, "gzip of 15 million labels in 15 kB"), ("info", "x")
    ),
    "ONNX of 5 million empty nodes": Finding(
        "0; 812 MB", case(ONNX, "ONNX of 5 million empty nodes"), ("info", "x.onnx")
    ),
    "Parquet of 40 MB in 10 kB": Finding(
        "0; 231 MB", case(PARQUET, "Parquet of 40 MB in 10 kB, packed"), ("info", "x.parquet")
    ),
    "Parquet whose description claims less than its pages": Finding(
        "0; 1,122 MB for 69 kB",
        case(PARQUET, "Parquet of 500 MB in pages of a file that claims 16 kB"),
        ("info", "x.parquet"),
    ),
    "Parquet of a text in every row": Finding(
        "0; 4 GB for 4 kB", case(PARQUET, "Parquet of a text in 20,000 rows"), ("info", "x.parquet")
    ),
}

FINDINGS = {
    "Run folders": FOLDERS,
    "Outputs": OUTPUTS,
    "Checkpoints": CHECKPOINTS,
    "Names": NAMES,
    "Bounds": BOUNDS,
}
