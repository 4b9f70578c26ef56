"""Transposed convolution: from small images to large ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from portanet.backends.namespace import namespace
from portanet.backends.primitives.axes import Axis
from portanet.backends.primitives.convolution import convolve, convolve_dw, convolve_dx
from portanet.checks import Either, Number, Several
from portanet.errors import ConfigError, ShapeError
from portanet.layers.convolution import Convolution, Window
from portanet.layers.resize import check_images
from portanet.layers.windows import pair
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["ConvTranspose2D"]

_PIXELS = Number(0, 4096, whole=True)
Pixels = Annotated[int | tuple[int, int], Either((_PIXELS, Several(_PIXELS, 2)))]


@dataclass(frozen=True)
class _Enlarging(Window):
    """Puts `output_padding` after `padding`, as in torch."""

    output_padding: Pixels = 0


@dataclass(frozen=True)
class ConvTranspose2D(Convolution, _Enlarging):
    """Transposed convolution ("deconvolution"): the backward pass of a convolution as a forward pass.

    Forward   y[q]  = Σ x[p] W[k] + b  over the places p and taps k with q = s p + d k - pad
    Backward  dx[p] = Σ_k dy[s p + d k - pad] W[k]ᵀ,   dW[k] = Σ_p x[p]ᵀ dy[s p + d k - pad],   db = Σ dy
    Shapes    x (n, h, w, in), W (kh, kw, in / groups, units), b (units,), y (n, h', w', units) with
              h' = s (h - 1) + d (kh - 1) + 1 - 2 pad + output_padding
    Source    Zeiler, Krishnan, Taylor & Fergus 2010, CVPR; Dumoulin & Visin 2016, arXiv:1603.07285

    Parameters
    ----------
    units : int
        Number of output channels, 1 or more; a multiple of `groups`.
    kernel, stride : int or (int, int)
        1 or more. An output twice as large: ``kernel=2, stride=2``, or ``kernel=4, stride=2, padding=1``.
    padding, output_padding : int or (int, int)
        Rows and columns that the output lacks on both sides, and that it has more at its end; 0 to 4096, the second
        below the larger of stride and dilation.
    dilation : int or (int, int)
    groups : int
        Number of groups of channels, 1 or more, each convolved by itself.
    bias : bool
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of W and b; 0 freezes them.
    """

    padding: Pixels = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for more, stride, dilation in zip(*map(pair, (self.output_padding, self.stride, self.dilation)), strict=True):
            if more and more >= max(stride, dilation):
                message = (
                    "ConvTranspose2D: output_padding must be below the larger of stride and dilation, got "
                    f"{self.output_padding}"
                )
                raise ConfigError(message)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        rows, columns = self.axes(in_shape[0], in_shape[1])
        params = self.init_params(rng, (rows.kernel, columns.kernel), in_shape[2])
        return params, (rows.size, columns.size, self.units)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return the arithmetic of the convolution that leads back, from the output to images of that size."""
        kinds = self.kernel, self.stride, self.dilation, self.padding, self.output_padding
        rows, columns = (_axis(*own) for own in zip((height, width), *map(pair, kinds), strict=True))
        return rows, columns

    def scratch(self, in_shape: Shape) -> int:
        rows, columns = self.axes(in_shape[0], in_shape[1])
        size = columns.size + columns.reach
        return (rows.size + rows.reach) * (size + columns.size * columns.kernel) * in_shape[2]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        self.check_input(x, params["weight"])
        weight = self._turned(params["weight"])
        y = convolve_dx(x, weight, *self.axes(x.shape[1], x.shape[2]), self.groups)
        if self.bias:
            y += params["bias"]
        return y, (x, params["weight"])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        x, weight = cache
        turned, axes = self._turned(weight), self.axes(x.shape[1], x.shape[2])
        dw = convolve_dw(dy, x, *axes, self.groups)
        dw = xp.reshape(dw, (*turned.shape[:3], self.groups, -1))
        dw = xp.reshape(xp.permute_dims(dw, (0, 1, 4, 3, 2)), tuple(weight.shape))
        grads = {"weight": dw, **self.bias_gradient(dy)}
        return (convolve(dy, turned, *axes, self.groups) if need_dx else None), grads

    def _turned(self, weight: Array) -> Array:
        """Return W as the convolution that leads back has it, (kh, kw, units / groups, in)."""
        xp = namespace(weight)
        kh, kw, own, units = weight.shape
        grouped = xp.reshape(weight, (kh, kw, own, self.groups, units // self.groups))
        return xp.reshape(xp.permute_dims(grouped, (0, 1, 4, 3, 2)), (kh, kw, units // self.groups, self.groups * own))


def _axis(size: int, kernel: int, stride: int, dilation: int, padding: int, more: int) -> Axis:
    reach = dilation * (kernel - 1) + 1
    large = stride * (size - 1) + reach - 2 * padding + more
    if size < 1 or large < 1:
        message = f"a padding of {padding} leaves nothing of {large + 2 * padding} pixels; take a smaller one"
        raise ShapeError(message)
    # Of the output's end, no window reaches the last `more` rows.
    return Axis(large, size, kernel, stride, dilation, padding, padding if more < stride else padding - more)
