"""Check a layer or loss that someone else wrote: what it returns, its gradients, and that every backend runs it."""

from __future__ import annotations

import copy
import importlib.util
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from portanet.backends import get as get_backend
from portanet.errors import CheckError, PortanetError
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.random import Key, generator
from portanet.typing import Array, Shape
from portanet.verify.agreement import TOLERANCE, run_layer, run_loss
from portanet.verify.case import LayerCase, LossCase
from portanet.verify.gradient_check import check_loss, gradcheck

__all__ = ["TARGETS", "Grade", "grade"]

TARGETS = ("classes", "shares", "yesno", "counts", "numbers")
"""What a loss may be given as targets: see :class:`portanet.verify.cases.LossCase`."""

BACKENDS = {"numpy": "numpy", "torch": "torch", "strict": "array_api_strict"}
"""Those that are tried, and the package of each."""

_BATCH = 5
_SIGNATURES = "expected forward(self, params, x, *, train, key) and backward(self, params, dy, cache, *, need_dx)"
_HINT = "take the namespace from the arrays: xp = namespace(x)"


@dataclass(frozen=True)
class Grade:
    """One check.

    Attributes
    ----------
    backend, array : str
        Where, and of what; the array is empty where all of it failed.
    error : float or None
        The relative error; None where nothing could be compared.
    problem : str
        What is wrong; empty if nothing is.
    skipped : str
        Why it was not checked; empty if it was.
    """

    backend: str
    array: str
    error: float | None = None
    problem: str = ""
    skipped: str = ""


_Checks = Callable[[], Iterator[Grade]]
_Results = Callable[..., Mapping[str, Array]]


def grade(thing: Layer | Loss, shape: Shape, *, target: str = "", whole_numbers: int = 0) -> list[Grade]:
    """Check a layer for samples of `shape`, or a loss for predictions of `shape`.

    On NumPy its gradients are compared with central differences, in float64; on the other backends its results with
    those on NumPy. The checks end with the first backend on which one fails.

    Parameters
    ----------
    thing : Layer or Loss
    shape : tuple of int
        Of a sample, or of a prediction, without the batch axis.
    target : str
        One of `TARGETS`: what the loss takes. By default classes if it contains the Softmax, yes or no if it contains
        the Sigmoid, else numbers.
    whole_numbers : int
        Give the layer whole numbers below this as inputs, in place of normal ones.
    """
    if isinstance(thing, Layer):
        layer = LayerCase(thing, shape, whole_numbers)
        checks: _Checks = partial(_of_layer, layer)
        results: _Results = partial(run_layer, layer)
    else:
        loss = LossCase(thing, (_BATCH, *shape), target or _target(thing))
        checks, results = partial(_of_loss, loss), partial(run_loss, loss)
    found = _tried("numpy", thing, checks)
    for name, package in BACKENDS.items():
        if name == "numpy" or any(one.problem for one in found):
            continue
        if importlib.util.find_spec(package) is None:
            found.append(Grade(name, "", skipped=f"{package} is not installed"))
            continue
        found += _tried(name, thing, partial(_compared, name, type(thing).__name__, results))
    return found


def _target(loss: Loss) -> str:
    name = "" if loss.output is None else loss.output.__name__
    return {"Softmax": "classes", "Sigmoid": "yesno"}.get(name, "numbers")


def _tried(backend: str, thing: Any, checks: _Checks) -> list[Grade]:
    """Return the checks up to the first that fails, also by an error in the code that is checked."""
    found: list[Grade] = []
    try:
        found.extend(checks())
    except CheckError as error:
        found.append(Grade(backend, "", problem=str(error)))
    except (Exception, SystemExit) as error:  # code that ends the process must not pass
        place = _place(error)
        hint = "" if backend == "numpy" else f"; {_HINT}"
        if isinstance(error, TypeError) and not place and isinstance(thing, Layer):
            hint = f"; {_SIGNATURES}"
        said = str(error) if isinstance(error, PortanetError) else f"it raises {type(error).__name__}{place}: {error}"
        if isinstance(error, NotImplementedError) and not place:
            said = f"it has no {traceback.extract_tb(error.__traceback__)[-1].name} method"
        found.append(Grade(backend, "", problem=f"{type(thing).__name__} on {backend}: {said}{hint}"))
    return found


def _place(error: BaseException) -> str:
    """Return the function and line in which an error was raised: the last ones that are not of a library."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if f"{Path(__file__).parents[1]}" not in str(Path(frame.filename).resolve())]
    return f" in {own[-1].name} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _of_layer(case: LayerCase) -> Iterator[Grade]:
    _check_returns(case)
    x = case.samples(generator(0, "gradcheck"), 3) if case.whole_numbers else None
    for train in (True, False):
        for check in gradcheck(case.layer, case.shape, x=x, train=train):
            if train:
                yield Grade("numpy", check.array, check.error)


def _check_returns(case: LayerCase) -> None:
    """Raise CheckError unless forward and backward return what they should, and leave alone what they are given."""
    layer, name = case.layer, type(case.layer).__name__
    rng = generator(0, "agree")
    params, out_shape = layer.init(rng, case.shape)
    everything = {**params, **layer.init_buffers(case.shape)}
    x, dy = case.samples(rng, _BATCH), rng.normal(size=(_BATCH, *out_shape))
    given = {"x": x, "dy": dy, **everything}
    before, fields = copy.deepcopy(given), copy.deepcopy(vars(layer))
    found = layer.forward(everything, x, train=True, key=Key(7, 3))
    y, cache = _pair(found, f"{name}.forward", "(y, cache)")
    _check_shape(f"{name}: y", y, (_BATCH, *out_shape))
    dx, grads = _pair(layer.backward(params, dy, cache, need_dx=True), f"{name}.backward", "(dx, gradients)")
    _check_shape(f"{name}: dx", dx, x.shape)
    if not isinstance(grads, Mapping) or set(grads) != set(params):
        got = sorted(grads) if isinstance(grads, Mapping) else f"a {type(grads).__name__}"
        message = f"{name}.backward: expected gradients of {sorted(params)}, got {got}"
        raise CheckError(message)
    for key, g in grads.items():
        _check_shape(f"{name}: gradient of {key}", g, params[key].shape)
    for what, array in (("y", y), ("dx", dx), *((f"gradient of {key}", g) for key, g in grads.items())):
        if not (abs(array) < float("inf")).all():
            message = f"{name}: {what}: expected finite numbers, got NaN or infinity"
            raise CheckError(message)
    for key, array in given.items():
        if (array != before[key]).any():
            message = (
                f"{name}: expected {key} as it was, got another one: forward or backward writes on it; take a copy"
            )
            raise CheckError(message)
    if vars(layer).keys() != fields.keys():
        names = ", ".join(sorted(vars(layer).keys() - fields.keys()))
        message = (
            f"{name}: expected a layer that forward leaves as it is, got new fields ({names}); put them in the cache"
        )
        raise CheckError(message)


def _pair(found: Any, place: str, what: str) -> tuple[Any, Any]:
    if not isinstance(found, tuple) or len(found) != 2:
        got = f"a tuple of {len(found)}" if isinstance(found, tuple) else f"a {type(found).__name__}"
        message = f"{place}: expected it to return {what}, got {got}"
        raise CheckError(message)
    return found


def _check_shape(what: str, array: Any, shape: Shape) -> None:
    got = getattr(array, "shape", None)
    if got is None or tuple(got) != tuple(shape):
        message = f"{what}: expected shape {tuple(shape)}, got {type(array).__name__ if got is None else tuple(got)}"
        raise CheckError(message)


def _of_loss(case: LossCase) -> Iterator[Grade]:
    prediction, target, weight = case.arrays()
    for name, own in (("gradient", None), ("gradient with sample weights", weight)):
        value, cache = _pair(
            case.loss.forward(prediction, target, own), f"{type(case.loss).__name__}.forward", "(value, cache)"
        )
        _check_shape(f"{type(case.loss).__name__}: value", value, ())
        _check_shape(f"{type(case.loss).__name__}: gradient", case.loss.backward(cache), prediction.shape)
        yield Grade("numpy", name, check_loss(case.loss, prediction, target, own).error)


def _compared(name: str, kind: str, results: _Results) -> Iterator[Grade]:
    backend, expected = get_backend(name), results(get_backend("numpy"), "float64")
    with backend.activate("float64"):
        found, own = results(backend, "float64", host=False), type(backend.asarray([0.0], "float64"))
        for array, on_device in found.items():
            if not isinstance(on_device, own):
                library = type(on_device).__module__.partition(".")[0]
                message = f"{kind} on {name}: {array}: expected an array of {name}, got one of {library}; {_HINT}"
                raise CheckError(message)
            got, wanted = backend.to_numpy(on_device), expected[array]
            _check_shape(f"{kind} on {name}: {array}", got, wanted.shape)
            apart = abs(got - wanted)
            error = float(apart.max()) / (float(abs(wanted).max()) or 1.0)
            if not error <= TOLERANCE["float64"]:
                flat = int(apart.argmax())
                values = f"got {float(got.reshape(-1)[flat]):.9g}, expected {float(wanted.reshape(-1)[flat]):.9g}"
                message = f"{kind} on {name}: {array}: {values} as on numpy, relative error {error:.1e}"
                raise CheckError(message)
            yield Grade(name, array, error)
