"""A folder of runs, such as ``runs``: what each was trained on, and how well it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from portanet.cli.config import read_toml
from portanet.cli.output import print_table
from portanet.cli.run_folder import CONFIG, REPORT
from portanet.errors import PortanetError
from portanet.files.regular import own_file

_PARTS = {"test_": "test", "val_": "validation", "": "training"}
"""The prefixes of metrics, and what they were measured on: what was held out first."""

_BEST = {"accuracy": -1, "r2": -1, "loss": 1}  # and which way is better


def is_runs(folder: Path) -> bool:
    """Whether a folder holds folders of runs."""
    return folder.is_dir() and any((sub / CONFIG).is_file() for sub in folder.iterdir() if sub.is_dir())


def describe(folder: Path, report: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the runs in a folder, those on the same data together, the best of them first.

    `report` reads the report of a run; a damaged one, or none yet, leaves the run without a result.
    """
    found = []
    for run in sorted(sub for sub in folder.iterdir() if (sub / CONFIG).is_file()):
        about: dict[str, Any] = {"stopped": "no report yet", "best_epoch": None, "epochs": None, "metrics": {}}
        options: dict[str, Any] = {}
        try:
            options = read_toml(own_file(run, CONFIG), follow=False)
            if (file := own_file(run, REPORT)).is_file():
                about = report(file)
        except PortanetError as error:
            about["stopped"] = f"damaged: {error!s:.60}"
        measured = {name: value for name, value in about["metrics"].items() if value is not None}
        prefix = next((own for own in _PARTS if any(own + name in measured for name in _BEST)), "")
        row = {
            "run": str(run),
            "data": str(options.get("data", "")),
            "measured_on": _PARTS[prefix] if measured else None,
        }
        row |= {name: measured[prefix + name] for name in _BEST if prefix + name in measured}
        found.append({**row, **{name: about[name] for name in ("best_epoch", "epochs", "stopped")}})
    return {"kind": "runs", "folder": str(folder), "runs": sorted(found, key=_order)}


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    part = [*_PARTS.values(), None].index(row["measured_on"])
    own = next(((i, sign * row[name]) for i, (name, sign) in enumerate(_BEST.items()) if name in row), (9, 0.0))
    return row["data"], part, *own, row["run"]


def show(found: dict[str, Any]) -> None:
    """Print the runs as a table."""
    names = [name for name in _BEST if any(name in row for row in found["runs"])]
    rows = [
        (
            row["run"],
            row["data"],
            row["measured_on"] or "-",
            *(f"{row[name]:.4f}" if name in row else "-" for name in names),
            "-" if row["epochs"] is None else f"{row['best_epoch']} of {row['epochs']}",
            row["stopped"],
        )
        for row in found["runs"]
    ]
    header = ["run", "data", "measured on", *names, "best epoch", "stopped"]
    print_table(header, rows, right=range(3, 4 + len(names)))
