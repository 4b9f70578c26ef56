"""Networks from plain values: the list of dicts, and what a saved model holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from portanet import layers as family
from portanet.errors import ConfigError, unknown
from portanet.layers.base import Layer
from portanet.layers.custom import ACTIVATIONS
from portanet.layers.sequential import Sequential

_DENSE_KEYS = ("input_dim", "output_dim", "activation", "bias", "init", "dropout")
_DEEPEST = 50  # of layers within layers: each is a call within a call


def layer_types() -> dict[str, Callable[..., Layer]]:
    """Return the library's layers by name."""
    found = {name: getattr(family, name) for name in family.__all__}
    return {name: t for name, t in found.items() if isinstance(t, type) and issubclass(t, Layer) and t is not Layer}


def activation(name: str) -> Layer | None:
    """Return the activation of that name; None for ``"linear"``, which is no layer at all."""
    if name in ("linear", "identity", "none"):
        return None
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ConfigError(unknown("activation", name, [*ACTIVATIONS, "linear"]))
    return ACTIVATIONS[name]


def from_config(
    config: Iterable[Mapping[str, Any]],
    custom: Mapping[str, Callable[..., Layer] | Layer] | None = None,
    *,
    depth: int = 0,
) -> Sequential:
    """Return the network that `config` describes, a dict a layer.

    Parameters
    ----------
    config : list of dict
        Either ``{"input_dim": 2, "output_dim": 4, "activation": "relu"}``: a dense layer and its activation (``bias``,
        ``init`` and ``dropout`` are known too; every key but ``output_dim`` may be left out, and input sizes are then
        inferred); or ``{"type": "Dense", "units": 4}``: any layer and its arguments.
    custom : dict, optional
        Layers of the user's own by their names, as classes or as ready layers.
    depth : int
        How many layers this list stands within.

    Raises
    ------
    ConfigError
        If a key, a layer or an activation is unknown, or an ``input_dim`` is not the size before it; it says which
        layer and both numbers.
    """
    if isinstance(config, Mapping):
        message = "from_config: expected a list with a dict for each layer, got a single dict; put it into a list"
        raise ConfigError(message)
    if isinstance(config, str) or not isinstance(config, Iterable):
        message = f"layers: expected a list with a dict for each layer, got {config!r:.60}"
        raise ConfigError(message)
    if depth > _DEEPEST:
        message = f"layers: expected them nested at most {_DEEPEST} deep, more came; write them one behind the other"
        raise ConfigError(message)
    found: list[Layer] = []
    before: tuple[int, int] | None = None  # position and size of the last dense entry
    for i, entry in enumerate(config):
        if not isinstance(entry, Mapping):
            message = f"layer {i}: expected a dict, got {entry!r:.60}"
            raise ConfigError(message)
        if "type" in entry:
            found.append(_typed(i, entry, custom or {}, depth))
            units = getattr(found[-1], "units", None)
            before = (i, units) if units else before
        else:
            found.extend(_dense(i, entry, before))
            before = (i, entry["output_dim"])
    return Sequential(tuple(found))


def _dense(i: int, entry: Mapping[str, Any], before: tuple[int, int] | None) -> list[Layer]:
    for key in entry:
        if key not in _DENSE_KEYS:
            raise ConfigError(f"layer {i}: " + unknown("key", key, _DENSE_KEYS))
    if "output_dim" not in entry:
        message = f"layer {i}: expected 'output_dim', the number of its outputs, got {dict(entry)}"
        raise ConfigError(message)
    size = entry.get("input_dim")
    if size is not None and before is not None and size != before[1]:
        message = (
            f"layer {i}: input_dim is {size}, but layer {before[0]} has output_dim {before[1]}; "
            f"set input_dim to {before[1]} or leave it out"
        )
        raise ConfigError(message)
    options: dict[str, Any] = {"bias": entry.get("bias", True), "in_features": size}
    if "init" in entry:
        options["weight_init"] = entry["init"]
    act = activation(entry.get("activation", "linear"))
    drop = entry.get("dropout", 0.0)
    layers: list[Layer] = [family.Dense(entry["output_dim"], **options)]
    return layers + ([act] if act else []) + ([family.Dropout(drop)] if drop else [])


def _typed(i: int, entry: Mapping[str, Any], custom: Mapping[str, Callable[..., Layer] | Layer], depth: int) -> Layer:
    options = dict(entry)
    name = options.pop("type")
    if name == "CustomActivation":
        name = str(options.pop("name", None))
        known: Layer | Callable[..., Layer] | None = custom.get(name) or ACTIVATIONS.get(name)
        if not isinstance(known, Layer):
            message = (
                f"layer {i}: the activation {name!r} was defined by the user of this model; define it again by "
                f"portanet.custom_activation({name!r}, function, derivative) before loading"
            )
            raise ConfigError(message)
        return known
    types = {**layer_types(), **custom}
    if not isinstance(name, str) or name not in types:
        raise ConfigError(f"layer {i}: " + unknown("layer", name, types))
    make = types[name]
    if isinstance(make, Layer):
        return make
    if dataclasses.is_dataclass(make):
        names = [f.name for f in dataclasses.fields(make)]
        for key in options:
            if key not in names:
                raise ConfigError(f"layer {i} ({name}): " + unknown("argument", key, names))
    if "layers" in options:
        options["layers"] = from_config(options["layers"], custom, depth=depth + 1).layers
    try:
        return make(**options)
    except TypeError as error:
        message = f"layer {i} ({name}): {str(error).partition(') ')[2] or error}"
        raise ConfigError(message) from None
