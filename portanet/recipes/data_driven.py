"""Initial weights that are fitted to the training rows."""

from __future__ import annotations

from typing import Any

from portanet.layers import Committee, Layer, NTKDense, Sequential
from portanet.typing import Params

SIMPLEX = 5
"""Number of rows whose random mean makes the bias of a unit ("he+5")."""


def data_driven(net: Layer, params: Params, x: Any, rng: Any) -> Params:
    """Return initial parameters in which the output of every unit of an NTKDense layer fits the rows.

    Weights are divided so that the outputs x W of a unit have standard deviation 1 over the rows; its bias takes off a
    random convex combination of SIMPLEX of these outputs, so that units bend at places where there are rows.
    The layers of a Sequential, also of nested ones, are taken one after the other, the networks of a Committee each for
    itself; others stay as they were drawn.

    Source: Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 ("std" weights and "he+5" biases,
    after Steinwart 2019, arXiv:1903.11482).

    Parameters
    ----------
    net : Layer
    params : dict of host arrays
        As ``net.init`` drew them; they stay as they are.
    x : host array, shape (rows, *in_shape)
    rng : numpy.random.Generator
    """
    found, _ = _fitted(net, params, x.astype("float64"), rng)
    return found


def _fitted(layer: Layer, params: Params, x: Any, rng: Any) -> tuple[Params, Any]:
    """Return a layer's fitted parameters, and what it then makes of the rows."""
    if type(layer) is Sequential:
        found: Params = {}
        for i, inner in enumerate(layer.layers):
            own = {name.removeprefix(f"{i}."): p for name, p in params.items() if name.startswith(f"{i}.")}
            own, x = _fitted(inner, own, x, rng)
            found.update({f"{i}.{name}": p for name, p in own.items()})
        return found, x
    if isinstance(layer, Committee):
        fitted: Params = {}
        for i, inner in enumerate(layer.layers):
            own = {name.removeprefix(f"{i}."): p for name, p in params.items() if name.startswith(f"{i}.")}
            own, y = _fitted(inner, own, x, rng)
            fitted.update({f"{i}.{name}": p for name, p in own.items()})
        return fitted, y
    if isinstance(layer, NTKDense) and x.ndim == 2:
        params = _dense(layer, params, x, rng)
    y, _ = layer.forward({**params, **layer.init_buffers(tuple(x.shape[1:]))}, x)
    return params, y


def _dense(layer: NTKDense, params: Params, x: Any, rng: Any) -> Params:
    out = x @ layer.effective(params)["weight"]
    std = out.std(axis=0)
    std[std == 0] = 1.0  # all rows alike
    found = {"weight": params["weight"] / std}
    if layer.bias:
        out /= std
        rows = rng.integers(0, len(x), (out.shape[1], SIMPLEX))
        shares = rng.exponential(size=rows.shape)
        shares /= shares.sum(axis=1, keepdims=True)
        mean = sum(out[rows[:, i], range(out.shape[1])] * shares[:, i] for i in range(SIMPLEX))
        found["bias"] = -mean / layer.bias_factor
    return found
