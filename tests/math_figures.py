"""Writes docs/math/figures.md from what ``portanet gradcheck --json`` and ``portanet agree --json`` print.

usage: python -m tests.math_figures [--mutants]      with torch and JAX installed; about two minutes

The differences from torch's autograd are those that tests/test_oracle.py and tests/test_oracle_images.py see, the
mutants those of tests/endurance/mutants.json. --mutants writes these alone, and takes no time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import portanet as pn
from tests import differences

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
- **autograd**: largest difference of a layer's output and gradients from torch's own module and its autograd in
  float64, relative to the largest entry of the array, over the cases of `tests/test_oracle.py` and
  `tests/test_oracle_images.py`. For an optimizer, the difference of the weights after 20 steps.
- **mutants**: how many wrong versions of the class's module the tests detect (`python -m tests.endurance.mutation`).
  Each version differs from the source in one operator, number, condition or statement. Versions that compute the same
  are not counted. The last table has the day and the commit; a class is left blank if its module was not run.

## Without autograd

"""


NO_AUTOGRAD = {
    "Dropout": "torch draws other masks; the gradient is compared with the mask that was drawn",
    "Dropout2D": "as Dropout",
    "Augment": "torch has no such layer; its moves are checked against SciPy's in tests/test_augment.py",
    "OneHot": "it has no gradient",
    "Committee": "a mean of networks; that each has the gradients it would have alone is tests/test_committee.py's",
    "Standardize": "a product with a constant",
    "RobustScale": "a product with a constant",
    "CustomActivation": "the function and its derivative are the user's",
    "Lion": "not in torch",
}
"""Why there is no case of torch for a class."""

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "tests" / "endurance" / "mutants.json"


def autograd() -> dict[str, float]:
    """Run the tests beside torch, and return the largest difference by the name of a class."""
    import pytest

    files = [str(ROOT / "tests" / f"{name}.py") for name in ("test_oracle", "test_oracle_images")]
    if pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]):
        raise SystemExit(1)
    return differences.FOUND


def module(name: str) -> str:
    """Return the path of a class's module below portanet/, without .py."""
    return str(getattr(pn, name).__module__).removeprefix("portanet.").replace(".", "/")


def detected(row: dict[str, Any]) -> str:
    return f"{row['killed']} of {row['mutants'] - row['equivalent']}"


def mutants_of(name: str, results: dict[str, dict[str, Any]]) -> str:
    """Return the cell of a class."""
    row = results.get(module(name))
    return "" if row is None else detected(row)


def mutant_table(results: dict[str, dict[str, Any]]) -> str:
    """Return the last section of the page."""
    text = (
        "\n## Mutants\n\n| module | mutants | compute the same | detected | day | commit |\n|---|---|---|---|---|---|\n"
    )
    for name, row in results.items():
        cells = [f"`{name}`", row["mutants"], row["equivalent"], detected(row), row["date"], row["commit"]]
        text += f"| {' | '.join(map(str, cells))} |\n"
    return text


def printed(*command: str) -> list[dict[str, Any]]:
    """Return what a command of portanet prints as JSON."""
    done = subprocess.run([sys.executable, "-m", "portanet", *command, "--json"], capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


TITLES = {"layer": "Layers", "loss": "Losses", "optimizer": "Optimizers", "training": "Trainings"}


def page(checks: list[dict[str, Any]], agreements: list[dict[str, Any]], by_torch: dict[str, float]) -> str:
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
    results = json.loads(MUTANTS.read_text("utf-8"))
    text = HEAD + "".join(f"- {name}: {why}.\n" for name, why in NO_AUTOGRAD.items())
    for kind, title in TITLES.items():
        first = ["gradient check"] if kind == "layer" else []
        last = [] if kind == "training" else ["autograd", "mutants"]
        titles = [kind, *first, *(f"{name}, float64" for name in backends), "float32", *last]
        text += f"\n## {title}\n\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n"
        for (_, name), row in ((key, row) for key, row in largest.items() if key[0] == kind):
            cells = [gradient[name]] if first else []
            cells += [row[column] for column in (*backends, "float32")]
            shown = [name, *map(figure, cells)]
            if last:
                shown += ["" if name in NO_AUTOGRAD else figure(by_torch[name]), mutants_of(name, results)]
            text += f"| {' | '.join(shown)} |\n"
    return text + mutant_table(results)


def figure(number: float) -> str:
    return f"{number:.1e}" if number else "0"


def with_mutants(text: str) -> str:
    """Return the page with the mutants that mutants.json has now."""
    results = json.loads(MUTANTS.read_text("utf-8"))
    lines = []
    for line in text.partition("\n## Mutants\n")[0].splitlines():
        cells = line.split(" | ")
        known = line.startswith("| ") and isinstance(getattr(pn, cells[0].removeprefix("| "), None), type)
        lines.append(" | ".join([*cells[:-1], f"{mutants_of(cells[0][2:], results)} |"]) if known else line)
    return "\n".join(lines) + "\n" + mutant_table(results)


if __name__ == "__main__":
    if sys.argv[1:] == ["--mutants"]:
        PAGE.write_text(with_mutants(PAGE.read_text("utf-8")), encoding="utf-8")
        raise SystemExit
    PAGE.write_text(page(printed("gradcheck"), printed("agree"), autograd()), encoding="utf-8")
