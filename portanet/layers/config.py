"""Networks from plain values: the list of dicts, and what a saved model holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from portanet.errors import ConfigError, Gathered, unknown
from portanet.layers.base import Layer
from portanet.layers.custom import ACTIVATIONS
from portanet.registry import Custom, Registry

LAYERS: Registry[Any] = Registry("layer", Layer, word="argument")
"""The library's own layers by name, entered by ``portanet.layers``: a class is not known to files for being defined."""

_DENSE_KEYS = ("input_dim", "output_dim", "activation", "bias", "init", "dropout")
_DEEPEST = 50  # of layers within layers: each is a call within a call


def activation(name: str) -> Layer | None:
    """Return the activation of that name; None for ``"linear"``, which is no layer at all."""
    if name in ("linear", "identity", "none"):
        return None
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ConfigError(unknown("activation", name, [*ACTIVATIONS, "linear"]))
    return ACTIVATIONS[name]


def layers_from(
    config: Iterable[Mapping[str, Any]], custom: Custom | None = None, *, depth: int = 0
) -> tuple[Layer, ...]:
    """Return the layers that `config` describes, a dict a layer.

    Parameters
    ----------
    config : list of dict
        Either ``{"input_dim": 2, "output_dim": 4, "activation": "relu"}``: a dense layer and its activation (``bias``,
        ``init`` and ``dropout`` are known too; every key but ``output_dim`` may be left out, and input sizes are then
        inferred); or ``{"type": "Dense", "units": 4}``: any layer and its arguments, of which a dict with a ``type``
        is again a layer.
    custom : dict, optional
        Custom layers by their names, as classes or as ready layers.
    depth : int
        How many layers this list stands within.

    Raises
    ------
    ConfigError
        If a key, a layer or an activation is unknown, or an ``input_dim`` is not the size before it; it says which
        layer and both numbers. Of several mistakes it names each.
    """
    if isinstance(config, Mapping):
        message = "from_config: expected a list with a dict for each layer, got a single dict; put it into a list"
        raise ConfigError(message)
    if isinstance(config, str) or not isinstance(config, Iterable):
        message = f"layers: expected a list with a dict for each layer, got {config!r:.60}"
        raise ConfigError(message)
    found: list[Layer] = []
    wrong = Gathered()
    before: tuple[int, int] | None = None  # position and size of the last dense entry
    for i, entry in enumerate(config):
        with wrong:
            if not isinstance(entry, Mapping):
                message = f"layer {i}: expected a dict, got {entry!r:.60}"
                raise ConfigError(message)
            if "type" in entry:
                found.append(_typed(f"layer {i}", entry, custom or {}, depth))
                units = getattr(found[-1], "units", None)
                before = (i, units) if units else before
            else:
                found.extend(_dense(i, entry, before))
                before = (i, entry["output_dim"])
    wrong.check()
    return tuple(found)


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
    layers: list[Layer] = [LAYERS["Dense"](entry["output_dim"], **options)]
    return layers + ([act] if act else []) + ([LAYERS["Dropout"](drop)] if drop else [])


def _typed(place: str, entry: Mapping[str, Any], custom: Custom, depth: int) -> Layer:
    if depth > _DEEPEST:
        message = f"layers: expected them nested at most {_DEEPEST} deep, more came; flatten the list"
        raise ConfigError(message)
    options = dict(entry)
    name = options.pop("type")
    if name == "CustomActivation":
        name = str(options.pop("name", None))
        known = custom.get(name) or ACTIVATIONS.get(name)
        if not isinstance(known, Layer):
            message = (
                f"{place}: the activation {name!r} was defined by the user of this model; define it again by "
                f"portanet.custom_activation({name!r}, function, derivative) before loading"
            )
            raise ConfigError(message)
        return known
    wrong = Gathered()
    with wrong:
        LAYERS.find(name, custom, place)
    for key, value in options.items():
        with wrong:
            options[key] = _inner(key, value, custom, depth + 1)
    wrong.check()
    layer: Layer = LAYERS.make(name, options, custom, place)
    return layer


def _inner(key: str, value: Any, custom: Custom, depth: int) -> Any:
    """Return an argument with layers in place of their descriptions."""
    if _is_layer(value):
        return _typed(f"layer {key}", value, custom, depth)
    if isinstance(value, Mapping):
        return {own: _inner(own, one, custom, depth) for own, one in value.items()}
    several = key == "layers" or (isinstance(value, list) and any(map(_is_layer, value)))
    return layers_from(value, custom, depth=depth) if several else value


def _is_layer(value: Any) -> bool:
    return isinstance(value, Mapping) and "type" in value
