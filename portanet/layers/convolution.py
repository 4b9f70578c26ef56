"""What the convolutions share: their fields, the checks of channels and groups, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative
from portanet.errors import ConfigError, ShapeError
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer, as_rows, sum_rows
from portanet.layers.windows import Sizes
from portanet.typing import Array, Params, Shape


@dataclass(frozen=True)
class Window(RatedLayer):
    """The fields that come first: a class may put one of its own between these and those of :class:`Convolution`."""

    units: Count
    kernel: Sizes = 3
    stride: Sizes = 1
    padding: Any = "valid"


@dataclass(frozen=True)
class Convolution(Window):
    """Base of the convolutions; each has its own `padding`, and says in its docstring what its fields are."""

    dilation: Sizes = 1
    groups: Count = 1
    bias: bool = True
    weight_init: Initializer = "he_normal"
    bias_init: Initializer = "zeros"
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True
    in_parts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units % self.groups:
            name = type(self).__name__
            message = f"{name}: units must be a multiple of groups, got {self.units} and {self.groups}"
            raise ConfigError(message)

    def init_params(self, rng: Any, kernel: Shape, channels: int) -> Params:
        """Return the initial W (*kernel, channels / groups, units) and b (units,).

        Raises
        ------
        ShapeError
            If `channels` is not a multiple of `groups`.
        """
        if channels % self.groups:
            message = f"expected a multiple of {self.groups} channels (groups), got {channels}; change groups"
            raise ShapeError(message)
        params = {"weight": initializer(self.weight_init)(rng, (*kernel, channels // self.groups, self.units))}
        if self.bias:
            params["bias"] = initializer(self.bias_init)(rng, (self.units,))
        return params

    def check_input(self, x: Array, weight: Array) -> None:
        """Raise ShapeError unless `x` holds images with as many channels as W (kh, kw, in / groups, units) takes."""
        channels = weight.shape[2] * self.groups
        if x.ndim != 4 or x.shape[3] != channels:
            message = (
                f"expected images (n, height, width, {channels}), got an array of shape {tuple(x.shape)}; "
                "put the channels last"
            )
            raise ShapeError(message)

    def bias_gradient(self, dy: Array) -> Params:
        """Return db = Σ dy under its name; nothing if there is no b."""
        return {"bias": sum_rows(as_rows(dy, 2), namespace(dy))} if self.bias else {}
