"""``portanet info``: what a run, a model's file or data hold."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import click

from portanet.cli.output import echo, numbers, print_json, print_table
from portanet.cli.parameters import column_option, json_option, task_option, which_option
from portanet.errors import DataError

_LARGEST = 1 << 20  # bytes of a report
_REPORT = {"stopped": str, "metrics": dict, "best_epoch": int, "epochs": int}


@click.command()
@click.argument("what", metavar="RUN|FILE|DATA")
@which_option
@column_option
@task_option
@json_option
def info(what: str, which: str, target: str | None, task: Any, *, json_wanted: bool) -> None:
    """Describe a run, a model's file, or data.

    Of a network its layers, classes and size are printed; of data their samples and classes; of what is exported, and
    of other programs' files (.onnx, .safetensors, .npz), what comes in and out, and the arrays.
    """
    from portanet.cli import foreign, stored

    show = foreign.show
    found = foreign.describe(Path(what))
    if found is None and stored.is_stored(what):
        found, show = _of_model(stored.find(what, which), Path(what)), _show_model
    elif found is None:
        found, show = _of_data(what, target, task), _show_data
    if json_wanted:
        print_json(found)
    else:
        show(found)


def _of_model(file: Path, place: Path) -> dict[str, Any]:
    from portanet.cli.describe import count
    from portanet.cli.run_folder import REPORT
    from portanet.files.description import load
    from portanet.layers import Sequential
    from portanet.layers.words import layer_words

    trained = load(file)
    report, shape = place / REPORT, trained.input_shape or ()
    net = trained.net if isinstance(trained.net, Sequential) else Sequential((trained.net,))
    rows = zip(net.layers, net.shapes(shape), net.split(dict(trained.params)), strict=True)
    return {
        "kind": "model",
        "file": str(file),
        "bytes": file.stat().st_size,
        "epoch": trained.epoch,
        "input_shape": list(shape),
        "outputs": trained.outputs,
        "parameters": count(trained.params),
        "classes": list(trained.classes),
        "loss": type(trained.loss).__name__,
        "dtype": trained.dtype,
        "seed": trained.seed,
        "layers": [
            {"index": i, "layer": layer_words(layer), "output_shape": list(shape), "parameters": count(own)}
            for i, (layer, shape, own) in enumerate(rows)
        ],
        **({"report": _report(report)} if report.is_file() else {}),
    }


def _report(path: Path) -> dict[str, Any]:
    """Return a run's report, of which at least what is shown here is of the right kind."""
    try:
        with path.open("rb") as file:
            found: dict[str, Any] = json.loads(file.read(_LARGEST))
        sound = all(isinstance(found[key], kind) for key, kind in _REPORT.items())
        # A number that is not finite is written as null.
        sound = sound and all(isinstance(value, int | float | None) for value in found["metrics"].values())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        message = f"{path}: expected the report of portanet train, got one that is damaged or another; remove it"
        raise DataError(message)
    return found


def _of_data(source: str, target: str | None, task: Any) -> dict[str, Any]:
    from portanet.data import fingerprint, load

    data = load(source, target=target, task=task)

    def part(y: Any) -> dict[str, Any]:
        if not data.classes:
            numbers = {"min": float(y.min()), "mean": float(y.mean()), "max": float(y.max())}
            return {"samples": len(y), "target": numbers}
        counts = Counter(y.tolist())
        return {"samples": len(y), "classes": {name: counts[i] for i, name in enumerate(data.classes)}}

    return {
        "kind": "data",
        "name": data.name,
        "task": data.task,
        "shape": list(data.x.shape[1:]),
        "dtype": str(data.x.dtype),
        "scale": data.scale,
        "features": list(data.features),
        "train": part(data.y),
        "test": None if data.y_test is None else part(data.y_test),
        "sha256": fingerprint(data),
    }


def _show_model(found: dict[str, Any]) -> None:
    from portanet.cli.describe import shape_words

    echo(f"{found['file']}: {found['bytes'] / 1e6:.2f} MB, {found['dtype']}, epoch {found['epoch']}")
    rows = [("", "input", shape_words(tuple(found["input_shape"])), "")]
    rows += [
        (str(row["index"]), row["layer"], shape_words(tuple(row["output_shape"])), f"{row['parameters']:,}")
        for row in found["layers"]
    ]
    print_table(["#", "layer", "output", "parameters"], [*rows, ("", "all", "", f"{found['parameters']:,}")], right=[3])
    echo(f"loss     {found['loss']}")
    if found["classes"]:
        echo(f"classes  {', '.join(found['classes'])}")
    if "report" in found:
        report = found["report"]
        measured = {name: math.nan if value is None else value for name, value in report["metrics"].items()}
        echo(f"run      epoch {report['best_epoch']} of {report['epochs']}  {numbers(measured)}")
        echo(f"stopped  {report['stopped']}")


def _show_data(found: dict[str, Any]) -> None:
    from portanet.cli.describe import shape_words

    scale = "" if found["scale"] is None else f", 0 to {found['scale']:g}"
    echo(f"{found['name']}: {found['task']}, samples of {shape_words(tuple(found['shape']))}, {found['dtype']}{scale}")
    parts = {name: found[name] for name in ("train", "test") if found[name] is not None}
    rows = [("samples", *(str(part["samples"]) for part in parts.values()))]
    if found["task"] == "classification":
        rows += [(f"class {c}", *(str(p["classes"][c]) for p in parts.values())) for c in found["train"]["classes"]]
    else:
        of = ("min", "mean", "max")
        rows += [(f"target {word}", *(f"{p['target'][word]:.6g}" for p in parts.values())) for word in of]
    print_table(["", *parts], rows, right=[1, 2])
    if found["features"]:
        echo(f"features {', '.join(found['features'])}")
