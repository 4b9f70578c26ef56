"""Writes the tables of docs/speed.md from what ``portanet bench`` printed for each release.

portanet bench --rounds 9 --json > docs/speed/VERSION.json     on a quiet machine, before a release
python -m tests.benchmarks.page
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"
FILES = PAGE.with_suffix("")
"""A file a release, named by its version."""

COLUMNS = (
    ("numpy", "limit", "NumPy of limit"),
    ("numpy", "torch", "of torch"),
    ("numpy", "jax", "of `jax.jit`"),
    ("numpy", "keras", "of Keras on JAX"),
    ("numpy", "sklearn", "of scikit-learn"),
    ("jax", "jax", "JAX of hand-written `jax.jit`"),
    ("jax", "torch", "of torch"),
)
BEGIN, END = "<!-- written by python -m tests.benchmarks.page -->\n", "<!-- end -->"

Results = dict[str, dict[str, Any]]
"""Ratios by version and workload."""


def read(folder: Path = FILES) -> Results:
    """Return the ratios of all releases, the oldest first."""
    files = sorted(folder.glob("*.json"), key=lambda path: [int(part) for part in path.stem.split(".")])
    texts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    return {version: {one["workload"]: one["ratios"] for one in text["workloads"]} for version, text in texts.items()}


def tables(results: Results) -> str:
    """Return the newest release's table; from the second release on also the history of the first column."""
    version = list(results)[-1]
    rows = [
        [name, *(_cell(ratios, backend, peer) for backend, peer, _ in COLUMNS)]
        for name, ratios in results[version].items()
    ]
    text = _table([f"workload ({version})", *(title for *_, title in COLUMNS)], rows)
    if len(results) > 1:
        rows = [
            [name, *(_cell(found.get(name, {}), "numpy", "limit") for found in results.values())]
            for name in results[version]
        ]
        text += "\n" + _table(["NumPy of limit", *results], rows)
    return text


def written(page: str, results: Results) -> str:
    """Return the page with these tables between its two marks."""
    pattern = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    return pattern.sub(lambda _: "\n" + tables(results) + "\n", page)


def _cell(ratios: dict[str, dict[str, float]], backend: str, peer: str) -> str:
    ratio = ratios.get(backend, {}).get(peer)
    return "-" if ratio is None else f"{ratio:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace(" --- ", "---")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
