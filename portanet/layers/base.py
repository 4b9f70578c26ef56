"""What a layer is: a description, and two pure functions over arrays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import check_fields
from portanet.random import Key
from portanet.typing import Array, Params, Shape


class Layer:
    """Base of all layers.

    A layer holds its hyper-parameters and nothing else. Parameters come in as a dict, what backward needs goes out as
    an explicit cache; neither forward nor backward writes on the layer or on its inputs. So one layer can be used
    twice, evaluated in between, copied, pickled, and shared by processes.

    Every layer is a frozen dataclass; a new one is a class with :meth:`forward` and :meth:`backward` (and :meth:`init`
    where it has parameters or changes the shape), its name in the ``__all__`` of its file, and a line in the table of
    cases.
    What its fields may be stands in their annotations, see :mod:`portanet.checks`: ``rate: Share = 0.5``.
    """

    kinks: ClassVar[tuple[float, ...]] = ()
    """Inputs at which the layer has no derivative; a gradient check keeps away from them."""

    stacks: ClassVar[bool] = False
    """Whether it takes leading axes before the batch's, in inputs and parameters: a stack of networks in one call."""

    by_sample: ClassVar[bool] = False
    """Whether a sample's output depends on that sample, and its place in the batch, alone: a large batch may then go
    through in pieces. What mixes samples (BatchNorm) does not."""

    in_parts: ClassVar[bool] = False
    """Whether forward takes a large batch in parts, whose scratch fits a processor's cache; a GPU takes it whole."""

    def __post_init__(self) -> None:
        check_fields(self)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        """Return the initial parameters (host arrays) and the shape of one output sample, for samples of `in_shape`.

        Raises
        ------
        ShapeError
            If the layer cannot take samples of that shape.
        """
        return {}, in_shape

    def init_buffers(self, in_shape: Shape) -> Params:
        """Return what the layer keeps beside its parameters and does not train (host arrays)."""
        return {}

    def buffer_shapes(self, in_shape: Shape) -> dict[str, Shape]:
        """Return the shapes that the buffers must have for samples of `in_shape`, where they come from a file."""
        return {name: tuple(buffer.shape) for name, buffer in self.init_buffers(in_shape).items()}

    def least_batch(self, in_shape: Shape) -> int:
        """Return how many samples of `in_shape` a batch must have at least to be trained on."""
        shapes = self.child_shapes(in_shape)
        inner = (layer.least_batch(shapes[name]) for name, layer in self.children().items() if name in shapes)
        return max(inner, default=1)

    def scratch(self, in_shape: Shape) -> int:
        """Return how many numbers :meth:`forward` makes of one sample of `in_shape` beside its output.

        These are padded images or gathered windows, for example. Children are not counted.
        """
        return 0

    def held(self, in_shape: Shape) -> int:
        """Return how many of the numbers of :meth:`scratch` are in memory at a time, for each sample of a batch."""
        return self.scratch(in_shape)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        """Return the output and the cache that :meth:`backward` needs; `params` also holds the buffers.

        Parameters
        ----------
        params : dict of arrays
            The layer's parameters and buffers.
        x : array, shape (..., n, *in_shape)
            Rows are samples.
        train : bool
            Whether this is a training step: dropout is on only then.
        key : Key, optional
            Names the random numbers of this layer in this step; needed by random layers when they train.
        """
        raise NotImplementedError

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        """Return dx = ∂L/∂x and the gradients of the parameters, from dy = ∂L/∂y and the forward's cache.

        The gradients have the keys, shapes and dtypes of the parameters (buffers have none). Without `need_dx` the
        first of the two may be None: the first layer with parameters is not asked for it.
        """
        raise NotImplementedError

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        """Return the buffers after a training step whose forward left `cache`; those not named stay as they are."""
        return {}

    def children(self) -> Mapping[str, Layer]:
        """Return the inner layers by name, in the order of the forward pass; none, unless this is a container.

        A container keeps the parameters and buffers of a child under its name: those of ``"0"`` are ``"0.weight"``, ...
        Names have no dot in them.
        """
        return {}

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        """Return the shape of the samples that each of the :meth:`children` gets, for samples of `in_shape`.

        A container that does not say it counts as one layer, by its output, where shapes are listed or memory is
        estimated.
        """
        return {}

    def output_layer(self) -> Layer:
        """Return the innermost layer whose output is the output of this one.

        That is the last of the :meth:`children`, unless a container overrides this to return itself: a sum of what its
        children give is the output of none of them.
        """
        inner = list(self.children().values())
        return inner[-1].output_layer() if inner else self

    def without_output(self, kind: type[Layer]) -> Layer:
        """Return this layer without its last child, if that is of the type `kind` and can be left out; else itself.

        A network is trained without the output layer that its loss contains. Parameters keep their names.
        """
        return self

    def config(self) -> dict[str, Any]:
        """Return the description as plain values, ``{"type": ..., ...}``, for :meth:`Sequential.from_config`.

        Fields that hold layers hold their descriptions here, also within lists and dicts.
        """
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every layer is a dataclass
        return {"type": type(self).__name__, **{f.name: _described(getattr(self, f.name)) for f in fields if f.init}}


def _described(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.config()
    if isinstance(value, dict):
        return {key: _described(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(one, Layer) for one in value):
        return [_described(one) for one in value]
    return value


class RatedLayer(Layer):
    """Base of the layers whose parameters can have their own learning rate; `rate` is the last field of each.

    Parameters
    ----------
    rate : float
        Factor on the learning rate of all parameters within, 0 or more; factors of nested layers multiply. With 0 they
        are frozen: :meth:`portanet.optimizers.Optimizer.update` says how. Buffers (running statistics) move anyway.
    """

    rate: float

    def config(self) -> dict[str, Any]:
        found = super().config()
        if self.rate == 1:  # as files have it that know of no rate
            del found["rate"]
        return found


def product(a: Array, b: Array) -> Array:
    """Return a @ b: where only one number is to be summed for each entry, by broadcasting, half the time of a BLAS."""
    return a * b if a.shape[-1] == 1 else a @ b


def sum_rows(x: Array, xp: Any) -> Array:
    """Return `x`, (..., n, features), summed over the rows; where there is one, as it is, not copied."""
    if x.shape[-2] == 1:
        return x[..., 0, :]
    # As a product: a reduction over the rows of narrow layers takes up to five times as long.
    return xp.ones(x.shape[-2], dtype=x.dtype, device=device(x)) @ x


def as_rows(x: Array, ndim: int) -> Array:
    """Return `x`, (*stack, n, *places, features), with `ndim` axes, (*stack, rows, features): each place is a row."""
    shape = tuple(x.shape)
    front = shape[: ndim - 2]
    return namespace(x).reshape(x, (*front, math.prod(shape[len(front) : -1]), shape[-1]))


def sum_leading(x: Array, ndim: int, xp: Any) -> Array:
    """Return `x` summed over its leading axes until `ndim` are left: the backward of broadcasting over them."""
    return xp.sum(x, axis=tuple(range(x.ndim - ndim))) if x.ndim > ndim else x
