"""Networks in words: a line for people, in summaries and trackers."""

from __future__ import annotations

import dataclasses

from portanet.layers.base import Layer, RatedLayer

__all__ = ["layer_words", "net_in_words"]


def layer_words(layer: Layer) -> str:
    """Return a layer as its type and the numbers that matter: ``Dense 500``, ``Dropout 0.2``, ``Dense 10 lr×0.1``."""
    fields = {f.name for f in dataclasses.fields(layer)} if dataclasses.is_dataclass(layer) else set[str]()
    marks = {"units": "", "rate": "lr×" if isinstance(layer, RatedLayer) else ""}
    if isinstance(layer, RatedLayer) and layer.rate == 1:
        del marks["rate"]
    numbers = (f"{mark}{getattr(layer, name):g}" for name, mark in marks.items() if name in fields)
    return " ".join([type(layer).__name__, *numbers])


def net_in_words(net: Layer) -> str:
    """Return a network in one line: ``Rescale, Flatten, Dense 500, ReLU, Residual(Dense 500, ReLU)``."""
    words = _with_inner(net)
    return words.removeprefix("Sequential(")[:-1] if words.startswith("Sequential(") else words


def _with_inner(layer: Layer) -> str:
    words = list(map(_with_inner, layer.children().values()))
    alike = len(words) > 1 and len(set(words)) == 1 and "(" in words[0]
    inner = f"{len(words)} × {words[0]}" if alike else ", ".join(words)
    return f"{layer_words(layer)}({inner})" if inner else layer_words(layer)
