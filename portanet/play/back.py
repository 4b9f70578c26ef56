"""The way back: the gradient of the loss as it flows through the layers, its norms beside central differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.layers.recording import recorded
from portanet.layers.tree import walk
from portanet.losses.places import folded
from portanet.training.trainer import Trainer

__all__ = ["way_back"]

EPS = 1e-6
MOST_NUMBERS = 4096  # of one gradient that is listed whole


def way_back(trainer: Trainer, x: HostArray, y: HostArray) -> dict[str, Any]:
    """Return the gradients of the loss on `x` and `y` by layer, first to last; the trainer does not change.

    The loss is that of :meth:`~portanet.Trainer.evaluate`: without dropout, with penalties. The norm of a layer's
    gradient g is also its directional derivative along g / ‖g‖. `difference` is this derivative as a central
    difference, (L(w + ε g/‖g‖) - L(w - ε g/‖g‖)) / 2ε, for which the backward pass is not used.

    Returns
    -------
    dict
        ``loss``, and ``layers``: for each its ``name``, ``title``, ``flow`` (the norm of ∂L/∂y, y its output), ``norm``
        and ``difference`` (None for a layer without parameters), and ``gradients`` by parameter, as nested lists.
    """
    grads = {name: np.asarray(g) for name, g in trainer.gradients(x, y).items()}
    flows = _flows(trainer, x, y)
    layers = []
    for path, layer in walk(trainer.net):
        if layer.children():
            continue
        own = {name: g for name, g in grads.items() if name.rpartition(".")[0] == path}
        found: dict[str, Any] = {"name": path, "title": type(layer).__name__, "flow": flows.get(path)}
        found |= {"norm": None, "difference": None, "gradients": {}}
        if own:
            norm = float(np.sqrt(sum(float((g**2).sum()) for g in own.values())))
            found |= {"norm": norm, "difference": _difference(trainer, x, y, own, norm)}
            found["gradients"] = {
                name.rpartition(".")[2]: g.tolist() for name, g in own.items() if g.size <= MOST_NUMBERS
            }
        layers.append(found)
    return {"loss": trainer.evaluate(x, y)["loss"], "layers": layers}


def _flows(trainer: Trainer, x: HostArray, y: HostArray) -> dict[str, float]:
    """Return the norm of the gradient with respect to the output of each layer, by its path."""
    twin, passes = recorded(trainer.body)
    backend = trainer.backend
    with backend.activate(trainer.dtype):
        inputs, target = backend.asarray(x.astype(trainer.dtype)), backend.asarray(y)
        prediction, cache = twin.forward({**trainer.params, **trainer.buffers}, inputs)
        dy = trainer.loss.backward(trainer.loss.forward(*folded(prediction, target, None))[1])
        twin.backward(trainer.params, dy, cache)
        arrays = {one.path: backend.to_numpy(one.dy) for one in passes if one.dy is not None}
    return {path: float(np.linalg.norm(dy)) for path, dy in arrays.items()}


def _difference(trainer: Trainer, x: HostArray, y: HostArray, own: dict[str, HostArray], norm: float) -> float:
    """Return the central difference of the loss along the gradient of one layer; the weights are then put back."""
    if norm == 0:
        return 0.0
    before = trainer.state
    params = {name: np.asarray(p) for name, p in before.params.items()}
    losses = []
    try:
        for step in (EPS, -EPS):
            moved = {name: params[name] + step * g / norm for name, g in own.items()}
            trainer.state = before._replace(params={**params, **moved})
            losses.append(trainer.evaluate(x, y)["loss"])
    finally:
        trainer.state = before
    return (losses[0] - losses[1]) / (2 * EPS)
