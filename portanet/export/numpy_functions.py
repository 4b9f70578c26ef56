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


def exact_gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x * math.sqrt(0.5)))


def celu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_swish(x: np.ndarray) -> np.ndarray:
    return x * np.clip(x / 6 + 0.5, 0, 1)


def log_softmax(x: np.ndarray) -> np.ndarray:
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def swish(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def mish(x: np.ndarray) -> np.ndarray:
    e = np.exp(np.minimum(x, 20))  # held below 20, where the gate is 1: exp cannot overflow
    return x * (e * (e + 2) / (e * (e + 2) + 2))


def selu(x: np.ndarray) -> np.ndarray:
    return 1.0507009873554805 * (np.maximum(x, 0) + 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


def smooth_clip(x: np.ndarray, limit: float) -> np.ndarray:
    return x / np.sqrt(1 + (x / limit) ** 2)


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


def rms_norm(x: np.ndarray, gamma: np.ndarray, eps: float) -> np.ndarray:
    return gamma * (x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps))


def group_norm(x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, groups: int, eps: float) -> np.ndarray:
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    centred = grouped - grouped.mean(axis=(1, 3), keepdims=True)
    u = centred / np.sqrt((centred * centred).mean(axis=(1, 3), keepdims=True) + eps)
    u = u.reshape(x.shape)
    return u if gamma is None or beta is None else gamma * u + beta


def embedding(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    index = np.round(x).astype(int)
    known = (index >= 0) & (index < len(weight))
    return weight[np.where(known, index, 0)] * known[..., None].astype(weight.dtype)  # zeros for unknown categories


def one_hot(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    places = np.repeat(np.arange(len(sizes)), sizes)
    return (x[:, places] == np.concatenate([np.arange(size) for size in sizes])).astype(x.dtype)


def periodic_embedding(
    x: np.ndarray, frequency: np.ndarray, phase: np.ndarray | None, weight: np.ndarray, bias: np.ndarray, skip: bool
) -> np.ndarray:
    z = x[..., None] * (2 * math.pi * frequency)
    waves = np.concatenate([np.cos(z), np.sin(z)], axis=-1) if phase is None else np.cos(z + phase)
    vectors = (waves[..., None, :] @ weight)[..., 0, :] + bias
    vectors = vectors.reshape(len(x), -1)
    return np.concatenate([vectors, x], axis=1) if skip else vectors


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
    counted: tuple[tuple[int, int], tuple[int, int]] | None = None,
) -> np.ndarray:
    """Return the means over windows; with `counted`, of the image and so much of its padding alone."""
    found = taps(x, kernel, stride, padding)
    total = sum(found[1:], found[0])
    if counted is None:
        return total / len(found)
    ones = np.pad(np.ones_like(x[:1, :, :, :1]), ((0, 0), *counted, (0, 0)), constant_values=1)
    rest = tuple((p[0] - c[0], p[1] - c[1]) for p, c in zip(padding, counted, strict=True))
    held = taps(ones, kernel, stride, (rest[0], rest[1]))
    return total / sum(held[1:], held[0])


def conv_transpose2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Return each pixel times the weights, added up where the kernel lies; weight is (kh, kw, in / groups, out)."""
    kh, kw, own, units = weight.shape
    each = units // groups
    last = [stride[a] * (x.shape[a + 1] - 1) for a in (0, 1)]
    size = [last[a] + dilation[a] * ((kh, kw)[a] - 1) + 1 + output_padding[a] for a in (0, 1)]
    y = np.zeros((len(x), *size, units), dtype=x.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dilation[0], i * dilation[0] + last[0] + 1, stride[0])
            columns = slice(j * dilation[1], j * dilation[1] + last[1] + 1, stride[1])
            for g in range(groups):
                channels, outputs = slice(g * own, (g + 1) * own), slice(g * each, (g + 1) * each)
                y[:, rows, columns, outputs] += x[..., channels] @ weight[i, j][:, outputs]
    y = y[:, padding[0] : size[0] - padding[0], padding[1] : size[1] - padding[1]]
    return y if bias is None else y + bias


def adaptive_avg_pool(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the means of size[0] × size[1] parts of each image."""
    for axis, out in enumerate(size, 1):
        n = x.shape[axis]
        parts = [x.take(range(i * n // out, -(-(i + 1) * n // out)), axis=axis) for i in range(out)]
        x = np.stack([part.mean(axis=axis) for part in parts], axis=axis)
    return x


def up_sample(x: np.ndarray, times: tuple[int, int]) -> np.ndarray:
    """Return images so many times as large, by linear interpolation along both axes."""
    for axis, s in enumerate(times, 1):
        n = x.shape[axis]
        place = np.clip((np.arange(s * n, dtype=x.dtype) + 0.5) / s - 0.5, 0, n - 1)
        weight = np.maximum(1 - np.abs(place[:, None] - np.arange(n, dtype=x.dtype)), 0)  # (s n, n)
        x = np.moveaxis(np.tensordot(weight, x, axes=(1, axis)), 0, axis)
    return x


def local_response_norm(x: np.ndarray, size: int, alpha: float, beta: float, k: float) -> np.ndarray:
    i = np.arange(x.shape[-1])
    near = (np.abs(i[:, None] - i) <= size // 2).astype(x.dtype)
    return x * (x**2 @ near * (alpha / size) + k) ** -beta


def lp_pool(
    x: np.ndarray,
    p: float,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> np.ndarray:
    return sum(np.abs(own) ** p for own in taps(x, kernel, stride, padding)) ** (1 / p)


def resize(
    x: np.ndarray,
    rows: tuple[int, int, float | None],
    columns: tuple[int, int, float | None],
    mode: str,
    coordinates: str,
    rounding: str,
    cubic: float,
    antialias: bool,
    edges: bool,
) -> np.ndarray:
    """Return images of another size; `rows` and `columns` are the sizes before and after, and the factor if given."""
    a = resize_weights(rows[0], rows[1], rows[2], mode, coordinates, rounding, cubic, antialias, edges)
    b = resize_weights(columns[0], columns[1], columns[2], mode, coordinates, rounding, cubic, antialias, edges)
    return np.einsum("ik,nklc,jl->nijc", a.astype(x.dtype), x, b.astype(x.dtype), optimize=True)


def resize_weights(
    size: int,
    out: int,
    factor: float | None,
    mode: str,
    coordinates: str,
    rounding: str,
    cubic: float,
    antialias: bool,
    edges: bool,
) -> np.ndarray:
    i, k = np.arange(out)[:, None], np.arange(size)
    u: np.ndarray
    if coordinates == "align_corners":
        u = i * (size - 1) / ((out if factor is None else size * factor) - 1) if out > 1 else i
    else:
        shift = 0.5 if coordinates == "half_pixel" else 0.0
        u = ((i + shift) * size / out if factor is None else (i + shift) / factor) - shift
    if mode == "nearest":
        nearest = {"down": np.ceil(u - 0.5), "up": np.floor(u + 0.5), "floor": np.floor(u), "ceil": np.ceil(u)}
        return np.clip(nearest[rounding], 0, size - 1) == k
    narrow = min(factor or out / size, 1.0) if antialias else 1.0
    reach = math.ceil((1 if mode == "bilinear" else 2) / narrow)
    a, total = np.zeros((out, size)), np.zeros((out, 1))
    for step in range(1 - reach, reach + 1):
        place = np.floor(u) + step
        v, held = np.abs(u - place) * narrow, np.clip(place, 0, size - 1)
        if mode == "bilinear":
            w = np.maximum(1 - v, 0)
        else:
            near, far = ((cubic + 2) * v - (cubic + 3)) * v**2 + 1, ((cubic * v - 5 * cubic) * v + 8 * cubic) * v
            w = np.where(v <= 1, near, np.where(v < 2, far - 4 * cubic, 0))
        w = w if edges else w * (held == place)
        a, total = a + w * (held == k), total + w
    return a / total
