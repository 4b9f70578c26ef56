"""The table of cases: every layer, loss and optimizer with something to try it on.

Gradient checks, agreement between backends, and the tests read it. What is public and has no line here fails the tests.
"""

from __future__ import annotations

from portanet import layers, losses, optimizers
from portanet.random import generator
from portanet.verify.case import LayerCase, LossCase

LAYERS: dict[str, list[LayerCase]] = {
    "Dense": [
        LayerCase(layers.Dense(3), (4,)),
        LayerCase(layers.Dense(1, bias=False), (1,)),
        LayerCase(layers.Dense(7, weight_init="normal:0.3", bias_init="constant:0.5"), (13,)),
        LayerCase(layers.Dense(3), (2, 4)),
    ],
    "ReLU": [LayerCase(layers.ReLU(), (7,)), LayerCase(layers.ReLU(), (3, 4, 2))],
    "LeakyReLU": [LayerCase(layers.LeakyReLU(), (7,)), LayerCase(layers.LeakyReLU(0.3), (7,))],
    "ELU": [LayerCase(layers.ELU(), (7,)), LayerCase(layers.ELU(1.7), (7,))],
    "Sigmoid": [LayerCase(layers.Sigmoid(), (7,))],
    "Tanh": [LayerCase(layers.Tanh(), (7,))],
    "Softplus": [LayerCase(layers.Softplus(), (7,))],
    "GELU": [LayerCase(layers.GELU(), (7,)), LayerCase(layers.GELU("none"), (3, 7))],
    "Swish": [LayerCase(layers.Swish(), (7,))],
    "Mish": [LayerCase(layers.Mish(), (7,))],
    "SELU": [LayerCase(layers.SELU(), (7,))],
    "SmoothClip": [LayerCase(layers.SmoothClip(), (7,)), LayerCase(layers.SmoothClip(0.5), (3, 2))],
    "Parametric": [
        LayerCase(layers.Parametric(layers.Mish()), (7,)),
        LayerCase(layers.Parametric(layers.SELU(), rate=0.1), (3, 4)),
    ],
    "PReLU": [
        LayerCase(layers.PReLU(), (7,)),
        LayerCase(layers.PReLU(slope_init="uniform:-0.3,0.5"), (2, 3, 4)),
        LayerCase(layers.PReLU(shared=True), (3, 4)),
    ],
    "CELU": [LayerCase(layers.CELU(), (7,)), LayerCase(layers.CELU(0.4), (7,))],
    "ReLU6": [
        LayerCase(layers.ReLU6(), (7,)),
        LayerCase(layers.Sequential((layers.Rescale(4.0, 3.0), layers.ReLU6())), (7,)),
    ],
    "Hardsigmoid": [
        LayerCase(layers.Hardsigmoid(), (7,)),
        LayerCase(layers.Sequential((layers.Rescale(3.0), layers.Hardsigmoid())), (7,)),
    ],
    "Hardswish": [
        LayerCase(layers.Hardswish(), (7,)),
        LayerCase(layers.Sequential((layers.Rescale(3.0), layers.Hardswish())), (7,)),
    ],
    "Hardtanh": [
        LayerCase(layers.Hardtanh(), (7,)),
        LayerCase(layers.Hardtanh(-0.5, 0.25), (3, 4)),
    ],
    "ThresholdedReLU": [LayerCase(layers.ThresholdedReLU(0.3), (7,)), LayerCase(layers.ThresholdedReLU(), (3, 4))],
    "Softsign": [LayerCase(layers.Softsign(), (7,))],
    "LogSoftmax": [LayerCase(layers.LogSoftmax(), (7,)), LayerCase(layers.LogSoftmax(), (3, 4))],
    "Softmax": [LayerCase(layers.Softmax(), (7,)), LayerCase(layers.Softmax(), (1,))],
    "Dropout": [
        LayerCase(layers.Dropout(0.4), (50,)),
        LayerCase(layers.Dropout(0.4), (6, 9)),
        LayerCase(layers.Dropout(0.0), (5,)),
    ],
    "Dropout2D": [
        LayerCase(layers.Dropout2D(0.4), (3, 2, 8)),
        LayerCase(layers.Dropout2D(0.0), (2, 2, 3)),
    ],
    "Flatten": [LayerCase(layers.Flatten(), (3, 4)), LayerCase(layers.Flatten(), (5,))],
    "Reshape": [LayerCase(layers.Reshape((2, 3, 1)), (6,))],
    "Augment": [
        LayerCase(layers.Augment(shift=1.5, rotate=20, flip=True), (5, 4, 2)),
        LayerCase(layers.Augment(shift=2), (4, 6)),
        LayerCase(layers.Augment(rotate=180.0), (1, 3, 1)),
    ],
    "Conv2D": [
        LayerCase(layers.Conv2D(4), (5, 6, 3)),
        LayerCase(layers.Conv2D(4, kernel=(2, 3), stride=2, padding=1, bias=False), (7, 6, 2)),
        LayerCase(layers.Conv2D(6, kernel=3, stride=2, padding="same", groups=2), (6, 5, 4)),
        LayerCase(layers.Conv2D(3, kernel=3, dilation=2, padding=2, groups=3), (6, 7, 3)),
        LayerCase(layers.Conv2D(2, kernel=1), (3, 4, 5)),
        LayerCase(layers.Conv2D(2, kernel=(3, 2), stride=(2, 1), padding=((0, 2), (1, 0))), (5, 4, 3)),
    ],
    "ConvTranspose2D": [
        LayerCase(layers.ConvTranspose2D(3, 2, 2), (3, 4, 2)),
        LayerCase(layers.ConvTranspose2D(4, (3, 4), (2, 3), (1, 0), 1, groups=2, bias=False), (3, 2, 6)),
        LayerCase(layers.ConvTranspose2D(2, 3, dilation=2, padding=1), (4, 3, 3)),
    ],
    "Conv1D": [
        LayerCase(layers.Conv1D(3), (6, 2)),
        LayerCase(layers.Conv1D(4, 2, 2, (0, 1), groups=2, bias=False), (5, 4)),
        LayerCase(layers.Conv1D(2, 4, padding="same", dilation=2), (7, 3)),
    ],
    "MaxPool1D": [LayerCase(layers.MaxPool1D(), (6, 2)), LayerCase(layers.MaxPool1D(3, 2, 1, ceil_mode=True), (6, 2))],
    "AvgPool1D": [
        LayerCase(layers.AvgPool1D(3, 1, 1), (5, 2)),
        LayerCase(layers.AvgPool1D(2, 2, 1, True, count_padding=False), (6, 2)),
    ],
    "GlobalAvgPool1D": [LayerCase(layers.GlobalAvgPool1D(), (4, 3))],
    "GlobalMaxPool1D": [LayerCase(layers.GlobalMaxPool1D(), (4, 3))],
    "ZeroPad2D": [LayerCase(layers.ZeroPad2D(), (2, 3, 2)), LayerCase(layers.ZeroPad2D(((0, 2), (3, 1))), (2, 3, 2))],
    "UpSample2D": [
        LayerCase(layers.UpSample2D(), (2, 3, 2)),
        LayerCase(layers.UpSample2D((3, 1)), (2, 3, 2)),
        LayerCase(layers.UpSample2D((2, 3), "bilinear"), (3, 4, 2)),
    ],
    "Resize2D": [
        LayerCase(layers.Resize2D(3), (4, 5, 2)),
        LayerCase(layers.Resize2D((7, 2), mode="nearest", coordinates="asymmetric", rounding="floor"), (4, 5, 2)),
        LayerCase(layers.Resize2D(scale=(1.3, 0.6), mode="bicubic", cubic=-0.5, edges=False), (4, 6, 2)),
        LayerCase(layers.Resize2D((3, 9), mode="bicubic", coordinates="align_corners"), (5, 4, 1)),
        LayerCase(layers.Resize2D((2, 3), antialias=True, edges=False), (5, 7, 2)),
    ],
    "Pad2D": [
        LayerCase(layers.Pad2D(2), (3, 4, 2)),
        LayerCase(layers.Pad2D(((0, 3), (2, 1)), "replicate"), (2, 3, 2)),
        LayerCase(layers.Pad2D((2, 1), "circular"), (2, 3, 2)),
        LayerCase(layers.Pad2D(1, "constant", -0.5), (2, 3, 2)),
    ],
    "DepthToSpace2D": [
        LayerCase(layers.DepthToSpace2D(), (2, 3, 8)),
        LayerCase(layers.DepthToSpace2D(3, "DCR"), (1, 2, 18)),
    ],
    "SpaceToDepth2D": [
        LayerCase(layers.SpaceToDepth2D(), (4, 6, 2)),
        LayerCase(layers.SpaceToDepth2D(2, "DCR"), (2, 4, 3)),
    ],
    "LpPool2D": [
        LayerCase(layers.LpPool2D(), (4, 6, 2)),
        LayerCase(layers.LpPool2D(3, 2, 1, True, 3.0), (6, 5, 2)),
        LayerCase(layers.LpPool2D((3, 2), 2, 1, True, 4.0), (6, 4, 2)),
    ],
    "AdaptiveAvgPool2D": [
        LayerCase(layers.AdaptiveAvgPool2D(), (3, 4, 2)),
        LayerCase(layers.AdaptiveAvgPool2D((2, 3)), (5, 7, 2)),
    ],
    "MaxPool2D": [
        LayerCase(layers.MaxPool2D(), (4, 6, 2)),
        LayerCase(layers.MaxPool2D(3, 2, "same"), (6, 5, 2)),
        LayerCase(layers.MaxPool2D(2, 1, 1), (3, 4, 2)),
        LayerCase(layers.MaxPool2D(3, 2, 1, ceil_mode=True), (6, 4, 2)),
        LayerCase(layers.MaxPool2D((2, 3), 2, (0, (2, 1))), (4, 5, 2)),
    ],
    "AvgPool2D": [
        LayerCase(layers.AvgPool2D(), (5, 4, 2)),
        LayerCase(layers.AvgPool2D((3, 2), 1, 1), (4, 5, 2)),
        LayerCase(layers.AvgPool2D(3, 2, 1, count_padding=False), (5, 6, 2)),
        LayerCase(layers.AvgPool2D(3, 2, 1, ceil_mode=True), (6, 4, 2)),
        LayerCase(layers.AvgPool2D(2, 2, ceil_mode=True, count_padding=False), (5, 5, 2)),
    ],
    "GlobalAvgPool2D": [LayerCase(layers.GlobalAvgPool2D(), (3, 4, 2))],
    "GlobalMaxPool2D": [LayerCase(layers.GlobalMaxPool2D(), (3, 4, 2))],
    "BatchNorm": [LayerCase(layers.BatchNorm(), (4,)), LayerCase(layers.BatchNorm(0.5, 1e-3), (3, 2, 4))],
    "LayerNorm": [LayerCase(layers.LayerNorm(), (6,)), LayerCase(layers.LayerNorm(), (3, 6))],
    "GroupNorm": [LayerCase(layers.GroupNorm(2), (6,)), LayerCase(layers.GroupNorm(3, 1e-3), (3, 2, 6))],
    "InstanceNorm": [
        LayerCase(layers.InstanceNorm(), (3, 4, 2)),
        LayerCase(layers.InstanceNorm(1e-3, affine=True), (5, 3)),
    ],
    "LocalResponseNorm": [
        LayerCase(layers.LocalResponseNorm(), (2, 3, 7)),
        LayerCase(layers.LocalResponseNorm(3, 0.8, 0.6, 0.5), (6,)),
    ],
    "RMSNorm": [LayerCase(layers.RMSNorm(), (6,)), LayerCase(layers.RMSNorm(1e-3), (3, 6))],
    "Embedding": [LayerCase(layers.Embedding(5, 3), (4,), whole_numbers=5)],
    "OneHot": [
        LayerCase(layers.OneHot((5,)), (1,), whole_numbers=6),
        LayerCase(layers.OneHot((2, 4)), (2,), whole_numbers=4),
    ],
    "PeriodicEmbedding": [
        LayerCase(layers.PeriodicEmbedding(2, 5), (4,)),
        LayerCase(layers.PeriodicEmbedding(3, 2, sigma=1.0, phase=False, skip=False), (1,)),
    ],
    "Scale": [LayerCase(layers.Scale(), (5,)), LayerCase(layers.Scale("normal:2", rate=6.0), (2, 3))],
    "NTKDense": [
        LayerCase(layers.NTKDense(3), (4,)),
        LayerCase(layers.NTKDense(2, bias=False), (1,)),
        LayerCase(layers.NTKDense(3, bias_factor=0.5), (2, 5)),
    ],
    "Parallel": [
        LayerCase(layers.Parallel((layers.Dense(3), layers.Flatten(), layers.LayerNorm()), (2, 1, 3)), (6,)),
        LayerCase(
            layers.Parallel((layers.Sequential((layers.Embedding(4, 3), layers.Flatten())), layers.Dense(2)), (2, 1)),
            (3,),
            whole_numbers=4,
        ),
        LayerCase(layers.Parallel((layers.BatchNorm(), layers.Sequential((layers.Dense(2),))), (2, 3)), (5,)),
    ],
    "Rescale": [LayerCase(layers.Rescale(1 / 255, -0.5), (4, 4))],
    "Standardize": [LayerCase(layers.Standardize.of(generator(0, "cases").normal(2.0, 3.0, (20, 6))), (6,))],
    "RobustScale": [LayerCase(layers.RobustScale.of(generator(0, "cases").normal(2.0, 3.0, (20, 6))), (6,))],
    "CustomActivation": [
        LayerCase(layers.CustomActivation("square", lambda x: x * x, lambda x: 2.0 * x), (5,)),
    ],
    "Sequential": [
        LayerCase(
            layers.Sequential(
                (layers.Flatten(), layers.Dense(8), layers.ReLU(), layers.Dropout(0.3), layers.Dense(5), layers.Tanh())
            ),
            (3, 2),
        ),
    ],
    "Residual": [
        LayerCase(layers.Residual((layers.Dense(9), layers.Swish(), layers.Dense(6))), (6,)),
        LayerCase(layers.Sequential((layers.Dense(4), layers.Residual((layers.Dense(4), layers.Sigmoid())))), (3,)),
        LayerCase(layers.Residual((layers.Dense(5), layers.Tanh()), shortcut=(layers.Dense(5),)), (3,)),
        LayerCase(
            layers.Residual(
                (layers.Conv2D(4, 3, 2, 1, bias=False), layers.BatchNorm(), layers.Tanh(), layers.Conv2D(4, 3, 1, 1)),
                shortcut=(layers.Conv2D(4, 1, 2, bias=False), layers.BatchNorm()),
            ),
            (5, 4, 3),
        ),
    ],
    "Branches": [
        LayerCase(layers.Branches((layers.Dense(3), (layers.Dense(4), layers.Tanh()))), (5,)),
        LayerCase(layers.Branches([[layers.Conv2D(2, 1)], [layers.Conv2D(3, 3, padding=1)]]), (3, 4, 2)),
        LayerCase(layers.Branches([[layers.Dense(3)], [layers.Dense(3)]], join="add"), (2, 4)),
    ],
    "Committee": [
        LayerCase(layers.Committee((layers.Dense(3), layers.Dense(3)), apart=True), (4,)),
        LayerCase(
            layers.Committee((layers.Dense(3), layers.Sequential((layers.Dense(4), layers.Tanh(), layers.Dense(3))))),
            (5,),
        ),
    ],
}

LOSSES: dict[str, list[LossCase]] = {
    "SoftmaxCrossEntropy": [
        LossCase(losses.SoftmaxCrossEntropy(), (6, 4), "classes"),
        LossCase(losses.SoftmaxCrossEntropy(label_smoothing=0.1), (6, 4), "classes"),
        LossCase(losses.SoftmaxCrossEntropy(), (3, 6, 4), "classes"),
        LossCase(losses.SoftmaxCrossEntropy(), (6, 4), "shares"),
    ],
    "FocalCrossEntropy": [
        LossCase(losses.FocalCrossEntropy(), (6, 4), "classes"),
        LossCase(losses.FocalCrossEntropy(0.5), (6, 4), "shares"),
        LossCase(losses.FocalCrossEntropy(0.0), (3, 6, 4), "classes"),
    ],
    "NegativeLogLikelihood": [
        LossCase(losses.NegativeLogLikelihood(), (6, 4), "classes"),
        LossCase(losses.NegativeLogLikelihood(), (3, 6, 4), "shares"),
    ],
    "BinaryCrossEntropy": [
        LossCase(losses.BinaryCrossEntropy(), (6, 1), "yesno"),
        LossCase(losses.BinaryCrossEntropy(label_smoothing=0.2), (6, 3), "yesno"),
    ],
    "SumSquaredError": [
        LossCase(losses.SumSquaredError(), (6, 3), "numbers"),
        LossCase(losses.SumSquaredError(), (6, 3), "classes"),
    ],
    "MeanSquaredError": [
        LossCase(losses.MeanSquaredError(), (6, 3), "numbers"),
        LossCase(losses.MeanSquaredError(), (2, 6, 3), "numbers"),
        LossCase(losses.MeanSquaredError(unit=2.5), (6, 1), "numbers"),
    ],
    "MeanAbsoluteError": [
        LossCase(losses.MeanAbsoluteError(), (6, 3), "numbers"),
        LossCase(losses.MeanAbsoluteError((0.5, 2.0, 3.0)), (6, 3), "numbers"),
    ],
    "Huber": [
        LossCase(losses.Huber(), (6, 3), "numbers"),
        LossCase(losses.Huber(0.7), (6, 3), "numbers"),
        LossCase(losses.Huber(unit=3.0), (6, 3), "numbers"),
    ],
    "GaussianLikelihood": [
        LossCase(losses.GaussianLikelihood(), (6, 2), "numbers"),
        LossCase(losses.GaussianLikelihood((0.5, 2.0, 3.0)), (3, 6, 6), "numbers"),
    ],
    "Poisson": [LossCase(losses.Poisson(), (6, 3), "counts")],
    "Quantile": [
        LossCase(losses.Quantile(), (6, 3), "numbers"),
        LossCase(losses.Quantile((0.1, 0.9), unit=(2.0, 0.5)), (6, 2), "numbers"),
    ],
}

OPTIMIZERS: dict[str, list[optimizers.Optimizer]] = {
    "SGD": [
        optimizers.SGD(lr=0.1),
        optimizers.SGD(lr=0.1, momentum=0.9),
        optimizers.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        optimizers.SGD(lr=0.1, clip_norm=0.5),
        optimizers.SGD(lr=0.1, clip_value=0.5),
        optimizers.SGD(lr=0.1, momentum=0.9, max_norm=0.8),
    ],
    "RMSprop": [optimizers.RMSprop(lr=0.01)],
    "Adagrad": [optimizers.Adagrad(lr=0.1)],
    "Adam": [optimizers.Adam(lr=0.01), optimizers.Adam(lr=0.01, clip_norm=1.0)],
    "AdamW": [optimizers.AdamW(lr=0.01, weight_decay=0.1)],
    "NAdam": [optimizers.NAdam(lr=0.01), optimizers.NAdam(lr=0.01, momentum_decay=0.1, weight_decay=0.1)],
    "Lion": [optimizers.Lion(lr=0.01)],
}
