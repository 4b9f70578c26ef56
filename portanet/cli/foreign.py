"""What files hold that are neither a run nor data: exported networks, and other programs' arrays."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from portanet.cli.output import echo, print_table
from portanet.data.files import reworded
from portanet.errors import DataError, need
from portanet.files.onnx_counts import check_onnx

_TOLD = {
    "input_shape": "samples",
    "pictures": "pictures",
    "output": "gives",
    "portanet": "portanet",
    "portanet_version": "portanet",
}
"""What exporters write into the metadata, and what it is called here."""

_AXES = 32  # of an array: more are not shown


def describe(path: Path) -> dict[str, Any] | None:
    """Return what is in an ``.onnx`` file, a ``.safetensors`` file not of trainer.save, or an ``.npz`` without samples.

    None stands for all else. Nothing in the file is run, and of its arrays only the shapes are looked at.

    Raises
    ------
    DataError
        If an .onnx file is damaged.
    ConfigError
        If it takes onnx to read it, and that is not installed.
    """
    if not path.is_file():
        return None
    kinds: dict[str, Any] = {".onnx": _onnx, ".safetensors": _safetensors, ".npz": _npz}
    found = kinds.get(path.suffix, lambda path: None)(path)
    return found and {"kind": path.suffix[1:], "file": str(path), "bytes": path.stat().st_size, **found}


def _safetensors(path: Path) -> dict[str, Any] | None:
    from portanet.files.weights import foreign_header

    try:
        about, shapes = foreign_header(path)
    except DataError:
        return None  # a damaged file of portanet's own is reported by the loader
    return None if "portanet" in about else {"arrays": _rows(shapes), "metadata": about}


def _npz(path: Path) -> dict[str, Any] | None:
    from portanet.data.readers.arrays import KEYS, array_shapes

    shapes = array_shapes(path)
    return None if {name.lower() for name in shapes} & {*KEYS} else {"arrays": _rows(shapes), "metadata": {}}


def _onnx(path: Path) -> dict[str, Any]:
    onnx = need("onnx", "onnx", f"{path}: telling what is in an ONNX file")
    with reworded(path):
        data = path.read_bytes()
    check_onnx(data, path)
    try:
        return _of_graph(onnx.load_model_from_string(data), onnx)
    except Exception as error:  # protobuf's errors are of several kinds; texts are decoded when they are looked at
        message = f"{path}: expected an ONNX file, got another or a damaged one ({error!s:.100}); "
        raise DataError(message + "export it again") from None


def _of_graph(model: Any, onnx: Any) -> dict[str, Any]:
    graph = model.graph
    dtypes = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    shapes = {array.name: (dtypes.get(array.data_type, "?"), tuple(array.dims)) for array in graph.initializer}
    named = {*shapes}
    return {
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "inputs": [_value(value, dtypes) for value in graph.input if value.name not in named],
        "outputs": [_value(value, dtypes) for value in graph.output],
        "operators": dict(Counter(node.op_type for node in graph.node)),
        "arrays": _rows(shapes),
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
    }


def _value(value: Any, dtypes: dict[int, str]) -> dict[str, Any]:
    kind = value.type.tensor_type
    shape = [axis.dim_param or axis.dim_value or "?" for axis in kind.shape.dim]
    return {"name": value.name, "shape": shape, "dtype": dtypes.get(kind.elem_type, "?")}


def _rows(shapes: dict[str, tuple[str, tuple[int, ...]]]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": list(shape), "dtype": dtype} for name, (dtype, shape) in shapes.items()]


def show(found: dict[str, Any]) -> None:
    """Print what :func:`describe` found. Of the metadata, perhaps a stranger's, a few entries in a line each.

    Code that is to be pasted is never printed out of a file.
    """
    about = found["metadata"]
    kind = {"onnx": "an ONNX network", "safetensors": "arrays", "npz": "arrays"}[found["kind"]]
    if about.get("format") == "pt":
        kind = "a state_dict for torch"
    echo(f"{found['file']}: {kind}, {found['bytes'] / 1e6:.2f} MB")
    rows = [(row["name"], _shape(row["shape"]), row["dtype"]) for row in found["arrays"]]
    numbers = sum(math.prod(row["shape"]) for row in found["arrays"])
    size = f"{numbers:,} numbers" if 0 <= numbers < 1 << 63 else "more numbers than a file can hold"
    print_table(["array", "shape", "type"], [*rows, ("all", size, "")])
    for name in ("inputs", "outputs"):
        for value in found.get(name, ()):
            echo(f"{name[:-1]:8} {value['name']} {_shape(value['shape'])} {value['dtype']}")
    if found["kind"] == "onnx":
        echo(f"nodes    {', '.join(f'{count} {name}' for name, count in found['operators'].items())}")
        echo(f"opset    {', '.join(f'{domain} {version}' for domain, version in found['opset'].items())}")
    for name, word in _TOLD.items():
        if name in about:
            echo(f"{word:8} {about[name]}")
    with contextlib.suppress(ValueError, RecursionError):
        classes = json.loads(about.get("classes", "[]"))
        if classes and isinstance(classes, list):
            echo(f"classes  {', '.join(map(str, classes))}")


def _shape(shape: list[Any]) -> str:
    return f"({', '.join(map(str, shape[:_AXES]))}{', ...' if len(shape) > _AXES else ''})"
