"""The layers, a family per file."""

from portanet.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Swish, Tanh
from portanet.layers.augment import Augment
from portanet.layers.base import Layer
from portanet.layers.config import LAYERS
from portanet.layers.conv import Conv2D
from portanet.layers.custom import CustomActivation, custom_activation
from portanet.layers.dense import Dense
from portanet.layers.dropout import Dropout
from portanet.layers.embedding import Embedding
from portanet.layers.norm import BatchNorm, LayerNorm
from portanet.layers.one_hot import OneHot
from portanet.layers.parallel import Parallel
from portanet.layers.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from portanet.layers.preprocess import Rescale, Standardize
from portanet.layers.reshape import Flatten, Reshape
from portanet.layers.sequential import Residual, Sequential

__all__ = [
    "ELU",
    "GELU",
    "Augment",
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "CustomActivation",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2D",
    "OneHot",
    "Parallel",
    "ReLU",
    "Rescale",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Swish",
    "Tanh",
    "custom_activation",
]

_OWN = {name: globals()[name] for name in __all__}
LAYERS.update({name: kind for name, kind in _OWN.items() if isinstance(kind, type) and kind is not Layer})
