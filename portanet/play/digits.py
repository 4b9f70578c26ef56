"""What a trained network of images sees in a drawing: probabilities, each layer's pictures, the pixels' gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.errors import ConfigError
from portanet.layers import Rescale
from portanet.layers.tree import walk
from portanet.layers.words import layer_words
from portanet.play.plain import numbers

__all__ = ["batch", "form", "seen"]

_WHITES = (255.0, 16.0, 1.0)
"""What ink may be in the data: bytes, scikit-learn's digits, shares."""

_FAR = 30.0  # standard deviations that ink is from the mean of what a network was trained on, at most
_CHANNELS, _UNITS, _SIDE = 32, 256, 64  # of a layer that are shown


def form(network: Any) -> tuple[int, float]:
    """Return the side of the images that a network takes, and the number that ink has in them.

    Raises
    ------
    ConfigError
        If it takes no square images of one or three channels, or its outputs are no classes.
    """
    shape = tuple(network.input_shape)
    side = math.isqrt(shape[0]) if len(shape) == 1 else shape[0]
    square = side * side == shape[0] if len(shape) == 1 else len(shape) in (2, 3) and shape[0] == shape[1]
    if not square or side < 4 or (len(shape) == 3 and shape[2] not in (1, 3)):
        message = f"expected a network of square images, got samples of shape {shape}; train one on pictures or digits"
        raise ConfigError(message)
    if network.loss.output is None or network.outputs < 2 or network.places or network.columns is not None:
        message = "expected a network that gives an image one of several classes; train one on pictures or digits"
        raise ConfigError(message)
    scales = [one for _, one in walk(network.net) if isinstance(one, Rescale)]
    if not scales:
        return side, _WHITES[0]
    fitting = [white for white in _WHITES if abs(scales[0].scale * white + scales[0].offset) <= _FAR]
    return side, fitting[0] if fitting else _WHITES[-1]


def batch(drawn: HostArray, network: Any, white: float) -> HostArray:
    """Return a drawing (side, side) as one sample of the network's."""
    x = drawn * white
    shape = tuple(network.input_shape)
    if len(shape) == 3:
        x = np.repeat(x[:, :, None], shape[2], axis=2)
    return np.reshape(x, (1, *shape)).astype(network.dtype)


def seen(network: Any, x: HostArray, side: int, white: float) -> dict[str, Any]:
    """Return what the network computes of the sample `x`; see :meth:`portanet.play.session.Session.predict`."""
    p = np.asarray(network.predict(x)[0], dtype=np.float64)
    label = int(network.predict_classes(x)[0])
    slopes = np.asarray(network.input_gradients(x, np.array([label])), dtype=np.float64)
    outputs = network.activations(x)
    layers = []
    for path, layer in walk(network.net):
        if path and not layer.children():
            layers.append({"name": path, "words": layer_words(layer), **_pictures(outputs[path][0])})
    image = np.reshape(x, (side, side, -1)).mean(axis=2) / white
    pixels = np.reshape(slopes, (side, side, -1)).sum(axis=2)
    return {
        "probabilities": p.tolist(),
        "label": label,
        "image": numbers(image, 3),
        "layers": layers,
        "pixels": pixels.tolist(),
    }


def _pictures(y: HostArray) -> dict[str, Any]:
    """Return the output of a layer for one sample as pictures, one a channel, or as one row of units."""
    shape = list(y.shape)
    if y.ndim == 3 and max(shape[:2]) <= _SIDE:
        maps = np.moveaxis(y, 2, 0)[:_CHANNELS]
    elif y.ndim == 2 and max(shape) <= _SIDE:
        maps = y[None]
    else:
        maps = y.reshape(1, 1, -1)[:, :, :_UNITS]
    return {"shape": shape, "maps": numbers(maps, 3)}
