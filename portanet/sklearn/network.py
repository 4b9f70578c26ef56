"""The network that an estimator's arguments describe, and the weights that it begins with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from portanet.errors import ConfigError, unknown
from portanet.layers import BatchNorm, Conv2D, Dense, Dropout, Embedding, Layer, Sequential, Sigmoid
from portanet.layers.custom import ACTIVATIONS
from portanet.layers.tree import walk
from portanet.random import generator
from portanet.typing import Params

SCIKIT_NAMES = {"identity": None, "logistic": "sigmoid"}
"""Activations that scikit-learn calls otherwise; identity is no layer at all."""


@dataclass(frozen=True)
class Network:
    """What stands in front; for each hidden layer Dense, BatchNorm, activation, Dropout, if asked for; then a Dense."""

    net: Sequential
    weighted: tuple[int, ...]  # positions of the layers whose parameters are ``coefs_`` and ``intercepts_``
    ends: tuple[int, ...]  # number of layers up to the end of each hidden one; before them, of all convolutions

    @property
    def weight_names(self) -> list[str]:
        """Names of the parameters that ``coefs_`` holds, in its order."""
        return [f"{i}.weight" for i in self.weighted]

    @property
    def bias_names(self) -> list[str]:
        """Names of the parameters that ``intercepts_`` holds, in its order."""
        return [f"{i}.bias" for i in self.weighted]

    def initial(self, random_state: Any, features: int) -> Params:
        """Return initial parameters (host arrays): weights and biases as scikit-learn draws them, the rest as we do.

        Glorot's uniform distribution, for the biases too, with 2 in place of 6 in front of a logistic activation;
        drawn layer by layer from the numpy.random.RandomState, so that one seed begins where scikit-learn begins.
        """
        drawn = any(isinstance(layer, Embedding) for _, layer in walk(self.net))  # else all draws are scikit-learn's
        params, _ = self.net.init(generator(int(random_state.randint(2**31 - 1)) if drawn else 0), (features,))
        after: Sequence[Layer] = ()
        for i, stop in zip(self.weighted, (*self.weighted[1:], None), strict=True):
            # scikit-learn has one activation for all hidden layers, and draws the output layer by it as well.
            after = self.net.layers[i + 1 : stop] if stop else after
            factor = 2.0 if any(isinstance(layer, Sigmoid) for layer in after) else 6.0
            shape = params[f"{i}.weight"].shape
            bound = math.sqrt(factor / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
            params[f"{i}.weight"] = random_state.uniform(-bound, bound, shape)
            params[f"{i}.bias"] = random_state.uniform(-bound, bound, shape[-1])
        return params


def build(
    sizes: Sequence[int],
    outputs: int,
    activation: Any,
    dropout: Any,
    batch_norm: bool,
    output: Layer | None,
    front: Sequence[Layer] = (),
) -> Network:
    """Return the network with hidden layers of these sizes.

    `activation` and `dropout` may be sequences with one for each hidden layer. `front` makes rows of the samples, and
    `output` follows the last Dense if the loss does not contain it.
    """
    layers: list[Layer] = list(front)
    ends = [len(layers)] if any(isinstance(layer, Conv2D) for layer in layers) else []
    activations = each(activation, len(sizes), "activation")
    rates = each(dropout, len(sizes), "dropout")
    for units, name, rate in zip(sizes, activations, rates, strict=True):
        layers += followed(Dense(int(units)), batch_norm, name)
        layers += [Dropout(float(rate))] if rate else []
        ends.append(len(layers))
    layers.append(Dense(int(outputs)))
    layers += [output] if output is not None else []
    weighted = tuple(i for i, layer in enumerate(layers) if isinstance(layer, Conv2D | Dense))
    return Network(Sequential(tuple(layers)), weighted, tuple(ends))


def followed(layer: Layer, batch_norm: bool, activation: str | Layer) -> list[Layer]:
    """Return a layer with what follows it: BatchNorm and activation, as far as they are asked for.

    Raises
    ------
    ConfigError
        If the activation is neither a layer nor one of scikit-learn's names or ours.
    """
    if isinstance(activation, Layer):
        found = [activation]
    else:
        name = SCIKIT_NAMES.get(activation, activation)
        if name is not None and name not in ACTIVATIONS:
            raise ConfigError(unknown("activation", activation, [*SCIKIT_NAMES, *ACTIVATIONS]))
        found = [] if name is None else [ACTIVATIONS[name]]
    return [layer, *([BatchNorm()] if batch_norm else []), *found]


def each(value: Any, count: int, name: str) -> list[Any]:
    """Return `value` for each of the hidden layers: repeated, or, where it is a sequence, item by item."""
    if isinstance(value, str | Layer) or not isinstance(value, Iterable):
        return [value] * count
    found = list(value)
    if len(found) != count:
        message = f"{name}: expected one for each of the {count} hidden layers, got {len(found)}"
        raise ConfigError(message + f"; give one for all, or a list of {count}")
    return found
