"""Every value of every file that is read back, made odd: refused in one line before training, or of no effect."""

from __future__ import annotations

import copy
import json
import math
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.cli.conftest import cli  # noqa: F401  # a fixture
from tests.hostile.model_files import joined, parts

CHECKPOINT = "checkpoint/training.safetensors"


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(300):
        found = [found]
    return found


ODD = {
    "-1": -1,
    "2^63": 2**63,
    "2^2000": 2**2000,
    "1.5": 1.5,
    "text of a number": "7",
    "NaN": math.nan,
    "inf": math.inf,
    "None": None,
    "a list": [1],
    "an empty list": [],
    "an object": {"x": 1},
    "True": True,
    "half a pair of surrogates": "\ud800",
    "nested deeply": deep(),
}

Path_ = tuple[str | int, ...]


def leaves(value: Any, place: Path_ = ()) -> Iterator[Path_]:
    """Yield the places of all values that hold no others, and of empty lists and objects."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner:
        yield place
    for key, own in inner:
        yield from leaves(own, (*place, key))


def changed(value: Any, place: Path_, new: Any) -> Any:
    """Return a copy with another value at a place."""
    if not place:
        return new
    value = copy.copy(value)
    value[place[0]] = changed(value[place[0]], place[1:], new)
    return value


def about(path: Path) -> Any:
    header, _ = parts(path.read_bytes())
    return json.loads(header["__metadata__"]["portanet"])


def describe(path: Path, value: Any) -> None:
    header, data = parts(path.read_bytes())
    header["__metadata__"]["portanet"] = json.dumps(value)
    path.write_bytes(joined(header, data))


WORDS = (
    *("train", "moons", "--layers", "4", "--batch-size", "200", "--optimizer", "adam", "--schedule", "plateau"),
    *("--val-fraction", ".2", "--early-stop", "9", "--on-divergence", "lower_lr", "--backend", "numpy", "--quiet"),
)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A run that was stopped within its second epoch, with all that a checkpoint holds; and what it becomes."""
    from portanet.callbacks import TrainingCheckpoint
    from portanet.cli.main import run

    folder, saved = tmp_path_factory.mktemp("leaves"), TrainingCheckpoint._save

    class Stopped(Exception):
        pass

    def stop(self, trainer):
        saved(self, trainer)
        if (trainer.epoch, trainer.position) == (2, 2):
            raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingCheckpoint, "_save", stop)
        words = (*WORDS, "--epochs", "3", "--checkpoint-every", "2", "--out", str(folder / "run"))
        assert run(words) == 1  # an internal error: that of a callback
    shutil.copytree(folder / "run", folder / "whole")
    assert run(("train", "--resume", str(folder / "whole"), "--quiet")) == 0
    return folder


def final(run: Path) -> Any:
    """Return what a run has come to."""
    found: list[Any] = [
        [(name, array.tobytes()) for name, array in sorted(load_file(run / "last.safetensors").items())]
    ]
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [*found, [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]]


def content(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: Any) -> bool:
    return number(value) and abs(value) < 2**129 and math.isfinite(value)


def measured(value: Any) -> bool:
    """A loss or a metric may be NaN, and there may be none yet."""
    return value is None or (number(value) and not (isinstance(value, int) and abs(value) > 2**128))


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


MAY_DIFFER = {
    "training/end": whole,
    "training/seconds": lambda v: finite(v) and v >= 0,
    "training/rate_factor": lambda v: finite(v) and v >= 0,
    "training/finished": lambda v: v == "7",
    "training/schedule/best": measured,
    "training/schedule/waited": whole,
    "training/optimizer/t": whole,
    "EarlyStopping/best": measured,
    "EarlyStopping/weights/optimizer/t": whole,
    "LowerRate/best": measured,
    "LowerRate/lowered": whole,
    "LowerRate/rate_factor": lambda v: finite(v) and v >= 0,
    "LowerRate/kept/epoch": whole,
    "LowerRate/kept/position": whole,
    "LowerRate/kept/optimizer/t": whole,
}
"""What may be another number in a good checkpoint too, and which."""


def named(place: Path_, value: Any) -> str:
    """Return the place of a leaf in words, those of callbacks by their types."""
    if place[:2] == ("training", "callbacks") and len(place) > 3 and place[3] == "state":
        return "/".join(map(str, (value["training"]["callbacks"][place[2]]["type"], *place[4:])))
    return "/".join(map(str, place))


def drawn(all_leaves: list[Any], all_odd: list[str], every: bool) -> Iterator[tuple[Any, str]]:
    """Yield each leaf with each odd value; or with one of them, another for the next leaf."""
    for i, leaf in enumerate(all_leaves):
        for j in range(len(all_odd) if every else 1):
            yield leaf, all_odd[(i + j) % len(all_odd)]


def one_line(told: Any) -> None:
    lines = [line for line in told.err.splitlines() if line.startswith(("Error: ", "Traceback"))]
    assert len(lines) == (told.code != 0), told.err
    assert "internal error" not in told.err, told.err
    assert len(told.err) < 2000, told.err


def sweep_checkpoint(cli, runs, every):  # noqa: F811
    expected, good, tried = final(runs / "whole"), about(runs / "run" / CHECKPOINT), 0
    before = content(runs / "run")
    for leaf, name in drawn(list(leaves(good)), list(ODD), every):
        value = ODD[name]
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree(runs / "run", "run")
        describe(Path("run") / CHECKPOINT, changed(good, leaf, value))
        told = cli("train", "--resume", "run", "--quiet")
        where = f"{named(leaf, good)} = {name}"
        tried += 1
        one_line(told)
        assert told.code in (0, 3), f"{where}: {told}"
        if told.code == 3:
            now = {path.replace("run", str(runs / "run"), 1): held for path, held in content(Path("run")).items()}
            del now[str(runs / "run" / CHECKPOINT)]
            assert now == {path: held for path, held in before.items() if path in now}, f"{where}: files have changed"
            continue
        allowed = MAY_DIFFER.get(named(leaf, good))
        if allowed is None or not allowed(value):
            assert final(Path("run")) == expected, f"{where}: taken, with another result"
    return tried


def sweep(cli, runs, every, name):  # noqa: F811
    file, read, write, words = FILES[name]
    toml = name.startswith("options")
    odd, codes = (OF_TOML, (0, 3, 4)) if toml else (ODD, (0, 3))  # 4 for a backend that is none
    codes = (*codes, 7) if words[0] == "reproduce" else codes  # another run than the files say
    good, tried = read(runs / "whole" / file), 0
    shutil.copytree(runs / "whole", "run")
    for leaf, name in drawn(list(leaves(good)), list(odd), every):
        write(Path("run") / file, changed(good, leaf, odd[name]))
        told = cli(*words)
        tried += 1
        assert told.code in codes, f"{file}: {leaf} = {name}: {told}"
        one_line(told)
    return tried


def test_checkpoint(cli, runs):  # noqa: F811
    assert sweep_checkpoint(cli, runs, every=False) >= 75


@pytest.mark.slow
def test_checkpoint_each_value(cli, runs):  # noqa: F811
    assert sweep_checkpoint(cli, runs, every=True) >= 1000


def in_json(path: Path) -> Any:
    return json.loads(path.read_text())


def to_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def rows(path: Path) -> Any:
    return [json.loads(line) for line in path.read_text().splitlines()][:1]  # the others are alike


def to_rows(path: Path, value: Any) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in value))


def options(path: Path) -> Any:
    return tomllib.loads(path.read_text())


def to_options(path: Path, value: Any) -> None:
    import tomli_w

    path.write_text(tomli_w.dumps(value))


RESUME = ("train", "--resume", "run", "--quiet")
REPRODUCE = ("reproduce", "run", "--quiet")
FILES: dict[str, Any] = {
    "best, predict": ("best.safetensors", about, describe, ("predict", "run", "moons")),
    "best, info": ("best.safetensors", about, describe, ("info", "run")),
    "best, resume": ("best.safetensors", about, describe, RESUME),
    "report": ("report.json", in_json, to_json, ("info", "run")),
    "environment": ("environment.json", in_json, to_json, RESUME),
    "history": ("metrics.jsonl", rows, to_rows, ("plot", "run")),
    "options, predict": ("config.toml", options, to_options, ("predict", "run", "moons")),
    "options, resume": ("config.toml", options, to_options, RESUME),
    "best, reproduce": ("best.safetensors", about, describe, REPRODUCE),
    "report, reproduce": ("report.json", in_json, to_json, REPRODUCE),
    "environment, reproduce": ("environment.json", in_json, to_json, REPRODUCE),
    "history, reproduce": ("metrics.jsonl", rows, to_rows, REPRODUCE),
    "options, reproduce": ("config.toml", options, to_options, REPRODUCE),
    "best, show": ("best.safetensors", about, describe, ("show", "run")),
    "options, show": ("config.toml", options, to_options, ("show", "run")),
    "best, gradcheck": ("best.safetensors", about, describe, ("gradcheck", "run")),
    "best, evaluate": ("best.safetensors", about, describe, ("evaluate", "run", "moons")),
    "best, export": ("best.safetensors", about, describe, ("export", "run", "--to", "numpy", "--force")),
}
OF_TOML = {name: ODD[name] for name in sorted(ODD.keys() - {"None", "half a pair of surrogates", "nested deeply"})}


@pytest.mark.parametrize("name", FILES)
def test_file(cli, runs, name):  # noqa: F811
    assert sweep(cli, runs, False, name) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_file_each_value(cli, runs, name):  # noqa: F811
    assert sweep(cli, runs, True, name) >= 60


def best_of(change):
    """Return what puts another file in the place of the best weights, which are those of the first epoch."""

    def edit(runs):
        noted = about(Path("run") / CHECKPOINT)
        for hook in noted["training"]["callbacks"]:
            if hook["type"] == "Recorder":
                hook["state"]["best"] = json.loads(hook["state"]["lines"][0])
        describe(Path("run") / CHECKPOINT, noted)
        change(runs, Path("run/best.safetensors"))

    return edit


def other_training(*words):
    def change(runs, best):
        from portanet.cli.main import run

        assert run((*WORDS, "--epochs", "1", *words, "--out", "other")) == 0
        shutil.copy("other/best.safetensors", best)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda runs, best: None, None),
        (other_training("--layers", "5"), "it is not of this training: net was"),
        (other_training("--seed", "1"), "it is not of this training: seed was 1, is 0"),
        (lambda runs, best: describe(best, about(best) | {"epoch": 0}), "its epoch is 0, and the best one was 1"),
        (lambda runs, best: describe(best, about(best) | {"epoch": "7"}), "its epoch is '7'"),
        (lambda runs, best: describe(best, about(best) | {"buffers": ["x"]}), "best.safetensors: "),
        (lambda runs, best: describe(best, about(best) | {"buffers": 7}), "it is damaged or was edited"),
        (lambda runs, best: shutil.copy(runs / "run" / CHECKPOINT, best), "best.safetensors: "),
        (lambda runs, best: best.unlink(), "the best one, found none; put the file back, or take those of the last"),
    ],
)
def test_best_weights_of_another_training_are_found_before_this_one_goes_on(cli, runs, change, says):  # noqa: F811
    shutil.copytree(runs / "run", "run")
    best_of(change)(runs)
    before = content(Path("run"))
    told = cli("train", "--resume", "run", "--quiet")
    if says is None:
        assert told.code == 0
        return
    assert told.code == 3
    assert says in told.err
    one_line(told)
    assert content(Path("run")) == before
