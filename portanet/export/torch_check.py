"""The check of an import from torch: both networks on the same random samples, in float64."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.backends.host import to_host
from portanet.errors import ConfigError, need
from portanet.random import generator
from portanet.typing import Array, Shape

if TYPE_CHECKING:
    from portanet.training.model import Model

TOLERANCE = {True: 1e-9, False: 1e-4}
"""Largest difference, relative to the outputs; the second where weights were rounded to a smaller dtype."""


def check_import(model: Model, module: Any, shape: Shape, *, signals: bool) -> None:
    """Raise ConfigError if a network does not compute what a torch module does, on two random samples."""
    torch = need("torch", "torch", "from_torch")
    theirs = copy.deepcopy(module)
    for inner in theirs.modules():
        if (
            hasattr(inner, "normalized_shape") and inner.eps is None
        ):  # RMSNorm: that of its own dtype, before it changes
            inner.eps = epsilon(inner)
    theirs = theirs.to("cpu").double().eval()
    categories = [int(inner.num_embeddings) for inner in module.modules() if hasattr(inner, "num_embeddings")]
    rng = generator(0, "from_torch")
    x = rng.normal(size=(2, *shape)) if not categories else rng.integers(0, min(categories), (2, *shape))
    given = torch.from_numpy((np.moveaxis(x, -1, 1) if _front(x, signals) else x).copy())  # it may be written over
    try:
        with torch.no_grad():
            expected = to_host(theirs(given))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        text = " ".join(str(error).split())
        message = f"from_torch: torch's own network cannot take samples of shape {shape}: {text:.200}"
        raise ConfigError(message) from None
    snapshot = model.snapshot()
    arrays = {name: a.astype("float64") for part in snapshot.values() for name, a in part.items()}
    got, _ = model.net.forward(arrays, x.astype("float64"))
    _compare(np.moveaxis(expected, 1, -1) if _front(expected, signals) else expected, got, _is_exact(model, module))


def _front(x: Array, signals: bool) -> bool:
    """Return whether samples have their channels in front in torch."""
    return x.ndim == 4 or (x.ndim == 3 and signals)


def epsilon(module: Any) -> float:
    """Return what torch adds by default in a norm without its own: the spacing of numbers at 1."""
    dtypes = {
        "torch.float64": 2.0**-52,
        "torch.float32": 2.0**-23,
        "torch.float16": 2.0**-10,
        "torch.bfloat16": 2.0**-7,
    }
    dtype = next((str(parameter.dtype) for parameter in module.parameters()), "torch.float32")
    return dtypes.get(dtype, 2.0**-23)


def _is_exact(model: Model, module: Any) -> bool:
    double = any(str(a.dtype) == "torch.float64" for a in (*module.parameters(), *module.buffers()))
    return not double or model.dtype == "float64"


def _compare(expected: Array, got: Array, exact: bool) -> None:
    if expected.shape != got.shape:
        message = f"from_torch: torch's outputs have the shape {expected.shape}, portanet's would have {got.shape}; "
        raise ConfigError(message + "the network was not taken over")
    largest = max(1.0, float(np.abs(expected).max(initial=0.0)))
    difference = float(np.abs(got - expected).max(initial=0.0)) / largest
    if not difference <= TOLERANCE[exact]:
        message = (
            f"from_torch: the outputs would differ from torch's by {difference:.2g} of their size on random samples; "
            "the network was not taken over: some module computes something else than its class, or on another axis"
        )
        raise ConfigError(message)
