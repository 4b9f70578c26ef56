"""The heart: forward, loss, backward and update as one function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portanet import backends, losses, optimizers
from portanet.backends.namespace import copied, namespace, why_fixed
from portanet.engine.outputs import without_output
from portanet.engine.penalties import penalised, penalty, sample_share
from portanet.engine.state import copier
from portanet.errors import ConfigError
from portanet.layers import Layer, Sequential
from portanet.layers.committee import apart
from portanet.layers.rates import is_rated, learning_rates
from portanet.losses import Loss
from portanet.losses.places import folded, of_members
from portanet.metrics import Metric, measure
from portanet.optimizers import Optimizer
from portanet.random import Key, Part, generator
from portanet.typing import Array, Params, Shape

__all__ = ["Step"]


@dataclass(frozen=True)
class Step:
    """One step of training, ``step(params, buffers, opt_state, x, y, weight, counters)``.

    No host reads, no masks, no shapes that depend on data, nothing kept. So one and the same function runs eagerly on
    any library of the standard, and compiled where there is a compiler.

    Without side effects but one: the arrays of `params` and `opt_state` are donated. NumPy, CuPy and torch write over
    them, so only the returned ones may be used afterwards, and ``best = params`` keeps nothing. What is to be kept is
    copied, ``best = {name: xp.asarray(p, copy=True) for name, p in params.items()}``, or the step is made with
    ``donate=False``.

    Parameters
    ----------
    net : Layer or sequence of Layer
        What is trained. An output layer that the loss contains (Softmax with cross-entropy) is left out.
    loss, optimizer
        On what, and how: a Loss and an Optimizer, or their names.
    metrics : tuple of Metric
        What is measured on the way.
    dtype : str
        Of the arithmetic; inputs of another dtype (such as images of bytes) are cast here, a batch at a time.
    l1, l2 : float
        Penalties on the weights (not the biases), added to the loss: l1 Σ|W| + l2/2 Σ W².
    per_sample : bool
        Whether the penalties are divided by the number of the batch's samples (the sum of their weights), as
        scikit-learn divides its alpha.
    rows : int, optional
        Most samples that go through the network at a time; a larger batch goes in pieces. For networks that look at
        each sample alone (``Layer.by_sample``).
    stack : int
        Number of leading axes, in front of the samples', that stack networks: 1 in a fleet.
    donate : bool
        Whether the arrays of `params` and `opt_state` may be written over; else they are copied first.
    """

    net: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: tuple[Metric, ...] = ()
    dtype: str = "float32"
    l1: float = 0.0
    l2: float = 0.0
    per_sample: bool = False
    rows: int | None = None
    stack: int = 0
    donate: bool = True

    def __post_init__(self) -> None:
        loss = losses.get(self.loss)
        net = self.net if isinstance(self.net, Layer) else Sequential(tuple(self.net))
        for name, value in {"net": without_output(net, loss), "loss": loss}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "optimizer", optimizers.get(self.optimizer))

    def init(
        self, in_shape: Shape, *, seed: int = 0, backend: str | backends.Backend = "numpy"
    ) -> tuple[Params, Params, dict[str, Any]]:
        """Return initial parameters, buffers and optimizer state, in arrays of a backend and in the step's dtype.

        Parameters
        ----------
        in_shape : tuple of int
            Shape of one sample.
        seed : int
            Names the initial weights: those of a :class:`portanet.Trainer` with this seed.
        backend : str or Backend
            See :func:`portanet.backends.get`.
        """
        place, shape = backends.get(backend), tuple(in_shape)
        with place.activate(self.dtype):
            params, _ = self.net.init(generator(seed, "weights"), shape)
            own = (params, self.net.init_buffers(shape))
            place_on = copier(place, self.dtype)
            made = [{name: place_on(a) for name, a in arrays.items()} for arrays in own]
            return made[0], made[1], self.optimizer.init(made[0])

    def __call__(
        self,
        params: Params,
        buffers: Params,
        opt_state: dict[str, Any],
        x: Array,
        y: Array,
        weight: Array | None,
        counters: dict[str, Any],
    ) -> tuple[Params, Params, dict[str, Any], Array, tuple[Array, ...]]:
        """Return the new parameters, buffers and optimizer state, the loss before the step, and the metrics' numbers.

        Parameters
        ----------
        x : array, shape (n, *in_shape)
        y : array, shape (n, *places) or (n, *places, outputs)
            There are places where the network has more than one axis of outputs: tokens, pixels.
        weight : array, shape (n,) or (n, *places), or None
            Of each sample, or of each place; a place of weight 0 is ignored. Loss and metrics are means over all places
            of all samples, by these weights.
        counters : dict
            ``"lr"``, the learning rate; ``"seed"`` and ``"step"``, which name the random numbers of this step.

        Notes
        -----
        With ``stack=1`` and a leading axis on every array, k, it is the step of a stack of k networks whose layers all
        take one; lr may be an array (k,) then, seed is one, (k, 1), and counters may hold ``"weight_decay"`` and
        ``"l2"``, (k,).
        """
        if not self.donate:  # before all else: what requires grad would make a graph of all steps
            params, opt_state = _copied(params), {k: a if k == "t" else _copied(a) for k, a in opt_state.items()}
        grads, buffers, value, measured = self.before_update(params, buffers, x, y, weight, counters)
        params, opt_state = self.update(params, grads, opt_state, counters["lr"], counters.get("weight_decay"))
        return params, buffers, opt_state, value, measured

    def update(
        self, params: Params, grads: Params, opt_state: dict[str, Any], lr: Any, weight_decay: Any = None
    ) -> tuple[Params, dict[str, Any]]:
        """Return the parameters after the optimizer's step, and its new state; the arrays are donated."""
        own: dict[str, Any] = {"stacked": True, "weight_decay": weight_decay} if self.stack else {}
        if self._rates is not None:
            own["rates"] = self._rates(tuple(params))
        try:
            return self.optimizer.update(params, grads, opt_state, lr, **own)
        except (ValueError, RuntimeError) as error:
            arrays = [params, *(slot for name, slot in opt_state.items() if name != "t")]
            raise _explained(error, arrays) from error

    @functools.cached_property
    def _trained(self) -> tuple[Layer, int]:
        """The network of a training step, and how many outputs it has for each target: those of a committee."""
        return apart(self.net)

    @functools.cached_property
    def _rates(self) -> Callable[[tuple[str, ...]], dict[str, float]] | None:
        """From parameters' names to the factors on their learning rates, collected once; None where all are 1."""
        return functools.cache(functools.partial(learning_rates, self.net)) if is_rated(self.net) else None

    def before_update(
        self, params: Params, buffers: Params, x: Array, y: Array, weight: Array | None, counters: dict[str, Any]
    ) -> tuple[Params, Params, Array, tuple[Array, ...]]:
        """Return the gradients, the new buffers, the loss and the metrics' numbers: all of a step but the update.

        Where ``counters["part"]`` is there (a :class:`~portanet.random.Part`), x, y and weight are some rows of a
        larger batch. Loss and metrics are then those of these rows, and the gradients their share of the larger
        batch's: over all parts they add up to it.
        """
        part = counters.get("part")
        key = Key(counters["seed"], counters["step"], part=part)
        if self.rows is None or x.shape[0] <= self.rows:
            value, prediction, grads, moved = self.gradients(params, buffers, x, y, weight, key)
        else:
            value, prediction, grads, moved = self.by_pieces(self.rows, params, buffers, x, y, weight, key)
        measured: tuple[Array, ...] = ()
        if self.metrics:
            measured = measure(self.metrics, self.loss, *self._rows(prediction, y, weight))
        if self.l1 or self.l2 or "l2" in counters:
            of_whole = sample_share(x.shape[self.stack], weight, self.stack) if part is None else part.sample
            share = of_whole if self.per_sample else 1.0
            l2 = counters.get("l2", self.l2)
            value = value + penalty(params, self.l1, l2, share, stack=self.stack)
            own = share if part is None else share * part.share  # each process adds its share of the penalty's gradient
            rates = {} if self._rates is None else self._rates(tuple(params))
            grads = {
                name: penalised(name, params[name], g, self.l1, l2, own) if rates.get(name, 1.0) else g
                for name, g in grads.items()
            }
        return grads, {**buffers, **moved}, value, measured

    def gradients(
        self,
        params: Params,
        buffers: Params,
        x: Array,
        y: Array,
        weight: Array | None,
        key: Key | None,
        *,
        train: bool = True,
    ) -> tuple[Array, Array, Params, Params]:
        """Return the loss, the prediction, the gradients of the parameters, and the buffers that have changed.

        Of the rows that are a part of a batch, the gradients are their share of the batch's. Without `train`, dropout
        is off and no buffer changes.
        """
        everything = {**params, **buffers}
        net = self._trained[0] if train else self.net
        prediction, cache = net.forward(everything, as_float(x, self.dtype), train=train, key=key)
        value, loss_cache = self.loss.forward(*self._rows(prediction, y, weight, train=train))
        dprediction = self.loss.backward(loss_cache)
        if prediction.ndim > self.stack + 2:
            dprediction = namespace(dprediction).reshape(dprediction, tuple(prediction.shape))
        if key is not None and key.part is not None:
            dprediction = dprediction * key.part.share
        _, grads = net.backward(params, dprediction, cache, need_dx=False)
        return value, prediction, grads, net.updated_buffers(everything, cache) if train else {}

    def _rows(
        self, prediction: Array, y: Array, weight: Array | None, *, train: bool = True
    ) -> tuple[Array, Array, Array | None]:
        """Return predictions, targets and weights as the rows that loss and metrics take."""
        members = self._trained[1] if train else 1
        y = of_members(y, members, self.stack) if members > 1 else y
        return folded(prediction, y, weight, self.stack)

    def by_pieces(
        self, rows: int, params: Params, buffers: Params, x: Array, y: Array, weight: Array | None, key: Key
    ) -> tuple[Array, Array, Params, Params]:
        """Return the same up to rounding, computed in micro-batches of at most `rows` samples whose arrays fit a cache.

        The mean over a batch is the mean over its pieces, each weighted by its share of the samples: a loss that is
        written for one batch needs to know nothing of it, nor does a layer that looks at each sample alone.
        """
        xp = namespace(x)
        n = x.shape[0]
        whole = key.part or Part(0, n, 1.0, sample_share(n, weight))
        total = None if weight is None else xp.maximum(xp.sum(weight), 1e-30)
        value: Any = 0.0
        predictions: list[Array] = []
        grads: Params = {}
        for start in range(0, n, rows):
            piece = slice(start, min(start + rows, n))
            w = None if weight is None else weight[piece, ...]
            share = (piece.stop - start) / n if w is None else xp.sum(w) / total
            part = whole._replace(first=whole.first + start, share=whole.share * share)
            own, prediction, g, _ = self.gradients(
                params, buffers, x[piece, ...], y[piece, ...], w, key._replace(part=part)
            )
            value = value + share * own
            predictions.append(prediction)
            grads = {name: array + grads.get(name, 0.0) for name, array in g.items()}
        return value, xp.concat(predictions), grads, {}


def _copied(arrays: Params) -> Params:
    return {name: copied(a) for name, a in arrays.items()}


def _explained(error: Exception, arrays: list[Params]) -> Exception:
    """Return the error of an update in words where an array cannot be written over."""
    for name, array in (pair for own in arrays for pair in own.items()):
        why = why_fixed(array)
        if why:
            message = (
                f"step: expected arrays that it may write over, got {name!r}, which {why}; give a copy, or use "
                "Step(..., donate=False)"
            )
            return ConfigError(message)
    return error


@dataclass(frozen=True)
class Drawn:
    """A step as what :meth:`portanet.backends.Backend.scan` runs: it draws its batch from resident samples.

    The carry is (params, buffers, opt_state); shared are (x, y, weight, seed) of all samples; an item is (rows, lr,
    step). Those of equal steps are equal, so that a backend compiles them once.
    """

    step: Step

    def __call__(self, carry: Any, shared: Any, item: Any) -> tuple[Any, Any]:
        x, y, weight, seed = shared
        rows, lr, i = item
        xp = namespace(x)
        weight = None if weight is None else xp.take(weight, rows, axis=0)
        counters = {"lr": lr, "seed": seed, "step": i}
        x, y = xp.take(x, rows, axis=0), xp.take(y, rows, axis=0)
        params, buffers, opt_state = carry
        params, buffers, opt_state, loss, measured = self.step(params, buffers, opt_state, x, y, weight, counters)
        return (params, buffers, opt_state), (loss, *measured)


def as_float(x: Array, dtype: str) -> Array:
    """Return `x` in the float dtype of that name."""
    xp = namespace(x)
    wanted = getattr(xp, dtype)
    return x if x.dtype == wanted else xp.astype(x, wanted)


def total(params: Params) -> Array:
    """Return the sum of all parameters, on the device: not finite where one of them is not."""
    xp = namespace(next(iter(params.values())))
    sums = [xp.sum(p) for p in params.values()]
    return xp.sum(xp.stack(sums))
