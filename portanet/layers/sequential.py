"""Layers made of layers. Their parameters stand under flat names: ``"0.weight"`` is the first layer's weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from portanet.checks import NotNegative
from portanet.errors import ConfigError, ShapeError
from portanet.initializers import ShapesOnly
from portanet.layers.base import Layer, RatedLayer
from portanet.random import Key
from portanet.typing import Array, Params, Shape


def checked_layers(value: Any) -> tuple[Layer, ...]:
    """Return `value` as a tuple of layers: the validator of a field."""
    found = tuple(value) if isinstance(value, Iterable) else ()
    wrong = [f"at position {i} is {layer!r:.60}" for i, layer in enumerate(found) if not isinstance(layer, Layer)]
    hints = [f"make one of it: {layer.__name__}(...)" for layer in found if isinstance(layer, type)]
    if wrong or not found:
        expected = "a list of at least one layer, as in [Dense(10)]"
        raise ConfigError(expected, *wrong[:3], *hints[:1])
    return found


def within(error: ShapeError, layer: Layer, i: int) -> ShapeError:
    """Return `error` with the layer that it came from in front; an inner place is joined to it by an arrow."""
    text = str(error)
    place = f"{type(layer).__name__} {i}"
    return ShapeError(f"[{place} > {text[1:]}" if text.startswith("[") else f"[{place}] {text}")


@dataclass(frozen=True)
class Sequential(RatedLayer):
    """Layers one after the other; itself a layer.

    Forward   y  = fₖ(… f₂(f₁(x)))
    Backward  the layers' backward passes, last to first: each takes the dy of the one behind it (the chain rule)
    Source    Rumelhart, Hinton & Williams 1986, Nature 323

    Parameters
    ----------
    layers : sequence of Layer
        At least one.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    layers: Annotated[Sequence[Layer], checked_layers]
    rate: NotNegative = field(default=1.0, kw_only=True)

    @classmethod
    def from_config(cls, config: Iterable[dict[str, Any]]) -> Sequential:
        """Return the network that a list of dicts describes; see :func:`portanet.layers.from_config`."""
        from portanet.layers.config import from_config

        return from_config(config)

    @property
    def by_sample(self) -> bool:  # type: ignore[override]  # what its layers do decides
        return all(layer.by_sample for layer in self.layers)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        params: Params = {}
        shape = tuple(in_shape)
        for i, layer in enumerate(self.layers):
            try:
                own, shape = layer.init(rng, shape)
            except ShapeError as error:
                raise within(error, layer, i) from None
            params.update({f"{i}.{name}": value for name, value in own.items()})
        return params, shape

    def least_batch(self, in_shape: Shape) -> int:
        shapes = [tuple(in_shape), *self.shapes(in_shape)]
        return max(layer.least_batch(shape) for layer, shape in zip(self.layers, shapes, strict=False))

    def init_buffers(self, in_shape: Shape) -> Params:
        return self._of_each(in_shape, lambda layer, shape: layer.init_buffers(shape))

    def buffer_shapes(self, in_shape: Shape) -> dict[str, Shape]:
        return self._of_each(in_shape, lambda layer, shape: layer.buffer_shapes(shape))

    def _of_each(self, in_shape: Shape, what: Callable[[Layer, Shape], dict[str, Any]]) -> dict[str, Any]:
        """Return what each layer tells for the samples that come to it, under flat names."""
        found: dict[str, Any] = {}
        shape = tuple(in_shape)
        for i, (layer, out_shape) in enumerate(zip(self.layers, self.shapes(in_shape), strict=True)):
            try:
                own = what(layer, shape)
            except ShapeError as error:
                raise within(error, layer, i) from None
            found.update({f"{i}.{name}": value for name, value in own.items()})
            shape = out_shape
        return found

    def shapes(self, in_shape: Shape) -> list[Shape]:
        """Return the shape of a sample behind each layer."""
        shapes = [tuple(in_shape)]
        for i, layer in enumerate(self.layers):
            try:
                shapes.append(layer.init(ShapesOnly(), shapes[-1])[1])
            except ShapeError as error:
                raise within(error, layer, i) from None
        return shapes[1:]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        parts = self.split(params)
        caches = []
        for i, layer in enumerate(self.layers):
            try:
                x, cache = layer.forward(parts[i], x, train=train, key=key and key.child(i))
            except ShapeError as error:
                raise within(error, layer, i) from None
            caches.append(cache)
        return x, (parts, caches)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        parts, caches = cache
        # Nothing in front of the first layer with parameters is needed, unless the caller wants dx itself.
        # (`params` holds what is trained, the parts in the cache hold the buffers too.)
        first = 0 if need_dx else min((int(name.partition(".")[0]) for name in params), default=len(parts))
        grads: Params = {}
        dx: Array | None = dy
        for i in range(len(self.layers) - 1, first - 1, -1):
            dx, own = self.layers[i].backward(parts[i], dx, caches[i], need_dx=need_dx or i > first)
            for name, value in own.items():
                grads[f"{i}.{name}"] = value
        return dx, grads

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        parts, caches = cache
        return {
            f"{i}.{name}": value
            for i, layer in enumerate(self.layers)
            for name, value in layer.updated_buffers(parts[i], caches[i]).items()
        }

    def config(self) -> dict[str, Any]:
        return {**super().config(), "layers": [layer.config() for layer in self.layers]}

    def split(self, params: Params) -> list[Params]:
        """Return the parameters of each layer under their own names."""
        parts: list[Params] = [{} for _ in self.layers]
        for name, value in params.items():
            i, _, rest = name.partition(".")
            parts[int(i)][rest] = value
        return parts


@dataclass(frozen=True)
class Residual(RatedLayer):
    """The input added to what the inner layers make of it, y = x + f(x).

    Forward   y  = x + f(x)
    Backward  dx = dy + f's dx,  f's gradients unchanged
    Source    He, Zhang, Ren & Sun 2016, arXiv:1512.03385

    Parameters
    ----------
    layers : sequence of Layer
        f; its output has the shape of its input.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    layers: Annotated[Sequence[Layer], checked_layers]
    rate: NotNegative = field(default=1.0, kw_only=True)

    @property
    def inner(self) -> Sequential:
        """The layers as one."""
        return Sequential(self.layers)

    @property
    def by_sample(self) -> bool:  # type: ignore[override]  # what its layers do decides
        return all(layer.by_sample for layer in self.layers)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        params, out_shape = self.inner.init(rng, in_shape)
        if out_shape != tuple(in_shape):
            message = (
                f"expected inner layers that keep the shape {tuple(in_shape)}, got {out_shape}; "
                f"end them with as many units as come in"
            )
            raise ShapeError(message)
        return params, out_shape

    def least_batch(self, in_shape: Shape) -> int:
        return self.inner.least_batch(in_shape)

    def init_buffers(self, in_shape: Shape) -> Params:
        return self.inner.init_buffers(in_shape)

    def buffer_shapes(self, in_shape: Shape) -> dict[str, Shape]:
        return self.inner.buffer_shapes(in_shape)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y, cache = self.inner.forward(params, x, train=train, key=key)
        return x + y, cache

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        dx, grads = self.inner.backward(params, dy, cache, need_dx=need_dx)
        return (None if dx is None or not need_dx else dx + dy), grads

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        return self.inner.updated_buffers(params, cache)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "layers": [layer.config() for layer in self.layers]}
