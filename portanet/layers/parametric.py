"""Activations with a learned strength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Is, NotNegative
from portanet.errors import ShapeError
from portanet.initializers import Initializer, initializer, ones
from portanet.layers.base import Layer, RatedLayer, as_rows, sum_rows
from portanet.layers.scale import of_features
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["PReLU", "Parametric"]


@dataclass(frozen=True)
class Parametric(RatedLayer):
    """Activation with a learned strength for each unit, y = x + a (f(x) - x): at a = 0 the identity, at 1 f.

    Forward   y  = x + a (f(x) - x)
    Backward  dx = (1 - a) dy + (f's dx for a dy),   da = Σ_rows dy (f(x) - x)
    Shapes    x, y (*stack, n, *places, features), a (*stack, features)
    Source    Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 (a rate of 0.1)

    Parameters
    ----------
    activation : Layer
        f, without parameters of its own: ``Parametric(Mish())``.
    rate : float
        Factor on the learning rate of a; 0 freezes it.
    """

    activation: Annotated[Layer, Is("a layer, such as Mish()", lambda value: isinstance(value, Layer))]
    rate: NotNegative = field(default=1.0, kw_only=True)

    @property
    def stacks(self) -> bool:  # type: ignore[override]  # what its activation does decides
        return self.activation.stacks

    @property
    def by_sample(self) -> bool:  # type: ignore[override]
        return self.activation.by_sample

    def children(self) -> Mapping[str, Layer]:
        return {"activation": self.activation}

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        return {"activation": tuple(in_shape)}

    def output_layer(self) -> Layer:
        return self

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        own, out_shape = self.activation.init(rng, in_shape)
        if own or tuple(out_shape) != tuple(in_shape) or self.activation.init_buffers(in_shape):
            message = (
                f"expected an activation without parameters that keeps the shape {tuple(in_shape)}, got "
                f"{self.activation!r:.60}; give it a layer such as Mish()"
            )
            raise ShapeError(message)
        return {"strength": ones(rng, in_shape[-1:])}, tuple(in_shape)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        f, inner = self.activation.forward({}, x, train=train, key=key)
        a = of_features(params["strength"], x)
        bend = f - x
        return x + a * bend, (a, params["strength"].ndim, bend, inner)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        a, ndim, bend, inner = cache
        grads = {"strength": sum_rows(as_rows(dy * bend, ndim + 1), namespace(dy))}
        if not need_dx:
            return None, grads
        through = a * dy
        dx, _ = self.activation.backward({}, through, inner)
        return dx + (dy - through), grads


@dataclass(frozen=True)
class PReLU(RatedLayer):
    """Rectifier with a learned slope below 0: one for each feature, or one for all.

    Forward   y  = max(x, 0) + a min(x, 0)
    Backward  dx = dy where x > 0, else a dy;   da = Σ_rows dy min(x, 0), summed over the features too if shared
    Shapes    x, y (*stack, n, *places, features), a (*stack, features) or (*stack, 1)
    Source    He, Zhang, Ren & Sun 2015, arXiv:1502.01852 (which begins with a = 0.25)

    Parameters
    ----------
    shared : bool
        Whether all features have one slope.
    slope_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of a; 0 freezes it.
    """

    shared: bool = False
    slope_init: Initializer = "constant:0.25"
    rate: NotNegative = field(default=1.0, kw_only=True)
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        features = (1,) if self.shared else in_shape[-1:]
        return {"slope": initializer(self.slope_init)(rng, features)}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        a = of_features(params["slope"], x)
        below = xp.minimum(x, 0.0)
        return xp.maximum(x, 0.0) + a * below, (a, params["slope"].ndim, x, below)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        a, ndim, x, below = cache
        da = sum_rows(as_rows(dy * below, ndim + 1), xp)
        grads = {"slope": xp.sum(da, axis=-1, keepdims=True) if self.shared else da}
        return (xp.where(x > 0.0, dy, a * dy) if need_dx else None), grads
