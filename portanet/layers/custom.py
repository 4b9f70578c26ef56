"""Activations by name, and custom activations: a function and its derivative, checked when they are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Name
from portanet.errors import CheckError, ConfigError
from portanet.layers import activations, gelu, hard, smooth
from portanet.layers.base import Layer
from portanet.random import Key, generator
from portanet.registry import snake_case
from portanet.typing import Array, Params

__all__ = ["CustomActivation", "custom_activation"]

ACTIVATIONS: dict[str, Layer] = {
    snake_case(name): getattr(module, name)()
    for module in (activations, gelu, hard, smooth)
    for name in module.__all__
    if name != "SmoothClip"  # it bounds inputs
}
"""The activations that a configuration can name; :func:`custom_activation` adds to them."""


@dataclass(frozen=True)
class CustomActivation(Layer):
    """An elementwise function of the user's own. Made by :func:`custom_activation`, which checks it.

    Forward   y  = f(x)
    Backward  dx = dy f'(x)
    """

    name: Name
    function: Callable[[Array], Array] = field(repr=False)
    derivative: Callable[[Array], Array] = field(repr=False)
    kinks: tuple[float, ...] = ()  # type: ignore[misc]  # a hyper-parameter here, a constant of the class elsewhere
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return self.function(x), x

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return dy * self.derivative(cache), {}

    def config(self) -> dict[str, Any]:
        return {"type": "CustomActivation", "name": self.name}


def custom_activation(
    name: str,
    function: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
    *,
    kinks: tuple[float, ...] = (),
) -> CustomActivation:
    """Return the activation layer y = f(x), and let configurations and saved models name it.

    Parameters
    ----------
    name : str
        Its name; the library's own names are taken.
    function, derivative : callable
        f and f', array to array of the same shape, by operators and the functions of ``namespace(x)``, so that
        they run on every backend.
    kinks : tuple of float
        Inputs at which f has no derivative; the check leaves them out.

    Raises
    ------
    CheckError
        If `derivative` is not the derivative of `function`: the derivative is compared with central differences in
        float64 at 2,000 points in [-6, 6], to 1e-6; the message gives the worst point.
    ConfigError
        If the name is the library's own.
    """
    if name in ACTIVATIONS and not isinstance(ACTIVATIONS[name], CustomActivation):
        message = f"activation {name!r} is the library's own; choose another name"
        raise ConfigError(message)
    x = generator(0, "custom_activation").uniform(-6, 6, 2000)
    xp = namespace(x)
    for kink in kinks:
        x = x[abs(x - kink) > 1e-3]
    eps = 1e-6
    got = derivative(x)
    if got.shape != x.shape or function(x).shape != x.shape:
        shapes = f"{function(x).shape} and {got.shape}"
        message = f"activation {name!r}: expected results of the input's shape {x.shape}, got {shapes}"
        raise ConfigError(message)
    numeric = (function(x + eps) - function(x - eps)) / (2 * eps)
    error = xp.abs(got - numeric) / xp.maximum(xp.abs(numeric), 1.0)
    worst = int(xp.argmax(error))
    if not float(error[worst]) < 1e-6:
        message = (
            f"activation {name!r}: at x = {float(x[worst]):.6g} its derivative gives {float(got[worst]):.6g}, central "
            f"differences give {float(numeric[worst]):.6g}; fix the derivative, or name the point in kinks="
        )
        raise CheckError(message)
    layer = CustomActivation(name, function, derivative, tuple(kinks))
    ACTIVATIONS[name] = layer
    return layer
