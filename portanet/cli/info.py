"""``portanet info``: Describe a run, a folder of runs, a model's file, or data."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from portanet.cli import columns, pictures
from portanet.cli.output import echo, numbers, print_json, print_table
from portanet.cli.parameters import any_size_option, column_option, json_option, task_option, which_option
from portanet.errors import DataError
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read
from portanet.files.schema import NUMBER_OR_NONE, OBJECT, TEXT, WHOLE, check_numbers, check_values

if TYPE_CHECKING:
    from portanet.data import Plan

__all__ = ["info"]

_LARGEST = 1 << 20  # bytes of a report


@click.command()
@click.argument("what", metavar="RUN|RUNS|FILE|DATA")
@which_option
@any_size_option
@column_option
@task_option
@columns.table_options
@pictures.picture_options
@json_option
def info(
    what: str, which: str, target: str | None, task: Any, *, any_size: bool, json_wanted: bool, **table: Any
) -> None:
    """Describe a run, a folder of runs, a model's file, or data.

    The runs in a folder are listed with their results, the best first. For a network, its layers, classes and size are
    printed; for data, the samples, classes and types of the columns; for exported files and those of other programs
    (.onnx, .safetensors, .npz), inputs, outputs and arrays.
    """
    from portanet.cli import foreign, runs, stored, survey

    exported = foreign.describe(Path(what))
    if exported is not None:
        found, show = exported, foreign.show
    elif stored.is_stored(what):
        found = _of_model(stored.find(what, which), Path(what), any_size=any_size)
        show = _show_model
    elif runs.is_runs(Path(what)):
        found, show = runs.describe(Path(what), _report), runs.show
    else:
        found = _of_data(what, target, task, SimpleNamespace(**table))
        show = survey.show if found["kind"] == "pictures" else _show_data
    if json_wanted:
        print_json({key: value for key, value in found.items() if key not in ("lines", "form")})
    else:
        show(found)


def _of_model(file: Path, place: Path, *, any_size: bool) -> dict[str, Any]:
    from portanet.cli.describe import count, layer_rows
    from portanet.cli.run_folder import REPORT
    from portanet.training.load import load

    net = load(file, any_size=any_size)
    report = own_file(place, REPORT) if place.is_dir() else None
    return {
        "kind": "model",
        "file": str(file),
        "bytes": file.stat().st_size,
        "epoch": net.epoch,
        "input_shape": list(net.input_shape or ()),
        "outputs": net.outputs,
        "parameters": count(net.params),
        "classes": list(net.classes),
        "loss": type(net.loss).__name__,
        "dtype": net.dtype,
        "seed": net.seed,
        **_columns(net.columns),
        **({} if net.pictures is None else {"pictures": net.pictures.as_dict(), "form": net.pictures.in_words()}),
        "layers": layer_rows(net.net, net.input_shape or (), net.params),
        **({"report": _report(report)} if report is not None and report.is_file() else {}),
    }


def _report(path: Path) -> dict[str, Any]:
    """Return a run's report, of which at least what is shown here is of the right kind."""
    try:
        found = parsed(read(path, _LARGEST, follow=False))
        check_values(found, {"stopped": TEXT, "best_epoch": WHOLE, "epochs": WHOLE, "metrics": OBJECT})
        check_numbers("metrics", found["metrics"], NUMBER_OR_NONE)  # one that is not finite is written as null
    except (OSError, ValueError):
        message = f"{path}: expected the report of portanet train, got one that is damaged or another; remove it"
        raise DataError(message) from None
    return dict(found)


def _columns(plan: Plan | None) -> dict[str, Any]:
    """Return what the columns of a table are, as plain values, with the lines that say it."""
    return {} if plan is None else {"columns": plan.as_dict()["columns"], "lines": columns.plan_lines(plan)}


def _of_data(source: str, target: str | None, task: Any, options: Any) -> dict[str, Any]:
    from portanet.cli import survey
    from portanet.cli.describe import class_counts
    from portanet.data import Pictures, fingerprint, load
    from portanet.data.planned import plan_of
    from portanet.data.source import is_of_pictures

    form = pictures.form(options)
    try:
        data = load(source, target=target, task=task, reading=columns.reading(options), pictures=form)
    except DataError as error:
        if form != Pictures() or not is_of_pictures(source) or "bring them to one form" not in str(error):
            raise
        return survey.survey(source, error)
    plan = plan_of(data, None, columns.wishes(options), columns.reading(options))
    columns.check_table(options, data, plan)

    def part(x: Any, y: Any) -> dict[str, Any]:
        summary: dict[str, Any] = {"samples": len(x)}
        if data.classes:
            summary["classes"] = class_counts(data, y)
        else:
            summary["target"] = {"min": float(y.min()), "mean": float(y.mean()), "max": float(y.max())}
        return summary

    return {
        "kind": "data",
        "name": data.name,
        "task": data.task,
        "shape": list(data.x.shape[1:]),
        "dtype": str(data.x.dtype),
        "scale": data.scale,
        "features": list(data.features),
        **_columns(plan),
        "train": part(data.x, data.y),
        "val": None if data.x_val is None else part(data.x_val, data.y_val),
        "test": None if data.x_test is None else part(data.x_test, data.y_test),
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
    for line in found.get("lines", ()):
        echo(f"column   {line}")
    if "form" in found:
        echo(f"pictures {found['form']}")
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
    parts = [name for name in ("train", "val", "test") if found[name] is not None]
    rows = [("samples", *(str(found[name]["samples"]) for name in parts))]
    if found["task"] == "classification":
        rows += [(f"class {c}", *(str(found[name]["classes"][c]) for name in parts)) for c in found["train"]["classes"]]
    else:
        of = ("min", "mean", "max")
        rows += [(f"target {word}", *(f"{found[name]['target'][word]:.6g}" for name in parts)) for word in of]
    print_table(["", *parts], rows, right=[1, 2, 3])
    for line in found.get("lines", ()):
        echo(f"column   {line}")
    if found["features"] and not found.get("lines"):
        echo(f"features {', '.join(found['features'])}")
