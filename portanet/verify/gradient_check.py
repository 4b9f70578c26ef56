"""Gradient checks: every derivative in portanet is written by hand, and this is why it can be trusted.

The file is not named after its function: a submodule ``portanet.gradcheck`` would hide ``portanet.gradcheck()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from portanet.errors import CheckError
from portanet.layers import Layer
from portanet.layers.recording import recorded
from portanet.layers.tree import place
from portanet.losses import Loss
from portanet.random import Key, generator
from portanet.typing import Array, Params, Shape

__all__ = ["GradientCheck", "check_loss", "gradcheck"]

EPS = 1e-6
KINK_MARGIN = 1e-4  # a hundred times EPS: no step of the differences crosses a kink


@dataclass(frozen=True)
class GradientCheck:
    """One array's check: its directional derivative by hand (`got`) and by central differences (`expected`)."""

    layer: str
    array: str
    seed: int
    got: float
    expected: float
    error: float

    def __str__(self) -> str:
        return (
            f"{self.layer}, gradient of {self.array}, seed {self.seed}: "
            f"got {self.got:.9g}, expected {self.expected:.9g}, relative error {self.error:.1e}"
        )


def gradcheck(
    layer: Layer,
    input_shape: Shape,
    *,
    batch: int = 3,
    seed: int = 0,
    tolerance: float = 1e-6,
    params: Params | None = None,
    x: Array | None = None,
    train: bool = True,
) -> list[GradientCheck]:
    """Compare a layer's or network's gradients with central differences, in float64 on the host.

    For the input and for each parameter the derivative of Σ dy y along a random unit direction is taken, with a random
    dy: one number a check, and a mistake in any entry shows with probability 1 (Chainer's method). Inputs are drawn
    until no kink lies near enough to be crossed.

    Parameters
    ----------
    layer : Layer
        What is checked.
    input_shape : tuple of int
        Shape of one sample.
    batch : int
        Number of samples.
    seed : int
        Of the input, the initial parameters, dy, the directions and the dropout masks.
    tolerance : float
        Largest relative error, |got - expected| / max(|got|, |expected|), beyond the rounding noise of the differences.
    params : dict of arrays, optional
        Parameters (and buffers) to use instead of fresh ones.
    x : host array, shape (n, *input_shape), optional
        Input to use instead of a random one, for a layer that takes whole numbers (as float64).
    train : bool
        Whether the forward pass is a training step's (with dropout) or an evaluation's.

    Returns
    -------
    list of GradientCheck
        One for the input and one for each parameter.

    Raises
    ------
    CheckError
        If an error is beyond the tolerance; the message gives layer, array, seed, got and expected.
    """
    rng = generator(seed, "gradcheck")
    fresh, _ = layer.init(rng, tuple(input_shape))
    if params is None:
        buffers = layer.init_buffers(tuple(input_shape))
        # Nothing may stay 0, biases for example, where a wrong formula could still give the right answer.
        params = {name: p + 0.1 * rng.normal(size=p.shape) for name, p in fresh.items()}
    else:
        buffers = {name: p for name, p in params.items() if name not in fresh}
        params = {name: params[name] for name in fresh}
    key = Key(int(rng.integers(2**31)), seed) if train else None

    def forward(p: Params, x: Array) -> tuple[Array, Any]:
        return layer.forward({**p, **buffers}, x, train=train, key=key)

    if x is None:
        x = _away_from_kinks(layer, {**params, **buffers}, (batch, *input_shape), rng, train=train, key=key)
    y, cache = forward(params, x)
    dy = rng.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)

    def objective(p: Params, inputs: Array) -> float:
        return float((forward(p, inputs)[0] * dy).sum())

    scale = float(abs(y * dy).sum())
    checks = []
    for name in ["x", *params]:
        value, gradient = (x, dx) if name == "x" else (params[name], grads[name])
        direction = rng.normal(size=value.shape)
        direction /= (direction**2).sum() ** 0.5 or 1.0

        def moved(h: float, name: str = name, value: Array = value, direction: Array = direction) -> float:
            there = value + h * direction
            return objective(params, there) if name == "x" else objective({**params, name: there}, x)

        expected = (moved(EPS) - moved(-EPS)) / (2 * EPS)
        what = type(layer).__name__, name, seed
        checks.append(_compare(what, gradient, direction, expected, scale, tolerance))
    return checks


def check_loss(
    loss: Loss, prediction: Array, target: Array, weight: Array | None = None, *, seed: int = 0, tolerance: float = 1e-6
) -> GradientCheck:
    """Compare a loss's gradient with central differences, on float64 host arrays; raises as :func:`gradcheck` does."""
    value, cache = loss.forward(prediction, target, weight)
    direction = generator(seed, "gradcheck").normal(size=prediction.shape)
    direction /= (direction**2).sum() ** 0.5

    def moved(h: float) -> float:
        return float(loss.forward(prediction + h * direction, target, weight)[0])

    expected = (moved(EPS) - moved(-EPS)) / (2 * EPS)
    what = type(loss).__name__, "prediction", seed
    return _compare(what, loss.backward(cache), direction, expected, abs(float(value)), tolerance)


def leaves(
    net: Layer, params: Params, x: Array, *, train: bool = False, key: Key | None = None
) -> list[tuple[str, Layer, Params, Array]]:
    """Return (place, layer, its parameters, its input) for each innermost layer, in the order of the forward pass."""
    twin, passes = recorded(net)
    twin.forward(params, x, train=train, key=key)
    return [(place(net, one.path), one.layer, one.params, one.x) for one in passes if not one.layer.children()]


def _away_from_kinks(
    layer: Layer, params: Params, shape: Shape, rng: Any, *, train: bool, key: Key | None, tries: int = 200
) -> Array:
    """Return a random input at which no activation inside the layer stands within KINK_MARGIN of a kink."""
    for _ in range(tries):
        x = rng.normal(size=shape)
        near = (
            float(abs(inside - kink).min())
            for _, inner, _, inside in leaves(layer, params, x, train=train, key=key)
            for kink in inner.kinks
        )
        if all(distance > KINK_MARGIN for distance in near):
            return x
    name = type(layer).__name__
    message = f"gradcheck: found no input away from the kinks of {name} in {tries} tries; take a smaller batch"
    raise CheckError(message)


def _compare(
    what: tuple[str, str, int], gradient: Array, direction: Array, expected: float, scale: float, tolerance: float
) -> GradientCheck:
    """Return the check of `what` (layer, array and seed), or raise CheckError."""
    xp = array_namespace(direction)
    if gradient.shape != direction.shape:
        message = f"{what[0]}, gradient of {what[1]}: expected shape {direction.shape}, got {gradient.shape}"
        raise CheckError(message)
    got = float(xp.sum(gradient * direction))
    noise = 8 * 2.3e-16 * scale / EPS  # rounding of the objective, as the difference quotient magnifies it
    size, difference = max(abs(got), abs(expected)), abs(got - expected)
    check = GradientCheck(*what, got, expected, difference / size if size else 0.0)
    if not difference <= tolerance * size + noise:  # NaN fails too
        message = f"{check}; the tolerance is {tolerance:.0e}: the backward pass does not match the forward pass"
        raise CheckError(message)
    return check
