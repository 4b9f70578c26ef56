"""From torch: a ``torch.nn.Sequential`` as a network of portanet's. torch itself is not imported here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portanet import layers
from portanet.backends.host import to_host
from portanet.errors import ConfigError, ShapeError
from portanet.export.source import read
from portanet.export.torch_plan import OWN, plan
from portanet.export.torch_state import load_state_dict
from portanet.initializers import ShapesOnly
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.training.trainer import Trainer
from portanet.typing import Shape


def from_torch(module: Any, loss: Loss | str, input_shape: Shape | None = None, **options: Any) -> Trainer:
    """Return a trainer with the layers and the weights of a ``torch.nn.Sequential``.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, Conv2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), BatchNorm1d, BatchNorm2d, LayerNorm, Embedding,
        Flatten, Unflatten, Dropout, Identity, activations, and further Sequentials. On any device.
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
        If a module has no counterpart here; with its name, and the reason.
    ShapeError
        If samples of `input_shape` do not fit.
    """
    found: list[Layer] = []
    sources: dict[str, Any] = {}
    shape = tuple(input_shape) if input_shape is not None else _inferred(module)
    _walk(module, "", "", found, sources, shape)
    arrays = [to_host(value) for source in sources.values() for value in source.state_dict().values()]
    double = any(array.dtype.name == "float64" for array in arrays)
    trainer = Trainer(found, loss, **{"dtype": "float64" if double else "float32", **options})
    trainer.init(shape)
    # What the modules are called does not matter: each entry of the plan finds its own by the layer that came of it.
    _, entries = plan(read(trainer, raw=True, what="from_torch").steps)
    state = {}
    for entry in entries:
        prefix, _, _ = entry.ours.rpartition(".")
        state[entry.theirs] = sources[f"{prefix}."].state_dict()[entry.theirs.rpartition(".")[2]]
    load_state_dict(trainer, state)
    return trainer


def _walk(module: Any, name: str, prefix: str, found: list[Layer], sources: dict[str, Any], shape: Shape) -> Shape:
    """Append the layers of a module to `found`, note the module of each; return the shape of a sample after it."""
    kind = _kind(module)
    if kind == "Sequential":
        for child, inner in module.named_children():
            shape = _walk(inner, f"{name}.{child}" if name else child, prefix, found, sources, shape)
        return shape
    if kind == "Identity":
        return shape
    place = f"{kind or type(module).__name__}{f' {name}' if name else ''}"
    here = f"{prefix}{len(found)}."
    if kind == "Residual":
        inner_layers: list[Layer] = []
        out = shape
        for child, inner in module.named_children():
            out = _walk(inner, f"{name}.{child}", here, inner_layers, sources, out)
        layer: Layer = layers.Residual(tuple(inner_layers))
    elif kind not in _LAYERS:
        known = ", ".join(sorted([*_LAYERS, "Identity", "Residual", "Sequential"]))
        message = f"[{place}] from_torch: portanet has no counterpart of this module; it knows {known}"
        raise ConfigError(message)
    else:
        try:
            layer = _LAYERS[kind](_Asked(module, place), shape)
        except ConfigError as error:  # a number that is out of range here, if it does not name the place already
            text = str(error)
            raise ConfigError(text if text.startswith("[") else f"[{place}] from_torch: {text}") from None
        sources[here] = module
    found.append(layer)
    try:
        return tuple(layer.init(ShapesOnly(), shape)[1])
    except ShapeError as error:
        message = f"[{place}] from_torch: {error}"
        raise ShapeError(message) from None


def _kind(module: Any) -> str:
    """Return the name of a module of torch's, or of ours; empty for any other."""
    home, name = type(module).__module__, type(module).__name__
    own = home == "portanet.export.torch_modules" and name in OWN
    return name if own or home.startswith("torch.nn.modules.") else ""


def _inferred(module: Any) -> Shape:
    """Return the shape of a sample, if the first module that needs one is a Linear."""
    for inner in module.modules() if hasattr(module, "modules") else ():
        kind = _kind(inner)
        if kind == "Linear":
            return (int(inner.in_features),)
        if kind in _IMAGES:
            break
    message = "from_torch: expected input_shape, the shape of one sample, as no Linear in front tells it; "
    raise ConfigError(message + "images are (height, width, channels)")


class _Asked:
    """A module whose settings are read one by one, some of which may only be what portanet does."""

    def __init__(self, module: Any, place: str) -> None:
        self.module, self.place = module, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def only(self, **wanted: Any) -> None:
        """Refuse other settings than these."""
        for name, value in wanted.items():
            got = getattr(self.module, name, value)
            if got != value:
                message = f"[{self.place}] from_torch: expected {name}={value!r}, all that portanet has, got {got!r}"
                raise ConfigError(message)

    def padding_of(self) -> Any:
        """Return the padding as one number or a word."""
        padding = self.module.padding
        if isinstance(padding, str | int):
            return padding
        if len(set(padding)) > 1:
            message = f"[{self.place}] from_torch: expected the same padding on all sides, got {tuple(padding)}"
            raise ConfigError(message)
        return int(padding[0])


def _conv(m: Any, shape: Shape) -> Layer:
    m.only(padding_mode="zeros")
    sizes = m.out_channels, m.kernel_size, m.stride, m.padding_of(), m.dilation, m.groups
    return layers.Conv2D(*sizes, bias=m.bias is not None)


def _max_pool(m: Any, shape: Shape) -> Layer:
    m.only(ceil_mode=False, return_indices=False)
    if m.dilation not in (1, (1, 1)):
        m.only(dilation=1)
    return layers.MaxPool2D(m.kernel_size, m.stride, m.padding_of())


def _avg_pool(m: Any, shape: Shape) -> Layer:
    m.only(ceil_mode=False, divisor_override=None)
    if m.padding_of():
        m.only(count_include_pad=True)
    return layers.AvgPool2D(m.kernel_size, m.stride, m.padding_of())


def _global_pool(m: Any, shape: Shape) -> Layer:
    if m.output_size not in (1, (1, 1)):
        m.only(output_size=1)
    return layers.GlobalAvgPool2D()


def _batch_norm(m: Any, shape: Shape) -> Layer:
    m.only(affine=True, track_running_stats=True)
    return layers.BatchNorm(0.9 if m.momentum is None else 1.0 - m.momentum, m.eps)


def _layer_norm(m: Any, shape: Shape) -> Layer:
    m.only(normalized_shape=shape[-1:], elementwise_affine=True)
    if m.bias is None:
        message = f"[{m.place}] from_torch: expected a LayerNorm with a bias, all that portanet has, got bias=False"
        raise ConfigError(message)
    return layers.LayerNorm(m.eps)


def _unflatten(m: Any, shape: Shape) -> Layer:
    m.only(dim=1)
    whole = (*m.unflattened_size, *shape[1:])
    if len(whole) == 3 and whole[0] != 1:
        message = (
            f"[{m.place}] from_torch: images of {whole[0]} channels would come in another order, channels last here; "
            "leave it out, and give images"
        )
        raise ConfigError(message)
    return layers.Reshape((*whole[1:], 1) if len(whole) == 3 else tuple(whole))


def _softmax(m: Any, shape: Shape) -> Layer:
    m.only(dim=1 if m.dim == 1 and len(shape) in (1, 3) else -1)
    return layers.Softmax()


def _same(layer: type[Layer], *fields: str, **only: Any) -> Callable[[Any, Shape], Layer]:
    """Return what makes a layer of these fields of a module, whose other settings may only be what portanet does."""

    def make(m: Any, shape: Shape) -> Layer:
        m.only(**only)
        return layer(*(getattr(m, name) for name in fields))

    return make


_LAYERS: dict[str, Callable[[Any, Shape], Layer]] = {
    "AdaptiveAvgPool2d": _global_pool,
    "AvgPool2d": _avg_pool,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "Conv2d": _conv,
    "Dropout": _same(layers.Dropout, "p"),
    "ELU": _same(layers.ELU, "alpha"),
    "Embedding": _same(layers.Embedding, "num_embeddings", "embedding_dim", max_norm=None),
    "Flatten": _same(layers.Flatten, start_dim=1, end_dim=-1),
    "GELU": _same(layers.GELU, approximate="tanh"),
    "LayerNorm": _layer_norm,
    "LeakyReLU": _same(layers.LeakyReLU, "negative_slope"),
    "Linear": lambda m, shape: layers.Dense(m.out_features, bias=m.bias is not None),
    "MaxPool2d": _max_pool,
    "ReLU": _same(layers.ReLU),
    "Rescale": _same(layers.Rescale, "scale", "offset"),
    "Mish": _same(layers.Mish),
    "SELU": _same(layers.SELU),
    "SiLU": _same(layers.Swish),
    "Sigmoid": _same(layers.Sigmoid),
    "Softmax": _softmax,
    "Softplus": _same(layers.Softplus, beta=1.0),
    "Standardize": lambda m, shape: layers.Standardize(to_host(m.mean), to_host(m.inverse_std)),
    "Tanh": _same(layers.Tanh),
    "Unflatten": _unflatten,
}

_IMAGES = ("Conv2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "Embedding", "Unflatten")
