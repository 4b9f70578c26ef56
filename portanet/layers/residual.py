"""Layers around which the input is led, by itself or through layers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from portanet.checks import NotNegative
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.container import Container, checked_layers, within
from portanet.layers.sequential import Sequential
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Residual"]


def _layers_or_none(value: Any) -> tuple[Layer, ...]:
    """Return `value` as a tuple of layers, which may be empty: the validator of a field."""
    return () if value is None or (isinstance(value, list | tuple) and not value) else checked_layers(value)


@dataclass(frozen=True)
class Residual(Container):
    """The input added to what the inner layers make of it, y = x + f(x); or y = g(x) + f(x) where shapes change.

    Forward   y  = g(x) + f(x),   g(x) = x without a shortcut
    Backward  dx = (g's dx) + (f's dx), both from dy;  f's and g's gradients unchanged
    Source    He, Zhang, Ren & Sun 2016, arXiv:1512.03385 (g: its projection shortcuts)

    Half the size and twice the channels, for example::

        Residual([Conv2D(32, 3, 2, 1), BatchNorm(), ReLU(), Conv2D(32, 3, 1, 1), BatchNorm()],
                 shortcut=[Conv2D(32, 1, 2), BatchNorm()])

    Parameters
    ----------
    layers : sequence of Layer
        f; its output has the shape of its input, or of the shortcut's output.
    shortcut : sequence of Layer
        g; empty for the input itself.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    shortcut: Annotated[Sequence[Layer], _layers_or_none] = ()
    rate: NotNegative = field(default=1.0, kw_only=True)

    @property
    def by_sample(self) -> bool:  # type: ignore[override]  # what its layers do decides
        return all(layer.by_sample for layer in (*self.layers, *self.shortcut))

    @property
    def stacks(self) -> bool:  # type: ignore[override]
        return all(layer.stacks for layer in (*self.layers, *self.shortcut))

    @property
    def inner(self) -> Sequential:
        """The layers as one."""
        return Sequential(self.layers)

    @property
    def side(self) -> Sequential | None:
        """The shortcut as one layer; its parameters are named ``"shortcut.0.weight"``, ..."""
        return Sequential(self.shortcut) if self.shortcut else None

    def config(self) -> dict[str, Any]:
        found = super().config()
        if not self.shortcut:  # as files have it that know of none
            del found["shortcut"]
        return found

    def children(self) -> Mapping[str, Layer]:
        side = self.side
        return {**super().children(), **({} if side is None else {"shortcut": side})}

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        return {**self.inner.child_shapes(in_shape), **({"shortcut": tuple(in_shape)} if self.shortcut else {})}

    def output_layer(self) -> Layer:
        return self

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        params, out_shape = self.inner.init(rng, in_shape)
        side, kept = self.side, tuple(in_shape)
        if side is not None:
            try:
                own, kept = side.init(rng, in_shape)
            except ShapeError as error:
                raise within(error, side, "shortcut") from None
            params.update({f"shortcut.{name}": value for name, value in own.items()})
        if tuple(out_shape) != tuple(kept):
            what = f"keep the shape {kept}" if side is None else f"make the shape of the shortcut, {kept}"
            fix = "give it a shortcut, such as [Conv2D(units, 1, stride)]" if side is None else "let both be the same"
            message = f"expected inner layers that {what}, got {out_shape}; end them with as many units, or {fix}"
            raise ShapeError(message)
        return params, out_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        side, (inner, own) = self.side, self._parted(params)
        y, cache = self.inner.forward(inner, x, train=train, key=key)
        if side is None:
            return x + y, (cache, None)
        z, other = side.forward(own, x, train=train, key=key and key.child(len(self.layers)))
        return z + y, (cache, other)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        side, (inner, own) = self.side, self._parted(params)
        dx, grads = self.inner.backward(inner, dy, cache[0], need_dx=need_dx)
        other: Array | None = dy
        if side is not None:
            other, more = side.backward(own, dy, cache[1], need_dx=need_dx)
            grads = {**grads, **{f"shortcut.{name}": value for name, value in more.items()}}
        return (None if dx is None or other is None or not need_dx else dx + other), grads

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        side, (inner, own) = self.side, self._parted(params)
        found = self.inner.updated_buffers(inner, cache[0])
        if side is not None:
            found.update({f"shortcut.{name}": a for name, a in side.updated_buffers(own, cache[1]).items()})
        return found

    def _parted(self, params: Params) -> tuple[Params, Params]:
        """Return the parameters of f and those of g, each under their own names."""
        if not self.shortcut:
            return params, {}
        front = "shortcut."
        own = {name.removeprefix(front): value for name, value in params.items() if name.startswith(front)}
        return {name: value for name, value in params.items() if not name.startswith(front)}, own
