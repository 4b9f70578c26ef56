"""`portanet examples`, the groups of `train --help`, and the next command."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex

import click
import pytest

from portanet.cli.examples import EXAMPLES, LARGER
from portanet.cli.following import FOLLOWING
from portanet.cli.group import HELP, group
from portanet.cli.grouped import MOST_USED, grouped
from portanet.cli.train_options import Options

COMMANDS = [words for rows in (*EXAMPLES.values(), LARGER) for words, _ in rows]


@pytest.mark.parametrize("words", COMMANDS)
def test_an_example_is_a_command_with_known_options(words):
    program, name, *arguments = shlex.split(words)
    assert program == "portanet"
    command = group.get_command(click.Context(group), name)
    with command.make_context(name, arguments, parent=click.Context(group)):
        pass


@pytest.mark.slow
def test_the_examples_run_from_top_to_bottom(cli):
    for rows in EXAMPLES.values():
        for words, _ in rows:
            assert cli(*shlex.split(words)[1:]).code == 0, words


def test_they_are_listed(cli):
    shown = cli("examples").out
    assert all(words in shown for words in COMMANDS)
    found = json.loads(cli("examples", "--json").out)
    assert [row["command"] for rows in found.values() for row in rows] == COMMANDS


def test_the_options_of_train_are_in_groups(cli):
    shown = cli("train", "--help").out
    parts = re.split(r"^(\w[\w ]*) options:$", shown, flags=re.MULTILINE)
    assert parts[1::2] == ["Most used", "Data", "Network", "Training", "Output"]
    names = [re.findall(r"^  (--[\w-]+)", part, flags=re.MULTILINE) for part in parts[2::2]]
    assert names[0] == [f"--{name.replace('_', '-')}" for name in MOST_USED]
    assert len(MOST_USED) == 10
    assert "--missing" in names[1]
    assert "--bias" in names[2]
    assert {"--loss", "--backend", "--seed"} <= set(names[3])
    assert {"--plots", "--config", "--json", "--import"} <= set(names[4])
    flat = [name for own in names for name in own]
    assert len(set(flat)) == len(flat)
    fields = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Options)} - {"--data"}
    assert fields <= set(flat)


def test_each_option_is_in_one_group():
    names = [field.name for field in dataclasses.fields(Options)] + ["quiet"]
    found = grouped(names)
    assert sorted(name for own in found.values() for name in own) == sorted(names)
    assert found["Output"] == ["plots", "quiet"]
    assert list(grouped(["lr", "quiet"])) == ["Most used", "Output"]


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (("evaluate", "runs/moons", "moons"), "plot runs/moons --data moons"),
        (("plot", "runs/moons"), "export runs/moons --to onnx"),
        (("info", "runs/moons"), "show runs/moons"),
        (("info", "moons"), "train moons"),
        (("show", "runs/moons", "--sample", "4"), "show runs/moons --sample 5 -o step.html"),
        (("reproduce", "runs/moons"), "plot runs/moons"),
        (("doctor",), "examples"),
    ],
)
def test_a_command_ends_with_the_next_one(moons, words, after):
    found = moons(*words)
    assert found.code == 0
    assert found.err.splitlines()[-1] == f"next     portanet {after}"
    assert "next " not in found.out
    assert moons(*shlex.split(after)).code == 0
    assert "next " not in moons(*words, "--json").err


def test_a_command_that_fails_has_no_next_one(moons):
    assert "next " not in moons("evaluate", "runs/none", "moons").err
    assert set(FOLLOWING) <= set(HELP)
