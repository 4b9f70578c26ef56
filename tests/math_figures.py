"""Writes docs/math/figures.md from what ``portanet gradcheck --json`` and ``portanet agree --json`` print.

usage: python -m tests.math_figures      with torch and JAX installed; about a minute
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "math" / "figures.md"

HEAD = """# The figures

Written by `python -m tests.math_figures`; the digits differ from machine to machine. A test checks that every layer,
loss and optimizer that the two commands know has a row.

- **gradient check**: largest relative error of a layer's gradients compared with central differences in float64, over
  all its arrays and shapes (`portanet gradcheck`; at most 1e-6 beyond the rounding of the differences).
- **the backends**: largest difference from NumPy in float64, relative to the largest entry of the array, over outputs
  and gradients (`portanet agree`). In float64 at most 1e-11 is allowed, in float32 2e-5; for trainings of 100 steps
  1e-9 and 1e-3. `strict` is the reference implementation of the Array API standard. The column float32 is the largest
  of all backends, NumPy among them.
"""


def printed(*command: str) -> list[dict[str, Any]]:
    """Return what a command of portanet prints as JSON."""
    done = subprocess.run([sys.executable, "-m", "portanet", *command, "--json"], capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


TITLES = {"layer": "Layers", "loss": "Losses", "optimizer": "Optimizers", "training": "Trainings"}


def page(checks: list[dict[str, Any]], agreements: list[dict[str, Any]]) -> str:
    """Return the page: a table each for layers, losses, optimizers and trainings."""
    gradient: dict[str, float] = {}
    for check in checks:
        name = check["layer"].partition("-")[0]
        gradient[name] = max(gradient.get(name, 0.0), check["error"])
    largest: dict[tuple[str, str], dict[str, float]] = {}
    for one in agreements:
        if one["backend"] == "numpy" and one["dtype"] == "float64":
            continue  # what all are compared with
        column = one["backend"].partition(":")[0] if one["dtype"] == "float64" else "float32"
        row = largest.setdefault((one["kind"], one["name"].partition("-")[0]), {})
        row[column] = max(row.get(column, 0.0), one["error"])
    backends = sorted({column for row in largest.values() for column in row} - {"float32"})
    text = HEAD
    for kind, title in TITLES.items():
        first = ["gradient check"] if kind == "layer" else []
        titles = [kind, *first, *(f"{name}, float64" for name in backends), "float32"]
        text += f"\n## {title}\n\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n"
        for (_, name), row in ((key, row) for key, row in largest.items() if key[0] == kind):
            cells = [gradient[name]] if first else []
            cells += [row[column] for column in (*backends, "float32")]
            text += f"| {' | '.join([name, *(f'{cell:.1e}' if cell else '0' for cell in cells)])} |\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(printed("gradcheck"), printed("agree")), encoding="utf-8")
