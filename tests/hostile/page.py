"""Writes docs/bad-input.md: what portanet does with each bad input, as it did when this was run.

python -m tests.hostile.page
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from portanet.errors import PortanetError
from tests.hostile.inputs import ARGUMENTS, SAMPLES, TARGETS, WEIGHTS
from tests.hostile.test_bad_input import OF_SAMPLES, OF_TARGETS, OF_WEIGHTS

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"

HEAD = """# Bad input, and what is said about it

Written by `python -m tests.hostile.page` from real runs; a test compares it with them. What is given to `fit` stands in
the tables; `evaluate`, `predict`, validation data and the other doors say the same of the same (`tests/hostile`).
Every message is one line, a `ConfigError` (exit code 2), or a `DataError` or `ShapeError` (exit code 3), all of them
also a `ValueError`. The network of these runs has 4 inputs and 3 outputs, the data 30 samples.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, doors, cases in (
        ("Samples", OF_SAMPLES, SAMPLES),
        ("Targets", OF_TARGETS, TARGETS),
        ("Weights of samples", OF_WEIGHTS, WEIGHTS),
    ):
        parts.append(_table(title, ((name, partial(doors["fit"], value)) for name, (value, _) in cases.items())))
    parts.append(_table("Arguments", ((name, call) for name, (call, _) in ARGUMENTS.items())))
    return "\n".join(parts)


def _table(title: str, cases: Iterator[tuple[str, Callable[[], object]]]) -> str:
    rows = [f"| {name} | {_said(call)} |" for name, call in cases]
    return "\n".join([f"## {title}", "", "| input | what happens |", "|---|---|", *rows, ""])


def _said(call: Callable[[], object]) -> str:
    try:
        call()
    except PortanetError as error:
        text = re.sub(r" at 0x[0-9a-f]+", "", str(error)).replace("|", "\\|").replace("<", "\\<")
        return f"{text} ({type(error).__name__})"
    return "works"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
