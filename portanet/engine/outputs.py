"""What a network's outputs stand for: the output layer that a loss contains, and class indices."""

from __future__ import annotations

from portanet import backends
from portanet.errors import ConfigError
from portanet.layers import Layer, Sequential, Sigmoid, Softmax
from portanet.losses import Loss
from portanet.typing import Array


def without_output(net: Layer, loss: Loss) -> Layer:
    """Return the network without the output layer that the loss contains; its parameters' names stay as they are.

    Raises
    ------
    ConfigError
        If it ends with the other loss's output layer, or with that one twice: it would be applied twice, silently.
    """
    if loss.output is None or not isinstance(net, Sequential):
        return net
    *front, last = net.layers
    if isinstance(last, Sequential):
        return Sequential((*front, without_output(last, loss)), rate=net.rate)
    if isinstance(last, loss.output) and front:
        net, last = Sequential(tuple(front), rate=net.rate), front[-1]
    if isinstance(last, Softmax | Sigmoid):
        name = type(loss).__name__
        message = (
            f"{name} takes logits and contains the {loss.output.__name__}; the network gives it the output of "
            f"{type(last).__name__}; leave that layer out"
        )
        raise ConfigError(message)
    return net


def class_indices(outputs: Array, threshold: float) -> Array:
    """Return the class indices that raw host outputs (n, ..., outputs) stand for."""
    xp = backends.get("numpy").xp
    if outputs.shape[-1] == 1:
        return xp.astype(outputs[..., 0] > threshold, xp.int64)
    return xp.argmax(outputs, axis=-1)
