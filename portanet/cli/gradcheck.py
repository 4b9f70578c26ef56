"""``portanet gradcheck``: Compare gradients with central differences."""

from __future__ import annotations

import _thread
import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import print_json, print_table
from portanet.cli.parameters import DURATION, LAYERS, any_size_option, json_option
from portanet.errors import CheckError, ConfigError, unknown

if TYPE_CHECKING:
    from portanet.verify.gradient_check import GradientCheck

Checks = Callable[[], "list[GradientCheck]"]


@click.command()
@click.argument("what", metavar="[LAYER|RUN|FILE.py:CLASS]", required=False)
@click.option("--shape", type=LAYERS, help="Your own layer or loss: shape of a sample or prediction, 4 or 8,8,3.")
@click.option(
    "--target",
    type=click.Choice(["classes", "shares", "yesno", "counts", "numbers"]),
    help="Your own loss: what it takes. Default: classes with a Softmax in it, yesno with a Sigmoid, else numbers.",
)
@click.option("--whole-numbers", type=click.IntRange(min=2), metavar="N", help="Your own layer: inputs 0 to N - 1.")
@click.option("--time-limit", type=DURATION, help="Your own layer or loss: stop after 30s or 10m. Default: 5m.")
@any_size_option
@json_option
def gradcheck(
    what: str | None,
    shape: Any,
    target: str | None,
    whole_numbers: int | None,
    time_limit: float | None,
    *,
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Compare gradients with central differences.

    Checks all layers, a named one (Dense, ReLU, ...), or a trained network, in float64 on NumPy. A relative error above
    1e-6 exits with code 7.

    Name your own layer or loss by its file, `portanet gradcheck homework.py:MyLayer --shape 4`, with plain arguments if
    it needs them, 'homework.py:MyLayer(3)', or by its name with --import. Its return values are checked, its gradients
    on NumPy, and its results on torch and array-api-strict, if these are installed. The file is executed.
    """
    from portanet.cli import homework, stored

    if shape is not None and what is not None:
        _grade(what, shape, target, whole_numbers, 300.0 if time_limit is None else time_limit, json_wanted=json_wanted)
        return
    if what is not None and homework.named(what):
        message = f"{what}: expected the shape of a sample or prediction too; give --shape 4, or --shape 8,8,3"
        raise ConfigError(message)
    if (shape, target, whole_numbers, time_limit) != (None, None, None, None):
        message = (
            "--shape, --target, --whole-numbers and --time-limit are for a layer or loss of your own; name it, with "
            "its --shape"
        )
        raise ConfigError(message)

    cases = (
        _of_run(what, any_size=any_size)
        if what is not None and (stored.is_stored(what) or "/" in what)
        else _of_layers(what)
    )
    rows: list[dict[str, Any]] = []
    failed = []
    for name, check in cases.items():
        try:
            rows += [{"layer": name, "array": one.array, "error": one.error, "ok": True} for one in check()]
        except CheckError as error:
            rows.append({"layer": name, "array": None, "error": None, "ok": False})
            failed.append(f"{name}: {error}")
    if json_wanted:
        print_json(rows)
    else:
        print_table(
            ["layer", "array", "relative error"],
            [(r["layer"], r["array"] or "-", f"{r['error']:.1e}" if r["ok"] else "failed") for r in rows],
            right=[2],
        )
    if failed:
        message = f"{len(failed)} of {len(cases)} gradient checks failed:\n  " + "\n  ".join(failed)
        raise CheckError(message)


@contextlib.contextmanager
def _at_most(seconds: float, what: str) -> Iterator[None]:
    """Raise CheckError if the block takes longer: a loop that never ends."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not late.is_set():
            raise
        message = f"{what}: not done after {seconds:g} seconds; look for a loop that never ends, or raise --time-limit"
        raise CheckError(message) from None
    finally:
        timer.cancel()


def _grade(
    what: str, shape: Any, target: str | None, whole_numbers: int | None, limit: float, *, json_wanted: bool
) -> None:
    """Check a layer or loss of the user's own, and print what was found."""
    from portanet.cli import homework
    from portanet.verify.grading import grade

    # What the code prints goes to stderr: stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr), _at_most(limit, what):
        found = grade(homework.made(what), shape, target=target or "", whole_numbers=whole_numbers or 0)
    if json_wanted:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        cells = [
            (one.backend, one.array or "-", one.skipped or ("failed" if one.error is None else f"{one.error:.1e}"))
            for one in found
        ]
        print_table(["backend", "array", "relative error"], cells, right=[2])
    problems = [one.problem for one in found if one.problem]
    if problems:
        message = f"{what}: {problems[0]}"
        raise CheckError(message)


def _of_layers(wanted: str | None) -> dict[str, Checks]:
    from portanet.layers.config import LAYERS as KNOWN
    from portanet.losses import LOSSES
    from portanet.random import generator
    from portanet.verify.cases import LAYERS
    from portanet.verify.gradient_check import gradcheck as check

    by_small = {name.lower(): name for name in LAYERS}
    if wanted is not None and wanted.lower() not in by_small:
        if wanted in {**KNOWN, **LOSSES}:  # of --import
            message = f"{wanted}: expected the shape of a sample or prediction too; give --shape 4, or --shape 8,8,3"
            raise ConfigError(message)
        raise ConfigError(unknown("layer", wanted, LAYERS) + "; or give a run folder, or FILE.py:CLASS")
    names = list(LAYERS) if wanted is None else [by_small[wanted.lower()]]
    found: dict[str, Checks] = {}
    for name in names:
        for i, case in enumerate(LAYERS[name]):
            title = name + case.id.removeprefix(type(case.layer).__name__)  # the layer may stand within another
            title = f"{title} ({i + 1})" if title in found else title
            x = case.samples(generator(0, "gradcheck"), 3) if case.whole_numbers else None
            found[title] = partial(check, case.layer, case.shape, x=x)
    return found


def _of_run(run: str, *, any_size: bool) -> dict[str, Checks]:
    from portanet import backends
    from portanet.cli import stored
    from portanet.verify.gradient_check import gradcheck as check

    net = stored.model(run, any_size=any_size)
    asarray = backends.get("numpy").asarray
    snapshot = net.snapshot()
    arrays = {name: asarray(a, "float64") for part in snapshot.values() for name, a in part.items()}
    return {run: lambda: check(net.net, net.input_shape or (), params=arrays)}
