"""What a stand-alone script holds for the columns of a table: their plan, and the functions that read it."""

from __future__ import annotations

import pprint
from typing import Any

from portanet.data.cells import MISSING
from portanet.data.columns import PARTS, Column
from portanet.data.plan import Plan
from portanet.export.excerpt import excerpt


def table_marks(plan: Plan) -> dict[str, str]:
    """Return what stands in the script's template for a network whose samples are rows of a table."""
    columns = [_column(c, plan) for c in plan.kept]
    reading: dict[str, Any] = {key: value for key, value in plan.reading.items() if key in _READ}
    if not plan.header:
        places = [{"name": c.name} for c in plan.columns]
        reading |= {"names": False, "target": plan.place, "places": places}
    constants = {"READING": reading, "MISSING": sorted(MISSING), "PARTS": PARTS}
    lines = [f"{name} = {pprint.pformat(value, width=100, compact=True)}" for name, value in constants.items()]
    lines.insert(0, "COLUMNS = [\n" + "".join(f"    {column!r},\n" for column in columns) + "]")
    functions = excerpt("../data/numbers", ["as_numbers"], constants=True)
    functions += excerpt("table_functions", ["read_rows", "encode"])
    return {
        "<IMPORTS>": "import csv\nimport math\nimport re\nimport sys\nfrom datetime import UTC, datetime\n",
        "<FILE>": "TABLE.csv",
        "<HELD>": "the columns of the training table by name, in any order, gaps too",
        "<ROW>": " row",
        "<CONSTANTS>": "\n".join(lines) + "\n",
        "<TABLES>": "\n\n\n".join(functions) + "\n\n\n",
        "<TAKEN>": "rows: list",
        "<ROWS>": "rows, each a dict of its cells by the names of the columns",
        "<CHECKED>": '    x = encode(rows).astype("<DTYPE>")\n',
        "<READ>": "read_rows(sys.argv[1])",
    }


_READ = ("delimiter", "encoding", "comment")


def _column(c: Column, plan: Plan) -> dict[str, Any]:
    """Return what a script has to know about a column."""
    found: dict[str, Any] = {"name": c.name, "kind": c.kind, "flag": c.flag}
    if c.kind in ("category", "boolean"):
        found["categories"] = list(c.categories)
    if c.kind in ("number", "date"):
        found["form"] = c.form
    if c.kind == "date":
        found["parts"] = list(c.parts)
    if c.kind != "category":
        found |= {"fill": c.fill, "refuse": plan.missing == "error"}
    return found
