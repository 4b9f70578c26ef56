"""From torch: a ``torch.nn.Sequential`` as a network of portanet's, exactly, or an error that says why not."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from portanet import layers
from portanet.backends.host import to_host
from portanet.errors import ConfigError, ShapeError, need
from portanet.export.source import read
from portanet.export.torch_asked import Asked
from portanet.export.torch_call import OWN
from portanet.export.torch_check import check_import
from portanet.export.torch_image_layers import FOLDED
from portanet.export.torch_layers import LAYERS, images_first
from portanet.export.torch_plan import plan
from portanet.export.torch_signal_layers import SIGNALS
from portanet.export.torch_state import load_state_dict
from portanet.initializers import ShapesOnly
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.training.trainer import Trainer
from portanet.typing import Array, Shape

logger = logging.getLogger("portanet")


def from_torch(module: Any, loss: Loss | str, input_shape: Shape | None = None, **options: Any) -> Trainer:
    """Return a trainer with the layers and the weights of a ``torch.nn.Sequential``.

    What forward runs is taken over exactly, or refused: a module used twice is there twice; hooks, settings and
    modules that portanet does not have are errors. At the end both networks compute random samples in float64, and the
    import is refused if they differ by more than rounding.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, Conv2d, ConvTranspose2d, pools, norms, Embedding, Flatten, Unflatten, Dropout, Upsample, ZeroPad2d,
        Identity, activations, and further Sequentials. On any device, in any floating-point dtype; bfloat16 and half
        become float32. Parametrizations (``weight_norm``) are taken by the values they give.
    loss : Loss or str
        Not part of a state of torch's; it says what the outputs are (logits, for a cross-entropy), and so what
        ``predict`` returns.
    input_shape : tuple of int, optional
        Of one sample, as portanet takes it: images are (height, width, channels). Needed if a module before the first
        Linear takes images.
    **options
        Of the :class:`portanet.Trainer`: optimizer, metrics, backend, classes … The dtype is the module's.

    Raises
    ------
    ConfigError
        If a module has no counterpart here, a setting or a hook of it has none, or the outputs differ; with its name,
        and the reason.
    ShapeError
        If samples of `input_shape` do not fit.
    """
    for name, inner in module.named_modules() if hasattr(module, "named_modules") else ():
        _check_plain(inner, _place(inner, name))
    if hasattr(module, "eval"):
        module = _plain(module)
    found: list[Layer] = []
    context = _Context({}, any(_kind(inner) in SIGNALS for inner in module.modules()) if _kind(module) else False)
    shape = tuple(input_shape) if input_shape is not None else _inferred(module)
    _walk(_flat(module, ""), "", found, context, shape)
    if not found:
        message = "from_torch: expected modules with something to compute, got none"
        raise ConfigError(message)
    double = any(str(p.dtype) == "torch.float64" for p in (*module.parameters(), *module.buffers()))
    trainer = Trainer(found, loss, **{"dtype": "float64" if double else "float32", **options})
    trainer.init(shape)
    # What the modules are called does not matter: each entry of the plan finds its own by the layer that came of it.
    try:
        _, entries = plan(read(trainer, raw=True, what="from_torch").steps)
    except ConfigError as error:
        message = str(error).replace("it cannot be exported to torch", "from_torch: it cannot be taken over")
        raise ConfigError(message) from None
    state = {}
    for entry in entries:
        prefix, _, _ = entry.ours.rpartition(".")
        state[entry.theirs] = _numbers(getattr(context.sources[f"{prefix}."], entry.theirs.rpartition(".")[2]))
    load_state_dict(trainer, state)
    check_import(trainer, module, shape, signals=context.signals)
    _report_shared(module)
    return trainer


@dataclasses.dataclass(frozen=True)
class _Context:
    """The module of each layer by the layer's prefix, and whether samples of two axes are signals."""

    sources: dict[str, Any]
    signals: bool


Named = tuple[str, Any]
"""A module with its name."""


def _walk(named: Iterable[Named], prefix: str, found: list[Layer], context: _Context, shape: Shape) -> Shape:
    """Append the layers of modules to `found`, note the module of each; return the shape of a sample after them."""
    modules = list(named)
    while modules:
        here = f"{prefix}{len(found)}."
        taken, layer = _next(modules, here, context, shape)
        (name, module), modules = modules[0], modules[taken:]
        if layer is None:
            continue
        place = _place(module, name)
        found.append(_frozen(layer, context.sources.get(here), place))
        try:
            shape = tuple(layer.init(ShapesOnly(), shape)[1])
        except ShapeError as error:
            message = f"[{place}] from_torch: {error}"
            raise ShapeError(message) from None
    return shape


def _next(modules: Sequence[Named], here: str, context: _Context, shape: Shape) -> tuple[int, Layer | None]:
    """Return how many modules the next layer is made of, and the layer; None for one that does nothing."""
    (name, module), rest = modules[0], modules[1:]
    kind, place = _kind(module), _place(module, name)
    if kind == "Identity":
        return 1, None
    if kind in _CONTAINERS:
        return 1, _container(kind, module, name, here, context, shape)
    asked = Asked(module, place, signals=context.signals)
    following = _kind(rest[0][1]) if rest else ""
    try:
        fold = FOLDED.get((kind, following))
        if fold is not None:
            layer = fold(asked, Asked(rest[0][1], _place(rest[0][1], rest[0][0]), signals=context.signals), shape)
            if layer is not None:
                context.sources[here] = rest[0][1]
                return 2, layer
        if kind not in LAYERS:
            known = ", ".join(sorted([*LAYERS, *_CONTAINERS, "Identity"]))
            message = f"[{place}] from_torch: portanet has no counterpart of this module; it knows {known}"
            raise ConfigError(message)
        layer = LAYERS[kind](asked, shape)
    except ConfigError as error:  # a number that is out of range here, if it does not name the place already
        text = str(error)
        raise ConfigError(text if text.startswith("[") else f"[{place}] from_torch: {text}") from None
    context.sources[here] = module
    return 1, layer


def _container(kind: str, module: Any, name: str, here: str, context: _Context, shape: Shape) -> Layer:
    """Return the layer of one of our own containers (:mod:`portanet.export.torch_modules`)."""

    def inner(parts: Iterable[Named], prefix: str) -> tuple[Layer, ...]:
        made: list[Layer] = []
        _walk(parts, prefix, made, context, shape)
        return tuple(made)

    if kind == "Residual":
        return layers.Residual(inner(_within(module, name), here))
    paths = [_flat(part, f"{name}.{i}" if name else str(i)) for i, part in enumerate(module)]
    if kind == "Projected":
        return layers.Residual(inner(paths[0], here), shortcut=inner(paths[1], f"{here}shortcut."))
    made = [layers.Sequential(inner(path, f"{here}{i}.")) for i, path in enumerate(paths)]
    return layers.Branches(tuple(made), "add" if kind == "Sum" else "concat")


_CONTAINERS = ("Concat", "Projected", "Residual", "Sequential", "Sum")


def _flat(module: Any, name: str) -> Iterator[Named]:
    """Yield the modules that forward runs, in its order, with their names; one that is used twice comes twice."""
    if _kind(module) == "Sequential":
        yield from _within(module, name)
    else:
        yield name, module


def _within(module: Any, name: str) -> Iterator[Named]:
    """Yield the modules within a Sequential. ``named_children`` would leave out one that came before."""
    names = [own for own, _ in module.named_modules(remove_duplicate=False) if own and "." not in own]
    for child, inner in zip(names, module, strict=True):
        yield from _flat(inner, f"{name}.{child}" if name else child)


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _check_plain(module: Any, place: str) -> None:
    """Refuse a module whose forward is not that of its class alone."""
    held = vars(module) if hasattr(module, "__dict__") else {}
    hooks = [hook for name in _HOOKS for hook in held.get(name, {}).values()]
    if hooks:
        kinds = ", ".join(sorted({getattr(hook, "__name__", type(hook).__name__) for hook in hooks}))
        message = (
            f"[{place}] from_torch: it has hooks ({kinds}), which may change what it computes; remove them "
            "first: by their handle's remove(), torch.nn.utils.remove_weight_norm or torch.nn.utils.prune.remove"
        )
        raise ConfigError(message)
    if "forward" in held:
        message = f"[{place}] from_torch: its forward was replaced; expected that of its class"
        raise ConfigError(message)


def _kind(module: Any) -> str:
    """Return the name of a module of torch's, or of ours; empty for any other."""
    home, name = type(module).__module__, type(module).__name__
    own = home == "portanet.export.torch_modules" and name in OWN
    return name if own or home.startswith("torch.nn.modules.") else ""


def _place(module: Any, name: str) -> str:
    return f"{_kind(module) or type(module).__name__}{f' {name}' if name else ''}"


def _inferred(module: Any) -> Shape:
    """Return the shape of a sample, if the first module that needs one is a Linear."""
    for inner in module.modules() if hasattr(module, "modules") else ():
        kind = _kind(inner)
        if kind == "Linear":
            return (int(inner.in_features),)
        if images_first(kind):
            break
    message = "from_torch: expected input_shape, the shape of one sample, as no Linear in front tells it; "
    raise ConfigError(message + "images are (height, width, channels)")


def _plain(module: Any) -> Any:
    """Return a copy in ``eval`` mode whose parametrized arrays are plain, with the values that they have."""
    module = copy.deepcopy(module).eval()  # some parametrizations move where they are read while training
    for inner in list(module.modules()):
        if hasattr(inner, "parametrizations"):
            parameter = need("torch", "torch", "from_torch").nn.Parameter
            parts = {name: list(own.parameters()) for name, own in inner.parametrizations.items()}
            trained = {name: any(part.requires_grad for part in own) for name, own in parts.items()}
            values = {name: getattr(inner, name).detach().clone() for name in parts}
            inner.__class__ = type(inner).__mro__[1]  # torch's own removal would take the array off the original too
            del inner.parametrizations
            for name, value in values.items():
                inner.register_parameter(name, parameter(value, requires_grad=trained[name]))
    return module


def _numbers(tensor: Any) -> Array:
    """Return a tensor's numbers on the host; those of bfloat16 and half as float32."""
    tensor = tensor.detach()
    return to_host(tensor.float() if str(tensor.dtype) in ("torch.bfloat16", "torch.float16") else tensor)


def _frozen(layer: Layer, module: Any, place: str) -> Layer:
    """Return the layer with a learning rate of 0 if the parameters of its module do not require grad."""
    if module is None or _kind(module) in _CONTAINERS:
        return layer
    wanted = {parameter.requires_grad for parameter in module.parameters()}
    if wanted == {True, False}:
        message = f"[{place}] from_torch: some of its parameters are frozen and others not; freeze all or none"
        raise ConfigError(message)
    kept: Any = layer  # a dataclass with a rate, as all layers with parameters
    return dataclasses.replace(kept, rate=0.0) if wanted == {False} else layer


def _report_shared(module: Any) -> None:
    """Log a warning if a parameter stands at several places: each has its own copy here, which training moves apart."""
    places: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(name)
    for names in places.values():
        if len(names) > 1:
            logger.warning(
                "from_torch: %s are one parameter in torch; here each is a copy, and training moves them apart",
                ", ".join(names),
            )
