"""What messages show of strangers' names: one line, cut, never raw; and paths that the system refuses."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

import portanet as pn
from portanet import errors
from portanet.names import is_safe, listed
from tests.cli.conftest import cli, moons  # noqa: F401  # fixtures

ESCAPE = "\x1b[2Ja\nb\u202e\ud800"
WRITTEN = r"\x1b[2Ja\nb\u202e\ud800"
LONG = "n" * 300  # no file system has so long a name


@pytest.mark.parametrize("kind", [errors.DataError, errors.ShapeError, errors.MissingPackageError, errors.BackendError])
def test_an_error_is_one_line(kind):
    error = pickle.loads(pickle.dumps(kind(f"got {ESCAPE}")))  # its own
    assert str(error) == f"got {WRITTEN}"
    assert error.args == (f"got {ESCAPE}",)


def test_a_check_lists_what_failed_in_lines():
    assert str(errors.CheckError("1 of 2\n  \x1b[2J")) == "1 of 2\n  \\x1b[2J"


def test_what_is_logged_is_one_line(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("portanet").warning("%s: %d rows", ESCAPE, 3)
        logging.getLogger("portanet").info("%s: %d rows", "a.csv", 3)
    assert [record.getMessage() for record in caplog.records] == [f"{WRITTEN}: 3 rows", "a.csv: 3 rows"]
    assert caplog.records[1].args == ("a.csv", 3)  # what is safe is left to the program's own handlers


def test_names_are_listed():
    assert listed(["a", 1, "\x1b"], 2) == "a, 1 and 1 more"
    assert listed(["\x1b", "b"], separator="; ") == "\\x1b; b"
    assert listed(["x" * 60, "y" * 61]) == "x" * 60 + ", " + "y" * 57 + "..."
    assert listed([]) == ""


def test_an_unknown_name_among_many():
    text = errors.unknown("column", "c7x", [f"c{i}" for i in range(10_000)])
    assert text.startswith("unknown column 'c7x'; did you mean 'c7")
    assert text.endswith(" and 9900 more)")
    assert len(text) < 1000


COLUMNS = [f"\x1b[2J{i}" for i in range(100)]


@pytest.mark.parametrize(
    ("header", "row", "options"),
    [
        (COLUMNS, ["1"] * 100, {"target": "no"}),
        ([*COLUMNS, COLUMNS[0]], ["", *["u"] * 100], {}),  # two of one name
        (COLUMNS, [""] * 100, {"target": f"{COLUMNS[0]},{COLUMNS[1]}"}),
    ],
)
def test_names_of_columns(tmp_path, header, row, options):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(map(",".join, [header, *[row] * 9])) + "\n")
    with pytest.raises(errors.DataError) as found:
        pn.Trainer(pn.Sequential([pn.Dense(1)])).fit(pn.data.load(path, **options), epochs=1, verbose=False)
    assert is_safe(str(found.value))
    assert r"\x1b[2J" in str(found.value)
    assert len(str(found.value)) < 1500


WORDS = [
    ("train", LONG),
    ("train", "moons", "--out", LONG),
    ("train", "moons", "--init-from", LONG),
    ("train", "--resume", LONG),
    ("evaluate", LONG, "moons"),
    ("evaluate", "runs/moons", LONG),
    ("predict", LONG, "moons"),
    ("predict", "runs/moons", LONG),
    ("predict", "runs/moons", f"{LONG}.png"),
    ("predict", "runs/moons", "moons", "-o", LONG),
    ("info", LONG),
    ("info", f"{LONG}.safetensors"),
    ("export", LONG, "--to", "npz"),
    ("export", "runs/moons", "--to", "npz", "-o", f"{LONG}.npz"),
    ("plot", LONG),
    ("plot", "runs/moons", "-o", LONG),
    ("show", LONG),
    ("show", "runs/moons", LONG),
    ("show", "runs/moons", "-o", LONG),
    ("reproduce", LONG),
    ("reproduce", "runs/moons", "--out", LONG),
    ("convert", LONG),
    ("convert", "a.csv", "-o", LONG),
    ("cv", LONG),
    ("gradcheck", f"{LONG}/x"),
    ("gradcheck", f"{LONG}.py:Own", "--shape", "3"),
    ("agree", "--model", LONG, "--backends", "numpy"),
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words).replace(LONG, "LONG"))
def test_a_name_that_the_system_refuses(moons, tmp_path, words):  # noqa: F811
    np.savetxt(tmp_path / "a.csv", np.eye(6), delimiter=",")
    told = moons(*words)
    assert told.code in (2, 3), told.err
    (line,) = (line for line in told.err.splitlines() if line.startswith("Error: "))
    assert LONG in line or "n" * 40 in line
    assert told.out == ""


def test_a_path_with_a_zero_byte(cli, tmp_path):  # noqa: F811
    """No command line can hold one, but TOML can."""
    (tmp_path / "a.toml").write_text('out = "a\\u0000b"\n')
    told = cli("train", "moons", "--config", "a.toml")
    assert (told.code, told.err) == (
        2,
        "Error: a.toml: out: expected a text without zero bytes, got 'a\\x00b'\n",
    )
    with pytest.raises(errors.DataError, match="found nothing there"):
        pn.load("a\0b")


@pytest.mark.parametrize(
    "words", [("predict", "runs/moons", "moons"), ("show", "runs/moons")], ids=lambda words: words[0]
)
def test_a_folder_is_no_output(moons, tmp_path, words):  # noqa: F811
    (tmp_path / "folder").mkdir()
    told = moons(*words, "-o", "folder")
    assert (told.code, told.out) == (3, "")
    assert told.err == "Error: folder: cannot be written (it is a folder); name a file\n"
    assert list((tmp_path / "folder").iterdir()) == []
