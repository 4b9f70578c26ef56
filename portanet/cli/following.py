"""What to do after a command: the next one, printed on stderr when it has ended well."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portanet.cli.output import say

__all__ = ["FOLLOWING", "followed"]

Words = list[str]


def _evaluate(given: dict[str, Any]) -> Words:
    return ["plot", given["run"], "--data", given["data"]]


def _plot(given: dict[str, Any]) -> Words:
    return ["export", given["runs"][0], "--to", "onnx"]


def _show(given: dict[str, Any]) -> Words:
    data = [] if given["data"] is None else [given["data"]]
    return ["show", given["run"], *data, "--sample", given["sample"] + 1, "-o", "step.html"]


def _info(given: dict[str, Any]) -> Words:
    from portanet.cli import stored

    if stored.is_stored(given["what"]):
        return ["show", given["what"]] if stored.trained_on(given["what"]) else []
    target = [] if given["target"] is None else ["--target", given["target"]]
    return [] if given["what"].endswith((".onnx", ".npz")) else ["train", given["what"], *target]


def _predict(given: dict[str, Any]) -> Words:
    """After a file was written; what goes to standard output is for another program."""
    return [] if given["out"] is None or str(given["out"]) == "-" else ["export", given["run"], "--to", "onnx"]


def _export(given: dict[str, Any]) -> Words:
    """Describe what was written; a script for NumPy says itself how it is run."""
    from portanet.cli.export import ENDING

    run, form = Path(given["run"]), given["form"]
    if form == "numpy":
        return []
    beside = run / f"model{ENDING[form]}" if run.is_dir() else run.with_name(run.stem + ENDING[form])
    return ["info", str(given["out"] or beside)]


def _convert(given: dict[str, Any]) -> Words:
    from portanet.data.readers.convert import folder_beside

    return ["train", str(given["out"] or folder_beside(given["table"]))]


def _gradcheck(given: dict[str, Any]) -> Words:
    return ["agree"] if given["what"] is None else []


FOLLOWING: dict[str, Callable[[dict[str, Any]], Words]] = {
    "evaluate": _evaluate,
    "plot": _plot,
    "show": _show,
    "info": _info,
    "predict": _predict,
    "export": _export,
    "convert": _convert,
    "gradcheck": _gradcheck,
    "agree": lambda given: ["bench"],
    "doctor": lambda given: ["examples"],
    "cv": lambda given: ["train", given["data"]],
    "reproduce": lambda given: ["plot", given["run"]],
}
"""The next command's words, from the arguments of the one before it; `train` and `tune` say their own."""


def followed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a command, which then prints the next one; not with --json and --quiet."""
    if name not in FOLLOWING:
        return function

    @functools.wraps(function)
    def run(*context: Any, **given: Any) -> Any:
        result = function(*context, **given)
        words = [] if given.get("json_wanted") or given.get("quiet") else FOLLOWING[name](given)
        if words:
            say(f"next     {shlex.join(['portanet', *map(str, words)])}")
        return result

    return run
