"""Start-up, help, and how errors end."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys

import pytest

import portanet.cli.stored  # noqa: F401  # before a test replaces what it imports
from portanet.cli.group import HELP, group
from portanet.errors import (
    BackendError,
    CheckError,
    ConfigError,
    DataError,
    DivergedError,
    OutOfMemoryError,
    ShapeError,
)

HEAVY = {"numpy", "array_api_compat", "cupy", "torch", "jax", "sklearn", "matplotlib", "safetensors", "rich"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"], ["doctor", "--help"]])
def test_help_imports_no_library(words):
    code = (
        "import sys; from portanet.cli.main import run; "
        f"code = run({words!r}); print(sorted(set(sys.modules) & {HEAVY!r})); sys.exit(code)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", HELP)
def test_group_shows_the_commands_own_help(name):
    command = getattr(importlib.import_module(f"portanet.cli.{name}"), name)
    assert inspect.cleandoc(command.help).splitlines()[0] == HELP[name]
    assert command.name == name


def test_help_lists_every_command(cli):
    shown = cli("--help")
    assert shown.code == 0
    for name, line in HELP.items():
        assert f"{name} " in shown.out
        assert line in shown.out
    assert shown.err == ""
    assert list(HELP) == group.list_commands(None)


def test_version(shell):
    import portanet

    assert shell("--version").out.strip() == f"portanet, version {portanet.__version__}"


def test_unknown_command_is_told_with_the_nearest(cli):
    told = cli("trian")
    assert told.code == 2
    assert "did you mean 'train'?" in told.err
    assert told.out == ""


def test_unknown_option_is_told(cli):
    told = cli("train", "--layrs", "3")
    assert told.code == 2
    assert "--layrs" in told.err
    assert "--layers" in told.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("it is so"), 2),
        (DataError("it is so"), 3),
        (ShapeError("it is so"), 3),
        (BackendError("it is so"), 4),
        (DivergedError("it is so"), 5),
        (OutOfMemoryError("it is so"), 6),
        (CheckError("it is so"), 7),
    ],
)
def test_errors_end_with_their_code_and_one_message(cli, monkeypatch, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("portanet.data.load", fail)
    ended = cli("info", "digits")
    assert ended.code == code
    assert ended.err == "Error: it is so\n"
    assert ended.out == ""


@pytest.mark.parametrize("words", [["--debug", "info", "digits"], ["info", "digits", "--debug"]])
def test_debug_shows_the_traceback(cli, monkeypatch, words):
    def fail(*_, **__):
        message = "it is so"
        raise DataError(message)

    monkeypatch.setattr("portanet.data.load", fail)
    ended = cli(*words)
    assert ended.code == 3
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.endswith("Error: it is so\n")


def test_anything_else_is_an_internal_error(cli, monkeypatch):
    monkeypatch.setattr("portanet.data.load", lambda *_, **__: 1 / 0)
    ended = cli("info", "digits")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert "--debug" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 6)])
def test_what_python_itself_raises(cli, monkeypatch, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("portanet.data.load", fail)
    ended = cli("info", "digits")
    assert ended.code == code
    assert "Traceback" not in ended.err


def test_a_reader_that_goes_away_is_no_traceback():
    code = (
        "import os, sys; from portanet.cli.main import run; "
        "r, w = os.pipe(); os.close(r); os.dup2(w, 1); sys.exit(run(['--help']))"
    )
    found = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, encoding="utf-8", check=False)
    assert found.returncode == 1
    assert found.stderr == ""


def test_library_messages_are_plain_lines_on_stderr(shell):
    told = shell("train", "moons", "--layers", "2", "--epochs", "1", "--json", PORTANET_BACKEND="auto")
    assert told.code == 0, told.err
    assert next(line for line in told.err.splitlines() if line.startswith("portanet: ")).startswith(
        "portanet: running on "
    )
    assert told.err.count("running on") == 1
    assert json.loads(told.out)["stopped"] == "epochs"


@pytest.mark.parametrize(
    "words",
    [
        ("train", "moons", "--layers", "2", "--epochs", "1", "--json", "--quiet"),
        ("train", "missing.csv"),
        ("train", "moons", "--loss", "poisson", "--early-stop", "3", "--val-fraction", "0"),
        ("train", "moons", "--init-from", "missing.safetensors"),
    ],
)
def test_the_choice_of_a_backend_is_not_told_to_the_quiet_nor_before_an_error(shell, words):
    told = shell(*words, PORTANET_BACKEND="auto")
    assert "running on" not in told.err
    assert told.err.startswith("Error: ") or told.err == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "--epochs", "many"], 2),
        (["info", "missing.csv"], 3),
        (["train", "moons", "--backend", "cupy:99"], 4),
        (["train", "moons", "--optimizer", "sgd", "--lr", "1e39", "--backend", "numpy"], 5),
    ],
)
def test_exit_codes_of_the_process(shell, words, code):
    ended = shell(*words)
    assert ended.code == code
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_exit_code_of_a_failed_check():
    code = (
        "import sys; from portanet.verify import agreement; agreement.TOLERANCE['float32'] = 0.0; "
        "from portanet.cli.main import run; sys.exit(run(['agree', '--backends', 'numpy', '--json']))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 7
    assert not all(one["ok"] for one in json.loads(found.stdout))
    assert "beyond their tolerance" in found.stderr
