"""Do the backends agree? Every layer, loss and optimizer, and whole trainings, beside NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from portanet.backends import Backend, status
from portanet.backends import get as get_backend
from portanet.errors import ConfigError
from portanet.layers import Dense, Dropout, Layer, ReLU, Sequential
from portanet.losses import SoftmaxCrossEntropy
from portanet.optimizers import Adam, Optimizer
from portanet.random import Key, generator
from portanet.training.model import Model
from portanet.training.trainer import Trainer
from portanet.typing import Array, Params
from portanet.verify import cases
from portanet.verify.case import LayerCase, LossCase
from portanet.verify.gradient_check import leaves

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
"""Largest relative error of a result: some tens of the dtype's rounding unit, for sums in another order."""

RUN_TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
"""The same for the losses of a training of 100 steps, in which rounding goes round and round."""

Named = Mapping[str, Array]


@dataclass(frozen=True)
class Agreement:
    """How far one case on one backend lies from NumPy in float64.

    Attributes
    ----------
    kind : str
        ``"layer"``, ``"loss"``, ``"optimizer"``, ``"training"`` or, for a model of the user's, ``"model"``.
    name, backend, dtype : str
    error : float
        Largest difference, relative to the largest entry of the reference's array.
    tolerance : float
    """

    kind: str
    name: str
    backend: str
    dtype: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance (NaN is not)."""
        return self.error <= self.tolerance


def agree(
    names: Sequence[str | Backend] | None = None, *, model: Model | None = None, x: Any = None
) -> list[Agreement]:
    """Compare backends with NumPy in float64, in each dtype that they have.

    Parameters
    ----------
    names : sequence of str, optional
        Backends; all that are usable here if none are given.
    model : Model, optional
        Compare this network, layer by layer, instead of the table of cases.
    x : host array, shape (n, ...), optional
        Samples for `model`; random ones if none are given.

    Raises
    ------
    BackendError
        If a backend that was named cannot be used.
    """
    if names is None:
        names = [one.name for one in status() if one.usable]
    reference = get_backend("numpy")
    found = []
    for backend in (get_backend(name) for name in names):
        for dtype in ("float32", "float64"):
            try:
                with backend.activate(dtype):
                    backend.asarray([0.0], dtype)
            except ConfigError:
                continue  # a device without float64
            for kind, name, run in _cases() if model is None else _of_model(model, x):
                expected, got = run(reference, "float64"), run(backend, dtype)
                tolerance = (RUN_TOLERANCE if kind == "training" else TOLERANCE)[dtype]
                found.append(Agreement(kind, name, backend.spec, dtype, _difference(got, expected), tolerance))
    return found


Run = Callable[[Backend, str], Named]


def _cases() -> Iterator[tuple[str, str, Run]]:
    for layer_cases in cases.LAYERS.values():
        for case in layer_cases:
            yield "layer", case.id, partial(run_layer, case)
    for loss_cases in cases.LOSSES.values():
        for loss_case in loss_cases:
            yield "loss", loss_case.id, partial(run_loss, loss_case)
    for name, found in cases.OPTIMIZERS.items():
        for i, optimizer in enumerate(found):
            yield "optimizer", f"{name}-{i}", partial(run_optimizer, optimizer)
    yield "training", "MLP with dropout, Adam, 100 steps", run_training


def run_layer(case: LayerCase, backend: Backend, dtype: str, batch: int = 5, *, host: bool = True) -> dict[str, Array]:
    """Return output, dx and gradients of a layer on a backend, as host arrays unless `host` is False."""
    rng = generator(0, "agree")
    params, out_shape = case.layer.init(rng, case.shape)
    x, dy = case.samples(rng, batch), rng.normal(size=(batch, *out_shape))
    with backend.activate(dtype):
        on_device = _upload({**params, **case.layer.init_buffers(case.shape)}, backend, dtype)

        def both(everything: Params, x: Array, dy: Array) -> dict[str, Array]:
            y, cache = case.layer.forward(everything, x, train=True, key=Key(7, 3))
            dx, grads = case.layer.backward({name: everything[name] for name in params}, dy, cache)
            return {"y": y, "dx": dx, **grads}

        # Compiled where training is: JAX takes five times as long one operation after another.
        found = backend.compile(both)(on_device, backend.asarray(x, dtype), backend.asarray(dy, dtype))
        return _download(found, backend) if host else found


def run_loss(case: LossCase, backend: Backend, dtype: str, *, host: bool = True) -> dict[str, Array]:
    """Return a loss's value and gradient, with and without sample weights, as host arrays unless `host` is False."""
    prediction, target, weight = case.arrays()
    with backend.activate(dtype):
        target = backend.asarray(target, None if target.dtype.kind == "i" else dtype)

        def both(prediction: Array, target: Array, w: Array | None) -> dict[str, Array]:
            value, cache = case.loss.forward(prediction, target, w)
            return {"value": value, "gradient": case.loss.backward(cache)}

        compiled, found = backend.compile(both), {}
        for name, w in (("plain", None), ("weighted", backend.asarray(weight, dtype))):
            pair = compiled(backend.asarray(prediction, dtype), target, w)
            found.update({f"{name} {part}": array for part, array in pair.items()})
        return _download(found, backend) if host else found


def run_optimizer(optimizer: Optimizer, backend: Backend, dtype: str, steps: int = 5) -> dict[str, Array]:
    """Return parameters after some steps along given gradients on a backend, as host arrays."""
    rng = generator(0, "agree")
    shapes = {"0.weight": (4, 3), "0.bias": (3,)}
    with backend.activate(dtype):
        xp = backend.xp
        draw = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        params = {name: xp.asarray(p, copy=True) for name, p in _upload(draw, backend, dtype).items()}
        state = optimizer.init(params)
        for _ in range(steps):
            grads = _upload({name: rng.normal(size=shape) for name, shape in shapes.items()}, backend, dtype)
            params, state = optimizer.update(params, grads, state, optimizer.lr)
        return _download(params, backend)


def run_training(backend: Backend, dtype: str, epochs: int = 10) -> dict[str, Array]:
    """Return the losses of ten epochs of ten steps each, and the weights after them, on a backend."""
    rng = generator(0, "agree")
    x, y = rng.normal(size=(320, 12)), rng.integers(0, 4, 320)
    net = Sequential((Dense(24), ReLU(), Dropout(0.2), Dense(16), ReLU(), Dense(4)))
    trainer = Trainer(net, SoftmaxCrossEntropy(), Adam(lr=0.003), backend=backend, dtype=dtype)
    history = trainer.fit(x, y, epochs=epochs, batch_size=32, verbose=False)
    losses = get_backend("numpy").asarray(history["loss"])
    # Adam divides near-zero gradients by their own size: in float32 its weights part, though the losses do not.
    return {"loss": losses, **(trainer.snapshot()["params"] if dtype == "float64" else {})}


def _of_model(model: Model, x: Any) -> Iterator[tuple[str, str, Run]]:
    snapshot = model.snapshot()
    shape = model.input_shape or ()
    x = generator(0, "agree").normal(size=(8, *shape)) if x is None else x.reshape(len(x), *shape)[:64]
    for i, (place, _, _, _) in enumerate(_walk(model.body, snapshot, get_backend("numpy"), "float64", x)):

        def run(backend: Backend, dtype: str, i: int = i) -> Named:
            with backend.activate(dtype):
                for j, (_, layer, params, inside) in enumerate(_walk(model.body, snapshot, backend, dtype, x)):
                    if j == i:
                        return _download({"y": layer.forward(params, inside)[0]}, backend)
            return {}

        yield "model", place, run


def _walk(net: Layer, snapshot: dict[str, Params], backend: Backend, dtype: str, x: Any) -> Any:
    params = _upload({**snapshot["params"], **snapshot["buffers"]}, backend, dtype)
    return leaves(net, params, backend.asarray(x, dtype))


def _upload(arrays: Named, backend: Backend, dtype: str) -> dict[str, Array]:
    return {name: backend.asarray(a, dtype) for name, a in arrays.items()}


def _download(arrays: Named, backend: Backend) -> dict[str, Array]:
    return {name: backend.to_numpy(a) for name, a in arrays.items()}


def _difference(got: Named, expected: Named) -> float:
    """Return the largest difference over all arrays, each relative to the largest entry of its reference."""
    worst = 0.0
    for name in got:
        largest = float(abs(expected[name]).max()) or 1.0
        worst = max(worst, float(abs(got[name] - expected[name]).max()) / largest)
    return worst
