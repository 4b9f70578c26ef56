"""Which layer stands for each torch module of signals, (n, channels, length) there."""

from __future__ import annotations

from typing import Any

from portanet import layers
from portanet.export.torch_asked import Asked, Make, one
from portanet.layers import Layer
from portanet.typing import Shape


def _conv(m: Asked, shape: Shape, padding: Any = None) -> Layer:
    m.only(padding_mode="zeros")
    own = one(m.padding) if padding is None else padding
    sizes = m.out_channels, one(m.kernel_size), one(m.stride), own or "valid", one(m.dilation), m.groups
    return layers.Conv1D(*sizes, bias=m.bias is not None)


def padded_conv(m: Asked, window: Asked, shape: Shape) -> Layer | None:
    """Return one layer of a ConstantPad1d and a Conv1d; None if they do not make one."""
    plain = one(window.padding) in (0, "valid") and m.value == 0 and min(m.padding) >= 0
    return _conv(window, shape, tuple(m.padding)) if plain and max(m.padding) < one(window.kernel_size) + 16 else None


def _pool(kind: Any, *more: str) -> Make:
    def make(m: Asked, shape: Shape) -> Layer:
        m.only(return_indices=False)
        if one(getattr(m.module, "dilation", 1)) != 1:
            m.only(dilation=1)
        size, stride = one(m.kernel_size), one(m.stride)
        sizes = size, None if stride == size else stride, one(m.padding) or "valid"
        layer: Layer = kind(*sizes, bool(m.ceil_mode), *(bool(getattr(m, name)) for name in more))
        return layer

    return make


def _alone(m: Asked, shape: Shape) -> Layer:
    m.refuse("expected Flatten() after it, and 1 as output_size, all that portanet has")


SIGNALS: dict[str, Make] = {
    "AdaptiveAvgPool1d": _alone,
    "AdaptiveMaxPool1d": _alone,
    "AvgPool1d": _pool(layers.AvgPool1D, "count_include_pad"),
    "Conv1d": _conv,
    "MaxPool1d": _pool(layers.MaxPool1D),
}
