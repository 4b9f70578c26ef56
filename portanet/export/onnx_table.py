"""The columns of a table in a graph of ONNX: an input for each, and the nodes that encode them for the network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from portanet.data.cells import MISSING
from portanet.data.columns import BOOLEAN, CATEGORY, DATE, PARTS, Column
from portanet.data.plan import Plan
from portanet.export.onnx_graph import Graph

ML = "ai.onnx.ml"
ML_OPSET = 3

_OWN = re.compile(r"$|[-+\d]|(at|axis|quarter|table) |(inf|nan|output)$")
"""How names begin that the graph gives itself, and the empty one."""

_KINDS = {CATEGORY: "text", BOOLEAN: "text", DATE: "seconds from 1970"}


class TableInputs:
    """The inputs of a graph for a table: a column each, of shape (batch, 1), named as in the table.

    Text is a tensor of strings: categories, and yes and no. Dates are seconds from 1970 in float64, numbers float32, of
    both NaN where one is missing. A name that may be one of the graph's own gets " column" after it.

    Attributes
    ----------
    infos : list
        The inputs as ONNX describes them.
    names : dict
        For each of them the column, and what it holds.
    """

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self.graph, self.plan = graph, plan
        self.infos: list[Any] = []
        self.names: dict[str, dict[str, str]] = {}

    def add(self) -> str:
        """Add the nodes; return the name of the network's inputs, (batch, inputs) in float32."""
        parts = [part for c in self.plan.kept for part in self._column(c)]
        return self.graph.node("Concat", parts, "table ", axis=1)

    def metadata(self) -> dict[str, str]:
        """Return what tells a reader which column each input is."""
        return {"columns": json.dumps(self.names, ensure_ascii=False)}

    def _column(self, c: Column) -> Iterator[str]:
        onnx, graph = self.graph.onnx, self.graph
        kinds = {CATEGORY: onnx.TensorProto.STRING, BOOLEAN: onnx.TensorProto.STRING, DATE: onnx.TensorProto.DOUBLE}
        place = f"table {c.name} "
        x = f"{c.name} column" if _OWN.match(c.name) else c.name
        self.infos.append(
            onnx.helper.make_tensor_value_info(x, kinds.get(c.kind, onnx.TensorProto.FLOAT), ["batch", 1])
        )
        self.names[x] = {"column": c.name, "kind": c.kind, "holds": _KINDS.get(c.kind, "numbers")}
        if c.kind == CATEGORY:
            known = {name: float(i) for i, name in enumerate(c.categories)}
            known |= dict.fromkeys(_absent() if c.flag else (), float(len(c.categories)))
            yield self._encoded(x, place, known, -1.0)
            return
        if c.kind == BOOLEAN:
            known = {form: float(i) for i, name in enumerate(c.categories) for form in _forms(name)}
            x = self._encoded(x, place, known, math.nan)
        gaps = graph.node("IsNaN", [x], place)
        dtype = "float64" if c.kind == DATE else "float32"
        fill = graph.array(f"{place}fill", np.asarray(c.fill, dtype))
        x = graph.node("Where", [gaps, fill, x], place) if self.plan.missing != "error" else x
        if c.kind != DATE:
            yield x
        else:
            yield from self._date(c, x, place)
        if c.flag:
            yield graph.node("Cast", [gaps], place, to=onnx.TensorProto.FLOAT)

    def _date(self, c: Column, x: str, place: str) -> Iterator[str]:
        """Yield the days, and sine and cosine of each period: in float64, since seconds from 1970 have ten digits."""
        graph, single = self.graph, self.graph.onnx.TensorProto.FLOAT

        def times(number: float) -> str:
            factor = graph.array(f"{place}{number!r}", np.asarray(number))
            return graph.node("Mul", [x, factor], place)

        yield graph.node("Cast", [times(1 / PARTS["day"])], place, to=single)
        for part in c.parts:
            turn = times(2 * math.pi / PARTS[part])
            quarter = graph.array("quarter turn", np.asarray(math.pi / 2))
            for angle in (turn, graph.node("Add", [turn, quarter], place)):  # the cosine is a sine too
                yield graph.node("Cast", [graph.node("Sin", [angle], place)], place, to=single)

    def _encoded(self, x: str, place: str, known: dict[str, float], default: float) -> str:
        attributes = {"keys_strings": list(known), "values_floats": list(known.values()), "default_float": default}
        return self.graph.node("LabelEncoder", [x], place, domain=ML, **attributes)


def _absent() -> list[str]:
    """Return what stands for a missing value, in the usual cases of letters."""
    return sorted({form for word in MISSING for form in _forms(word)} | {"NaN", "NaT", "<NA>"})


def _forms(word: str) -> list[str]:
    return [word, word.lower(), word.upper(), word.capitalize()]
