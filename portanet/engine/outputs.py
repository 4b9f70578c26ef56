"""What a network's outputs stand for: the output layer that a loss contains, and class indices."""

from __future__ import annotations

from collections.abc import Iterator

from portanet import backends
from portanet.errors import ConfigError
from portanet.layers import Dropout, Dropout2D, Flatten, Layer, Reshape, Sequential, Sigmoid, Softmax
from portanet.layers.tree import walk
from portanet.losses import Loss
from portanet.typing import Array


def without_output(net: Layer, loss: Loss) -> Layer:
    """Return the network without the output layer that the loss contains; its parameters' names stay as they are.

    Raises
    ------
    ConfigError
        If it ends with the other loss's output layer, with that one twice, or with that one and layers after it that
        leave its values as they are (Flatten, Dropout): it would be applied twice, silently. Or if it does not end with
        the layer that the loss needs.
    """
    if loss.ends_with is not None and not isinstance(net.output_layer(), loss.ends_with):
        name, needed = type(loss).__name__, loss.ends_with.__name__
        message = (
            f"{name} expects a network that ends with {needed}, got {type(net.output_layer()).__name__} at its end; "
        )
        raise ConfigError(message + f"add {needed}(), or take SoftmaxCrossEntropy")
    if loss.output is None:
        return net
    body = net.without_output(loss.output)
    last = body.output_layer()
    after = ""
    if isinstance(last, _PASS):
        final, last = last, next((layer for layer in _backwards(body) if not isinstance(layer, _PASS)), last)
        after = f", with {type(final).__name__} after it"
    if isinstance(last, Softmax | Sigmoid):
        message = (
            f"{type(loss).__name__} takes logits and contains the {loss.output.__name__}; the network gives it the "
            f"output of {type(last).__name__}{after}; leave that layer out"
        )
        for _, layer in walk(body):
            if layer.children() and not isinstance(layer, Sequential) and layer.output_layer() is last:
                message += f", or let {type(layer).__name__} override output_layer() if that is not its output"
        raise ConfigError(message)
    return body


_PASS = (Dropout, Dropout2D, Flatten, Reshape)
"""Layers that give at prediction what they get, perhaps in another shape."""


def _backwards(net: Layer) -> Iterator[Layer]:
    """Yield the layers of a network from the last to the first, those of nested Sequentials one by one."""
    for layer in reversed(net.layers) if isinstance(net, Sequential) else (net,):
        if isinstance(layer, Sequential):
            yield from _backwards(layer)
        else:
            yield layer


def class_indices(outputs: Array, threshold: float) -> Array:
    """Return the class indices that raw host outputs (n, ..., outputs) stand for."""
    xp = backends.get("numpy").xp
    if outputs.shape[-1] == 1:
        return xp.astype(outputs[..., 0] > threshold, xp.int64)
    return xp.argmax(outputs, axis=-1)
