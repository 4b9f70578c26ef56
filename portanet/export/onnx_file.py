"""A network as a file of ONNX."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import portanet
from portanet.errors import need
from portanet.export.onnx_graph import Graph
from portanet.export.onnx_layers import STEPS
from portanet.export.onnx_table import ML, ML_OPSET, TableInputs
from portanet.export.source import Source, read
from portanet.files.atomic import write

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR = 17, 8  # LayerNormalization came with 17; runtimes since 2022 read both


def to_onnx(model: Any, path: str | os.PathLike[str], *, raw: bool = False) -> None:
    """Write a trained network as an ONNX file, in one piece or not at all.

    Its one input, ``input``, takes samples as :meth:`portanet.Trainer.predict` does, in float32, shape (batch,
    *input_shape): images have their channels last. Its one output, ``output``, is what predict returns, (batch,
    outputs) or (batch, *places, outputs). The metadata hold ``classes``, ``input_shape``, ``output`` (what comes out),
    ``portanet``, the version, and, of a network for pictures, ``pictures``: what these are brought to first, in words.

    A network for a table with text, gaps or dates takes its columns as they are, each as an input of its own name and
    shape (batch, 1): text as strings, numbers in float32, dates as seconds from 1970 in float64, NaN where one is
    missing; for missing text ``""``, ``NA`` and the like. The metadata's ``columns`` lists them. A category that the
    network does not know is an unknown one, as for predict; a yes or no that it does not know is a missing one.

    Parameters
    ----------
    model : Trainer, or a fitted MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn
    path : str or path
    raw : bool
        Whether logits come out instead of probabilities.

    Raises
    ------
    ConfigError
        If a layer is one's own, there are no weights yet, or onnx is not installed.
    DataError
        If the file cannot be written.

    Notes
    -----
    Source: the operators of ONNX, https://onnx.ai/onnx/operators/.
    """
    write(path, onnx_model(model, raw=raw).SerializeToString())


def onnx_model(model: Any, *, raw: bool = False) -> ModelProto:
    """Return a trained network as an ``onnx.ModelProto`` that ``onnx.checker`` has passed; see :func:`to_onnx`."""
    onnx = need("onnx", "onnx", "to_onnx")
    source = read(model, raw=raw, what="to_onnx")
    graph = Graph(onnx, STEPS)
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    table = None if source.columns is None else TableInputs(graph, source.columns)
    found = graph.add(source.steps, "input" if table is None else table.add())
    if not graph.nodes:
        found = graph.node("Identity", [found], "output")
    graph.nodes[-1].output[0] = "output"
    taken = [helper.make_tensor_value_info("input", float32, ["batch", *source.input_shape])]
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "portanet",
            taken if table is None else table.infos,
            [helper.make_tensor_value_info("output", float32, ["batch", *source.out_shape])],
            graph.initializers,
        ),
        ir_version=IR,
        opset_imports=[helper.make_opsetid("", OPSET), *([] if table is None else [helper.make_opsetid(ML, ML_OPSET)])],
        producer_name="portanet",
        producer_version=portanet.__version__,
    )
    helper.set_model_props(proto, metadata(source) | ({} if table is None else table.metadata()))
    onnx.checker.check_model(proto, full_check=True)
    return proto  # type: ignore[no-any-return]  # onnx is imported by its name


def metadata(source: Source) -> dict[str, str]:
    """Return what a reader of an exported file wants to know beside the arrays, as text."""
    return {
        "portanet": portanet.__version__,
        "output": source.output,
        "input_shape": json.dumps(source.input_shape),
        "classes": json.dumps(source.classes, ensure_ascii=False),
        **({"pictures": source.pictures} if source.pictures else {}),
    }
