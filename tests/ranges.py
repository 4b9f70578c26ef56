"""The range of every field of every public description, once more and by hand: a validator that is wrong disagrees."""

from __future__ import annotations

import dataclasses
import math

import pytest

import portanet as pn

INF, TINY = math.inf, 2.0**-126
OPTIMIZERS = ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "NAdam", "Lion")
EVERY_OPTIMIZER = " ".join(f"{name}.{{0}}" for name in OPTIMIZERS)
NUMBERS = {
    (0, 1, "[]"): "LeakyReLU.slope Cosine.final OneCycle.start OneCycle.final",
    (0, 1, "[)"): (
        "Dropout.rate Dropout2D.rate BatchNorm.momentum SoftmaxCrossEntropy.label_smoothing "
        "BinaryCrossEntropy.label_smoothing NAdam.beta1 NAdam.beta2 "
        "SGD.momentum RMSprop.rho Adam.beta1 Adam.beta2 AdamW.beta1 AdamW.beta2 Lion.beta1 Lion.beta2 OneCycle.rise "
        "Plateau.gamma"
    ),
    (0, INF, "[)"): (
        "Dense.rate Conv2D.rate Embedding.rate BatchNorm.rate LayerNorm.rate Sequential.rate Residual.rate "
        "Conv1D.rate ConvTranspose2D.rate PReLU.rate GroupNorm.rate InstanceNorm.rate RMSNorm.rate Branches.rate "
        "Committee.rate "
        "Parallel.rate Scale.rate NTKDense.rate Parametric.rate PeriodicEmbedding.rate "
        "LocalResponseNorm.alpha LocalResponseNorm.beta ThresholdedReLU.theta "
        "FocalCrossEntropy.gamma ELU.alpha Augment.shift StepDecay.gamma Exponential.gamma Plateau.min_delta "
        + EVERY_OPTIMIZER.format("lr")
        + " "
        + EVERY_OPTIMIZER.format("weight_decay")
    ),
    (0, INF, "()"): (
        "BatchNorm.eps LayerNorm.eps RMSprop.eps Adagrad.eps Adam.eps AdamW.eps Huber.delta StepDecay.every "
        "LocalResponseNorm.k NAdam.eps NAdam.momentum_decay GroupNorm.eps InstanceNorm.eps RMSNorm.eps CELU.alpha "
        "WarmUp.epochs SmoothClip.limit NTKDense.bias_factor PeriodicEmbedding.sigma "
        + EVERY_OPTIMIZER.format("clip_norm")
        + " "
        + EVERY_OPTIMIZER.format("clip_value")
        + " "
        + EVERY_OPTIMIZER.format("max_norm")
    ),
    (0, 180, "[]"): "Augment.rotate",
    (-INF, INF, "()"): "Rescale.scale Rescale.offset Pad2D.value",
}
LAYER_COUNTS = (
    "Dense.units Dense.in_features Embedding.categories Embedding.units Conv2D.units Conv2D.groups Conv2D.kernel "
    "Conv2D.stride Conv2D.dilation MaxPool2D.kernel MaxPool2D.stride AvgPool2D.kernel AvgPool2D.stride "
    "ConvTranspose2D.units ConvTranspose2D.groups ConvTranspose2D.kernel ConvTranspose2D.stride "
    "Conv1D.units Conv1D.groups Conv1D.kernel Conv1D.stride Conv1D.dilation MaxPool1D.kernel MaxPool1D.stride "
    "AvgPool1D.kernel AvgPool1D.stride ConvTranspose2D.dilation AdaptiveAvgPool2D.size GroupNorm.groups "
    "LpPool2D.kernel LpPool2D.stride Resize2D.size DepthToSpace2D.block SpaceToDepth2D.block "
    "NTKDense.units NTKDense.in_features PeriodicEmbedding.units PeriodicEmbedding.frequencies"
)
COUNTS = f"{LAYER_COUNTS} TopK.k Plateau.patience CosLog.cycles"
OPTIONAL = {
    "clip_norm",
    "max_norm",
    "clip_value",
    "in_features",
    "MaxPool2D.stride",
    "LpPool2D.stride",
    "Resize2D.size",
    "AvgPool2D.stride",
    "MaxPool1D.stride",
    "AvgPool1D.stride",
}
OTHERS = {
    "flags": (
        "Committee.apart LpPool2D.ceil_mode Resize2D.antialias Resize2D.edges "
        "ConvTranspose2D.bias MaxPool2D.ceil_mode AvgPool2D.ceil_mode AvgPool2D.count_padding PReLU.shared "
        "InstanceNorm.affine Conv1D.bias MaxPool1D.ceil_mode AvgPool1D.ceil_mode AvgPool1D.count_padding "
        "Dense.bias Conv2D.bias Augment.flip SGD.nesterov NTKDense.bias PeriodicEmbedding.phase PeriodicEmbedding.skip"
    ),
    "initializers": (
        "Dense.weight_init Dense.bias_init Conv2D.weight_init Conv2D.bias_init Embedding.weight_init Scale.scale_init "
        "NTKDense.weight_init NTKDense.bias_init ConvTranspose2D.weight_init ConvTranspose2D.bias_init "
        "PReLU.slope_init Conv1D.weight_init Conv1D.bias_init"
    ),
    "layer": "Parametric.activation",
    "layers": "Sequential.layers Residual.layers Parallel.layers Branches.layers Committee.layers",
    "optional layers": "Residual.shortcut",
    "places": "Conv1D.padding MaxPool1D.padding AvgPool1D.padding",
    "pixels": "ConvTranspose2D.padding ConvTranspose2D.output_padding",
    "times": "UpSample2D.size",
    "edges": "ZeroPad2D.padding Pad2D.padding",
    "bounds": "Hardtanh.low Hardtanh.high",
    "powers": "LpPool2D.p",
    "odd": "LocalResponseNorm.size",
    "scales": "Resize2D.scale",
    "interpolations": "Resize2D.mode",
    "coordinates": "Resize2D.coordinates",
    "roundings": "Resize2D.rounding",
    "cubics": "Resize2D.cubic",
    "pads": "Pad2D.mode",
    "orders": "DepthToSpace2D.order SpaceToDepth2D.order",
    "gelu": "GELU.approximate",
    "sampling": "UpSample2D.mode",
    "joins": "Branches.join",
    "paddings": "Conv2D.padding MaxPool2D.padding AvgPool2D.padding LpPool2D.padding",
    "sizes": "Reshape.shape Parallel.sizes OneHot.sizes",
    "units": (
        "SumSquaredError.unit MeanSquaredError.unit MeanAbsoluteError.unit Huber.unit Quantile.unit "
        "GaussianLikelihood.unit"
    ),
    "shares": "Quantile.taus",
    "arrays": "Standardize.mean Standardize.inverse_std RobustScale.median RobustScale.factor",
    "names": (
        "CustomActivation.name Plateau.monitor Accuracy.name MeanAbsoluteErrorMetric.name R2.name ScikitMetric.name"
    ),
    "functions": "CustomActivation.function CustomActivation.derivative",
    "points": "CustomActivation.kinks",
    "schedules": "WarmUp.then",
    "modes": "Plateau.mode",
}
NEEDED = {
    "layers": [pn.Dense(2)],
    "sizes": [1],
    "activation": pn.Tanh(),
    "shape": (2, 2),
    "rate": 0.1,
    "scale": 2.0,
    "units": 3,
    "groups": 1,
    "categories": 4,
    "name": "f1_score",
    "function": abs,
    "derivative": abs,
}


def names(text):
    return [pytest.param(*_field(name), id=name) for name in text.split()]


def _field(name):
    kind, _, field = name.partition(".")
    return getattr(pn, kind), field


def make(kind, **given):
    required = {
        f.name: NEEDED.get(f.name, 1.0) for f in dataclasses.fields(kind) if f.init and f.default is f.default_factory
    }
    return kind(**{**required, **given})


def refused(kind, field, value):
    with pytest.raises(pn.ConfigError) as caught:
        make(kind, **{field: value})
    said = str(caught.value)
    shown = " ".join(repr(value).split())[:50]
    assert said.startswith(f"{kind.__name__}: {field} must be "), said
    assert f", got {shown}" in said, said
    assert "\n" not in said
