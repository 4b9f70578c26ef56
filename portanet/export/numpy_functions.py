"""The layers at inference in NumPy alone: what a stand-alone script is put together from. Images are (n, h, w, c)."""

from __future__ import annotations

import math

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    return np.maximum(x, slope * x)


def elu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.maximum(x, -80)))  # held above -80, where it is as good as 0: exp cannot overflow


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


def swish(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))  # the largest exponential is 1: exp cannot overflow
    return e / e.sum(axis=-1, keepdims=True)


def batch_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, eps: float
) -> np.ndarray:
    return gamma * ((x - mean) / np.sqrt(variance + eps)) + beta


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return gamma * (centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)) + beta


def embedding(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    index = np.round(x).astype(int)
    known = (index >= 0) & (index < len(weight))
    return weight[np.where(known, index, 0)] * known[..., None].astype(weight.dtype)  # zeros for unknown categories


def one_hot(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    places = np.repeat(np.arange(len(sizes)), sizes)
    return (x[:, places] == np.concatenate([np.arange(size) for size in sizes])).astype(x.dtype)


def taps(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    dilation: tuple[int, int] = (1, 1),
    blank: float = 0.0,
) -> list[np.ndarray]:
    """Return, for each place (row, column) of the kernel, the pixels under it at all places of the window."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=blank)
    height, width = ((x.shape[a + 1] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1))
    found = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (width - 1) * stride[1] + 1, stride[1])
            found.append(x[:, rows, columns, :])
    return found


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Return the sum over the kernel's places of pixels times weights; weight is (kh, kw, in / groups, out)."""
    kh, kw, own, units = weight.shape
    kernels = weight.reshape(kh * kw, own, units)
    pixels = taps(x, (kh, kw), stride, padding, dilation)
    each = units // groups
    y = np.zeros((*pixels[0].shape[:3], units), dtype=x.dtype)
    for g in range(groups):
        channels, outputs = slice(g * own, (g + 1) * own), slice(g * each, (g + 1) * each)
        for p, k in zip(pixels, kernels, strict=True):
            y[..., outputs] += p[..., channels] @ k[:, outputs]
    return y if bias is None else y + bias


def max_pool(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> np.ndarray:
    y, *others = taps(x, kernel, stride, padding, blank=-np.inf)
    for pixels in others:
        y = np.maximum(y, pixels)
    return y


def avg_pool(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> np.ndarray:
    found = taps(x, kernel, stride, padding)
    return sum(found[1:], found[0]) / len(found)
