"""What to do after a command: the next one, printed on stderr when it has ended well."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
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


FOLLOWING: dict[str, Callable[[dict[str, Any]], Words]] = {
    "evaluate": _evaluate,
    "plot": _plot,
    "show": _show,
    "info": _info,
    "doctor": lambda given: ["examples"],
    "cv": lambda given: ["train", given["data"]],
    "reproduce": lambda given: ["plot", given["run"]],
}
"""The next command's words, from the arguments of the one before it; `train` says its own."""


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
