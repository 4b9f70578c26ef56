"""Which layer stands for each torch module, and which of its settings there are."""

from __future__ import annotations

from portanet import layers
from portanet.backends.host import to_host
from portanet.export.torch_asked import Asked, Make, with_fields
from portanet.export.torch_check import epsilon
from portanet.export.torch_image_layers import IMAGES
from portanet.export.torch_signal_layers import SIGNALS
from portanet.layers import Layer
from portanet.typing import Shape


def _linear(m: Asked, shape: Shape) -> Layer:
    m.takes_last_axis(shape)
    if shape[-1] != m.in_features:
        m.refuse(f"expected samples with {m.in_features} features (in_features), got the shape {shape}")
    return layers.Dense(m.out_features, bias=m.bias is not None)


def _batch_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_channels(shape)
    m.only(affine=True, track_running_stats=True)
    if m.momentum is None:
        why = "momentum=None, an average over all batches, has no counterpart; set module.momentum = 0.1, for example"
        m.refuse(why)
    return layers.BatchNorm(round(1.0 - m.momentum, 12), m.eps)


def _layer_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_last_axis(shape)
    m.only(normalized_shape=shape[-1:], elementwise_affine=True)
    if m.bias is None:
        m.refuse("expected a LayerNorm with a bias, all that portanet has, got bias=False")
    return layers.LayerNorm(m.eps)


def _rms_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_last_axis(shape)
    m.only(normalized_shape=shape[-1:], elementwise_affine=True)
    return layers.RMSNorm(epsilon(m.module) if m.eps is None else m.eps)


def _group_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_channels(shape)
    m.only(affine=True)
    return layers.GroupNorm(m.num_groups, m.eps)


def _instance_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_channels(shape)
    m.only(track_running_stats=False)
    return layers.InstanceNorm(m.eps, bool(m.affine))


def _prelu(m: Asked, shape: Shape) -> Layer:
    shared = m.num_parameters == 1
    if not shared:
        m.takes_channels(shape)
    return layers.PReLU(shared=shared)


def _unflatten(m: Asked, shape: Shape) -> Layer:
    m.only(dim=1)
    whole = (*m.unflattened_size, *shape[1:])
    if len(whole) == 3 and whole[0] != 1:
        m.refuse(f"images of {whole[0]} channels come in another order, channels last here; give images without it")
    return layers.Reshape((*whole[1:], 1) if len(whole) == 3 else tuple(whole))


def _over_features(layer: type[Layer]) -> Make:
    """Return what makes a layer over the features: the last axis here, of images the second there."""

    def make(m: Asked, shape: Shape) -> Layer:
        axis = 1 if m.front(shape) else len(shape)
        axes = (axis, axis - len(shape) - 1)
        if m.dim not in axes and not (m.dim is None and axis == 1 and len(shape) != 2):  # torch's own choice
            m.only(dim=axes[0] if m.front(shape) else -1)
        return layer()

    return make


def _embedding(m: Asked, shape: Shape) -> Layer:
    m.only(max_norm=None, padding_idx=None, scale_grad_by_freq=False)
    return layers.Embedding(m.num_embeddings, m.embedding_dim)


def _gelu(m: Asked, shape: Shape) -> Layer:
    return layers.GELU(m.approximate)


def _threshold(m: Asked, shape: Shape) -> Layer:
    m.only(value=0)
    return layers.ThresholdedReLU(float(m.threshold))


def _response_norm(m: Asked, shape: Shape) -> Layer:
    m.takes_channels(shape)
    return layers.LocalResponseNorm(m.size, float(m.alpha), float(m.beta), float(m.k))


LAYERS: dict[str, Make] = {
    **IMAGES,
    **SIGNALS,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "CELU": with_fields(layers.CELU, "alpha"),
    "Dropout": with_fields(layers.Dropout, "p"),
    "ELU": with_fields(layers.ELU, "alpha"),
    "Embedding": _embedding,
    "Flatten": with_fields(layers.Flatten, start_dim=1, end_dim=-1),
    "GELU": _gelu,
    "GroupNorm": _group_norm,
    "Hardsigmoid": with_fields(layers.Hardsigmoid),
    "Hardswish": with_fields(layers.Hardswish),
    "Hardtanh": with_fields(layers.Hardtanh, "min_val", "max_val"),
    "InstanceNorm1d": _instance_norm,
    "InstanceNorm2d": _instance_norm,
    "LayerNorm": _layer_norm,
    "LeakyReLU": with_fields(layers.LeakyReLU, "negative_slope"),
    "Linear": _linear,
    "LocalResponseNorm": _response_norm,
    "LogSoftmax": _over_features(layers.LogSoftmax),
    "Mish": with_fields(layers.Mish),
    "PReLU": _prelu,
    "RMSNorm": _rms_norm,
    "ReLU": with_fields(layers.ReLU),
    "ReLU6": with_fields(layers.ReLU6),
    "Rescale": with_fields(layers.Rescale, "scale", "offset"),
    "SELU": with_fields(layers.SELU),
    "SiLU": with_fields(layers.Swish),
    "Sigmoid": with_fields(layers.Sigmoid),
    "Softmax": _over_features(layers.Softmax),
    "Softplus": with_fields(layers.Softplus, beta=1.0),
    "Softsign": with_fields(layers.Softsign),
    "Standardize": lambda m, shape: layers.Standardize(to_host(m.mean), to_host(m.inverse_std)),
    "Tanh": with_fields(layers.Tanh),
    "Threshold": _threshold,
    "Unflatten": _unflatten,
}


def images_first(kind: str) -> bool:
    """Return whether a module takes samples whose shape no Linear after it tells."""
    return kind in ("Embedding", "Unflatten") or (
        kind[-2:] in ("1d", "2d") and not kind.startswith(("Dropout", "Batch"))
    )
