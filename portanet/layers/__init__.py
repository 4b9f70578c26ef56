"""The layers, a family per file."""

from portanet.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Swish, Tanh
from portanet.layers.base import Layer
from portanet.layers.custom import CustomActivation, custom_activation
from portanet.layers.dense import Dense
from portanet.layers.dropout import Dropout
from portanet.layers.preprocess import Rescale, Standardize
from portanet.layers.reshape import Flatten
from portanet.layers.sequential import Residual, Sequential

__all__ = [
    "ELU",
    "GELU",
    "CustomActivation",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescale",
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
