"""What containers share: layers by number, and parameters by flat names: ``"0.weight"`` is the first layer's weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from portanet.errors import ConfigError, ShapeError
from portanet.layers.base import Layer, RatedLayer
from portanet.layers.summary import Summary, summary
from portanet.typing import Params, Shape


def checked_layers(value: Any) -> tuple[Layer, ...]:
    """Return `value` as a tuple of layers: the validator of a field."""
    found = tuple(value) if isinstance(value, Iterable) else ()
    wrong = [f"at position {i} is {layer!r:.60}" for i, layer in enumerate(found) if not isinstance(layer, Layer)]
    hints = [f"make one of it: {layer.__name__}(...)" for layer in found if isinstance(layer, type)]
    if wrong or not found:
        expected = "a list of at least one layer, as in [Dense(10)]"
        raise ConfigError(expected, *wrong[:3], *hints[:1])
    return found


def within(error: ShapeError, layer: Layer, name: str | int) -> ShapeError:
    """Return `error` with the layer that it came from in front; an inner place is joined to it by an arrow."""
    text = str(error)
    place = f"{type(layer).__name__} {name}"
    return ShapeError(f"[{place} > {text[1:]}" if text.startswith("[") else f"[{place}] {text}")


@dataclass(frozen=True)
class Container(RatedLayer):
    """Base of containers of a list of layers, which are named by their numbers.

    A subclass has :meth:`init`, :meth:`forward` with a cache that begins with the children's parameters and caches
    (lists), :meth:`backward`, and :meth:`child_shapes`.
    """

    layers: Annotated[Sequence[Layer], checked_layers]

    @property
    def by_sample(self) -> bool:  # type: ignore[override]  # what its layers do decides
        return all(layer.by_sample for layer in self.layers)

    @property
    def stacks(self) -> bool:  # type: ignore[override]
        return all(layer.stacks for layer in self.layers)

    def children(self) -> Mapping[str, Layer]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def init_buffers(self, in_shape: Shape) -> Params:
        return self.of_each(in_shape, lambda layer, shape: layer.init_buffers(shape))

    def buffer_shapes(self, in_shape: Shape) -> dict[str, Shape]:
        return self.of_each(in_shape, lambda layer, shape: layer.buffer_shapes(shape))

    def of_each(self, in_shape: Shape, what: Callable[[Layer, Shape], dict[str, Any]]) -> dict[str, Any]:
        """Return what each layer gives for the samples that come to it, under flat names."""
        found: dict[str, Any] = {}
        children = self.children()
        for name, shape in self.child_shapes(in_shape).items():
            layer = children[name]
            try:
                own = what(layer, shape)
            except ShapeError as error:
                raise within(error, layer, name) from None
            found.update({f"{name}.{key}": value for key, value in own.items()})
        return found

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        parts, caches, *_ = cache
        return {
            f"{i}.{name}": value
            for i, layer in enumerate(self.layers)
            for name, value in layer.updated_buffers(parts[i], caches[i]).items()
        }

    def summary(self, input_shape: Shape) -> Summary:
        """Return the layers in a table: output shapes, parameters, memory, for samples of `input_shape` in float32."""
        return summary(self, input_shape)

    def split(self, params: Params) -> list[Params]:
        """Return the parameters of each layer under their own names."""
        parts: list[Params] = [{} for _ in self.layers]
        for name, value in params.items():
            i, _, rest = name.partition(".")
            parts[int(i)][rest] = value
        return parts
