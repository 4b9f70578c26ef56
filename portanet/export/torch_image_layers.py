"""Which layer stands for each torch module of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portanet import layers
from portanet.export.torch_asked import Asked, Make, one, with_fields
from portanet.export.torch_signal_layers import padded_conv
from portanet.layers import Layer
from portanet.layers.windows import pair
from portanet.typing import Shape

_FEW = 17  # pixels that a convolution may pad more than its kernel has


def _conv(m: Asked, shape: Shape, padding: Any = None) -> Layer:
    m.only(padding_mode="zeros")
    own = one(m.padding) if padding is None else padding
    sizes = m.out_channels, one(m.kernel_size), one(m.stride), _valid(own), one(m.dilation), m.groups
    return layers.Conv2D(*sizes, bias=m.bias is not None)


def _conv_transpose(m: Asked, shape: Shape) -> Layer:
    m.only(padding_mode="zeros")
    names = "kernel_size", "stride", "padding", "output_padding", "dilation", "groups"
    kernel, stride, padding, more, dilation, groups = (one(getattr(m, name)) for name in names)
    bias = m.bias is not None
    return layers.ConvTranspose2D(m.out_channels, kernel, stride, padding, more, dilation, groups, bias)


def _max_pool(m: Asked, shape: Shape, padding: Any = None) -> Layer:
    m.only(return_indices=False)
    if m.dilation not in (1, (1, 1)):
        m.only(dilation=1)
    own = one(m.padding) if padding is None else padding
    return layers.MaxPool2D(one(m.kernel_size), _stride(m), _valid(own), bool(m.ceil_mode))


def _avg_pool(m: Asked, shape: Shape, padding: Any = None) -> Layer:
    m.only(divisor_override=None)
    own = one(m.padding) if padding is None else padding
    sizes = one(m.kernel_size), _stride(m), _valid(own)
    return layers.AvgPool2D(*sizes, bool(m.ceil_mode), bool(m.count_include_pad))


def _stride(m: Asked) -> Any:
    """Return the stride of a pool; None where it is the kernel's size."""
    return None if pair(one(m.stride)) == pair(one(m.kernel_size)) else one(m.stride)


def _valid(padding: Any) -> Any:
    return padding or "valid"


def _padded(
    make: Callable[[Asked, Shape, Any], Layer], *values: float
) -> Callable[[Asked, Asked, Shape], Layer | None]:
    """Return what makes one layer of a module that pads with one of `values`, and the windows after it."""

    def fold(m: Asked, window: Asked, shape: Shape) -> Layer | None:
        edges = _edges(m)
        reaches = [k + (_FEW if make is _conv else 0) for k in pair(one(window.kernel_size))]
        own = one(window.padding)
        fits = all(min(pads) >= 0 and max(pads) < reach for pads, reach in zip(edges, reaches, strict=True))
        plain = own in (0, "valid") and float(m.value) in values and fits and not getattr(window, "ceil_mode", False)
        if not plain or (make is _avg_pool and not window.count_include_pad):
            return None
        return make(window, shape, _fewest(edges))

    return fold


def _zero_pad(m: Asked, shape: Shape) -> Layer:
    m.only(value=0)
    return layers.ZeroPad2D(_fewest(_edges(m)))


def _edges(m: Asked) -> tuple[Any, Any]:
    """Return ((top, bottom), (left, right)) of a module that pads."""
    left, right, top, bottom = pair(m.padding) * 2 if isinstance(m.padding, int) else m.padding
    return (top, bottom), (left, right)


def _fewest(edges: tuple[Any, Any]) -> Any:
    """Return a padding in as few numbers as say it."""
    rows, columns = map(one, edges)
    return rows if rows == columns and isinstance(rows, int) else (rows, columns)


def _adaptive(m: Asked, shape: Shape) -> Layer:
    size = one(m.output_size)
    if None in pair(size):
        m.refuse(f"expected numbers as output_size, got {size}")
    return layers.AdaptiveAvgPool2D(size)


def _global(layer: type[Layer]) -> Callable[[Asked, Asked, Shape], Layer | None]:
    def fold(m: Asked, flatten: Asked, shape: Shape) -> Layer | None:
        flatten.only(start_dim=1, end_dim=-1)
        return layer() if one(m.output_size) == 1 else None

    return fold


def _adaptive_max(m: Asked, shape: Shape) -> Layer:
    m.refuse("expected AdaptiveMaxPool2d(1) with Flatten() after it, all that portanet has")


def _up_sample(m: Asked, shape: Shape) -> Layer:
    m.only(recompute_scale_factor=None)
    if m.mode not in _MODES:
        m.refuse(f"expected one of the modes {', '.join(_MODES)}, got {m.mode!r}")
    mode, coordinates, rounding = _MODES[m.mode]
    if m.align_corners:
        if m.size is None:
            m.refuse("expected a size in place of scale_factor where align_corners is True")
        coordinates = "align_corners"
    if m.size is not None:
        return layers.Resize2D(one(m.size), None, mode, coordinates, rounding)
    times = pair(one(m.scale_factor))
    if any(one != int(one) for one in times) or m.mode not in ("nearest", "bilinear"):
        return layers.Resize2D(None, one(tuple(map(float, times))), mode, coordinates, rounding)
    return layers.UpSample2D(one(tuple(map(int, times))), m.mode)


_MODES: dict[str, tuple[Any, Any, Any]] = {
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest-exact": ("nearest", "half_pixel", "up"),
    "bilinear": ("bilinear", "half_pixel", "down"),
    "bicubic": ("bicubic", "half_pixel", "down"),
}
"""Of torch's modes: the mode, the coordinates and the rounding of a Resize2D."""


def _pad(mode: Any) -> Make:
    return lambda m, shape: layers.Pad2D(_fewest(_edges(m)), mode)


def _constant_pad(m: Asked, shape: Shape) -> Layer:
    return _zero_pad(m, shape) if m.value == 0 else layers.Pad2D(_fewest(_edges(m)), "constant", float(m.value))


def _lp_pool(m: Asked, shape: Shape, padding: Any = "valid") -> Layer:
    m.only(ceil_mode=False)
    if m.norm_type % 2:
        m.refuse("expected an even norm_type: torch leaves out what is negative otherwise")
    kernel = one(m.kernel_size)
    stride = kernel if m.stride is None else one(m.stride)
    stride = None if pair(stride) == pair(kernel) else stride
    return layers.LpPool2D(kernel, stride, padding, p=float(m.norm_type))


def _padded_lp(m: Asked, window: Asked, shape: Shape) -> Layer | None:
    edges = _edges(m)
    fits = all(0 <= side < k for pads, k in zip(edges, pair(one(window.kernel_size)), strict=True) for side in pads)
    return _lp_pool(window, shape, _fewest(edges)) if fits and m.value == 0 else None


IMAGES: dict[str, Make] = {
    "AdaptiveAvgPool2d": _adaptive,
    "AdaptiveMaxPool2d": _adaptive_max,
    "AvgPool2d": _avg_pool,
    "CircularPad2d": _pad("circular"),
    "ConstantPad2d": _constant_pad,
    "Conv2d": _conv,
    "ConvTranspose2d": _conv_transpose,
    "Dropout2d": with_fields(layers.Dropout2D, "p"),
    "LPPool2d": _lp_pool,
    "MaxPool2d": _max_pool,
    "PixelShuffle": lambda m, shape: layers.DepthToSpace2D(m.upscale_factor),
    "PixelUnshuffle": lambda m, shape: layers.SpaceToDepth2D(m.downscale_factor),
    "ReflectionPad2d": _pad("reflect"),
    "ReplicationPad2d": _pad("replicate"),
    "Upsample": _up_sample,
    "ZeroPad2d": _zero_pad,
}

FOLDED: dict[tuple[str, str], Callable[[Asked, Asked, Shape], Layer | None]] = {
    ("AdaptiveAvgPool2d", "Flatten"): _global(layers.GlobalAvgPool2D),
    ("AdaptiveAvgPool1d", "Flatten"): _global(layers.GlobalAvgPool1D),
    ("AdaptiveMaxPool1d", "Flatten"): _global(layers.GlobalMaxPool1D),
    ("ConstantPad1d", "Conv1d"): padded_conv,
    ("AdaptiveMaxPool2d", "Flatten"): _global(layers.GlobalMaxPool2D),
    ("ConstantPad2d", "AvgPool2d"): _padded(_avg_pool, 0.0),
    ("ConstantPad2d", "Conv2d"): _padded(_conv, 0.0),
    ("ConstantPad2d", "LPPool2d"): _padded_lp,
    ("ConstantPad2d", "MaxPool2d"): _padded(_max_pool, float("-inf")),
}
"""What makes one layer of two modules, one after the other; None where these are two layers."""
