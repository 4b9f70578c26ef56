"""``--import``: a module's classes by their names, in every command; and nothing but the command line imports."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from portanet.cli.group import HELP, NAMES
from portanet.layers.config import LAYERS
from portanet.losses import LOSSES
from portanet.metrics import METRICS
from portanet.optimizers import OPTIMIZERS
from portanet.schedules import SCHEDULES

NET = """
[[layers]]
output_dim = 6
activation = "tanh"
[[layers]]
type = "Twice"
[[layers]]
output_dim = 2
"""
MINE = """
from dataclasses import dataclass
from pathlib import Path

import portanet as pn
from portanet import ReLU

Path("imported").touch()


@dataclass(frozen=True)
class Twice(pn.Layer):
    by_sample = True

    def forward(self, params, x, *, train=False, key=None):
        return 2.0 * x, None

    def backward(self, params, dy, cache, *, need_dx=True):
        return 2.0 * dy, {}


@dataclass(frozen=True)
class Smooth(pn.SoftmaxCrossEntropy):
    power: float = 1.0


@dataclass(frozen=True)
class Slowing(pn.SGD):
    fade: float = 0.1


@dataclass(frozen=True)
class Right(pn.Accuracy):
    name: str = "right"


class Fading(pn.Schedule):
    def __init__(self, gamma, monitor="loss", after=pn.Constant()):
        self.gamma, self.monitor, self.after = gamma, monitor, after

    def factor(self, epoch, epochs):
        return self.gamma**epoch * self.after.factor(epoch, epochs)


class _Hidden(pn.SGD):
    pass
"""
OPTIONS = ["--config", "net.toml", "--loss", "Smooth", "--optimizer", "Slowing", "--momentum", ".9", "--quiet"]
OPTIONS += ["--schedule", "Fading:gamma=.9,monitor=val_loss,after=cosine", "--epochs", "2", "--out", "run"]
IMPORT = ["--import", "lib.mine"]


@pytest.fixture
def mine(cli, tmp_path):
    """A folder with the module ``lib.mine``, and a file of layers."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text(MINE)
    (tmp_path / "net.toml").write_text(NET)
    yield cli
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lib", "other")]:
        del sys.modules[name]


@pytest.fixture
def run(mine):
    """A run that holds a class of each kind."""
    done = mine("train", "moons", *OPTIONS, *IMPORT)
    assert done.code == 0, done.err
    Path("imported").unlink()
    for name in ("lib.mine", "lib"):
        del sys.modules[name]
    return mine


def test_a_training_by_names_of_a_module(run):
    config = Path("run/config.toml").read_text()
    assert 'loss = "Smooth"' in config
    assert "lib" not in config
    assert json.loads(run("evaluate", "run", "moons", "--json", *IMPORT).out)["accuracy"] > 0.5


COMMANDS = {
    "evaluate": ["evaluate", "run", "moons"],
    "predict": ["predict", "run", "moons"],
    "export": ["export", "run", "--to", "npz"],
    "info": ["info", "run"],
    "plot": ["plot", "run", "--data", "moons"],
    "gradcheck": ["gradcheck", "run"],
    "agree": ["agree", "--model", "run", "--backends", "numpy"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_is_used_by_each_command(run, command):
    words = COMMANDS[command]
    refused = run(*words)
    assert refused.code == 3
    for name in ("layer 'Twice'", "loss 'Smooth'", "optimizer 'Slowing'", "schedule 'Fading'"):
        assert f"unknown {name}" in refused.err
    given = '{"Twice": Twice, "Smooth": Smooth, "Slowing": Slowing, "Fading": Fading}'
    assert f"custom={given}), or on the command line --import the module" in refused.err
    assert not Path("imported").exists()
    done = run(*words, *IMPORT)
    assert done.code == 0, done.err
    assert Path("imported").exists()


@pytest.mark.parametrize("command", ["tune", "cv"])
def test_fleets_take_names_too(mine, command):
    Path("space.toml").write_text("lr = [0.1, 0.01]")
    words = {"tune": ["--space", "space.toml", "--trials", "2"], "cv": ["-k", "2"]}[command]
    done = mine(
        command, "moons", *words, "--layers", "4", "--epochs", "1", "--optimizer", "Slowing", "--quiet", *IMPORT
    )
    assert done.code == 0, done.err


def test_a_run_is_resumed(run):
    refused = run("train", "--resume", "run", "--epochs", "3", "--quiet")
    assert refused.code == 3
    assert "a class of your own is known by --import MODULE" in refused.err
    assert not Path("imported").exists()
    assert run("train", "--resume", "run", "--epochs", "3", "--quiet", *IMPORT).code == 0
    assert len(Path("run/metrics.jsonl").read_text().splitlines()) == 3


def test_names_are_forgotten_when_the_command_has_ended(run):
    before = [dict(known) for known in (LAYERS, LOSSES, OPTIMIZERS, METRICS, SCHEDULES)]
    assert run("evaluate", "run", "moons", *IMPORT).code == 0
    assert run("train", "moons", "--nonsense", *IMPORT).code == 2
    assert [dict(known) for known in (LAYERS, LOSSES, OPTIMIZERS, METRICS, SCHEDULES)] == before
    assert run("evaluate", "run", "moons").code == 3


def test_what_is_not_public_is_not_known(mine):
    done = mine("train", "moons", "--optimizer", "_Hidden", "--quiet", *IMPORT)
    assert done.code == 2
    assert "unknown optimizer '_Hidden'" in done.err
    assert "Right" not in done.err
    path = Path("lib/mine.py")
    path.write_text(path.read_text() + '\n__all__ = ["Twice"]\n')
    del sys.modules["lib.mine"]
    assert mine("train", "moons", "--optimizer", "Slowing", "--quiet", *IMPORT).code == 2


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("nothere", None, "--import nothere: no module 'nothere' in "),
        ("lib.nothere", None, "--import lib.nothere: no module 'lib.nothere' in "),
        ("json.nothere", None, "no module 'json.nothere'"),
        ("lib/mine.py", None, "expected the name of a module, such as my.module for the file my/module.py"),
        ("lib.mine.py", None, "expected the name of a module"),
        (".mine", None, "expected the name of a module"),
        ("", None, "expected the name of a module"),
        ("other", "1 / 0", "the module raises ZeroDivisionError when it is imported: division by zero"),
        ("other", "import nothere", "raises ModuleNotFoundError when it is imported: No module named 'nothere'"),
        ("other", "def", "raises SyntaxError when it is imported"),
        (
            "other",
            "import portanet as pn\nclass huber(pn.Loss): pass",
            "a loss huber is known already; rename the class",
        ),
        ("other", "import portanet as pn\nclass Dense(pn.Layer): pass", "a layer Dense is known already"),
    ],
)
def test_a_module_that_cannot_be_used(mine, name, text, told):
    if text is not None:
        Path("other.py").write_text(text)
    done = mine("train", "moons", "--epochs", "1", "--import", name)
    assert done.code == 2
    assert told in done.err
    assert not Path("runs").exists()


def test_a_file_in_the_folder_does_not_take_the_place_of_an_installed_module(mine, monkeypatch):
    Path("wave.py").write_text("raise RuntimeError")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    before = list(sys.path)
    assert mine("train", "moons", "--epochs", "0", "--quiet", "--import", "wave").code == 0
    assert sys.path == before


@pytest.mark.parametrize("key", ["import", "modules", "import_"])
def test_no_file_imports(run, key):
    """Neither a run's configuration, nor one that is given, nor a model's file."""
    config = Path("run/config.toml")
    Path("bad.toml").write_text(f'{key} = "lib.mine"\n')
    assert f"unknown key '{key}'" in run("train", "moons", "--config", "bad.toml").err
    config.write_text(f'{key} = "lib.mine"\n' + config.read_text())
    assert run("train", "--resume", "run").code == 3
    for words in COMMANDS.values():
        assert run(*words).code == 3
    assert not Path("imported").exists()
    assert "lib" not in sys.modules


def test_the_commands_that_have_it(cli):
    for command in HELP:
        assert ("--import MODULE" in cli(command, "--help").out) == (command in NAMES)
