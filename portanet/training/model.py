"""A network with its parameters on a backend: what evaluates and predicts."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import Any

from portanet import backends, losses
from portanet.checks import check_names
from portanet.data.batching import prepare
from portanet.data.dataset import Dataset
from portanet.data.pictures.form import Pictures, resembles_channels_first
from portanet.data.plan import Plan
from portanet.engine.engine import Engine, Program
from portanet.engine.outputs import class_indices
from portanet.engine.state import TrainState, copier
from portanet.engine.step import Step
from portanet.engine.strategy import SingleProcess, Strategy
from portanet.errors import ConfigError
from portanet.files.description import save
from portanet.layers import Conv2D, Layer, Sequential
from portanet.layers.tree import report_repeats, walk
from portanet.metrics import Metric
from portanet.random import generator
from portanet.training import batch_size as memory
from portanet.training.evaluation import evaluated, predicted
from portanet.training.fit_inputs import CHUNK, to_batches
from portanet.training.inspected import Inspected
from portanet.training.tables import as_inputs
from portanet.typing import Array, Params, Shape

logger = logging.getLogger("portanet")


def part_of(whole: str, part: str, *, settable: bool = False) -> Any:
    """Return a property that is an attribute of an attribute; to set it is to replace the whole by one that differs."""

    def get(self: Any) -> Any:
        return getattr(getattr(self, whole), part)

    def change(self: Any, value: Any) -> None:
        setattr(self, whole, getattr(self, whole)._replace(**{part: value}))

    return property(get, change if settable else None)


class Model(Inspected):
    """The part of a :class:`~portanet.Trainer` that does not train.

    Attributes
    ----------
    program : Program
        What is trained: net, loss, optimizer, metrics, dtype, seed, penalties.
    engine : Engine
        The program, compiled for the backend.
    asked : str or Backend
        The backend that was asked for, such as ``"auto"``.
    strategy : Strategy
        Who takes the steps.
    state : TrainState
        All that changes. Its arrays are on the backend's device; the next step may write over them.
    input_shape : tuple of int or None
        Shape of one sample; None before the first fit or :meth:`init`.
    outputs : int
        Number of outputs, at each place where there are several.
    places : tuple of int
        The axes of the outputs but the last: tokens, or rows and columns of an image; empty where there are none.
    classes : tuple of str
        Names of the classes.
    columns : Plan or None
        What the inputs are made of, if the samples are those of a table.
    pictures : Pictures or None
        The form that pictures were brought to, if the samples were read from picture files.
    net, loss, metrics, dtype, seed, l1, l2, penalty_per_sample
        Parts of the program.
    body, step
        Parts of the engine: the network without the output layer that the loss contains, and one step of training.
    params, buffers : dict of arrays
        Parts of the state; empty before the first fit or :meth:`init`.
    """

    net: Layer = part_of("program", "net")
    loss: losses.Loss = part_of("program", "loss")
    metrics: Sequence[Metric] = part_of("program", "metrics")
    dtype: str = part_of("program", "dtype")
    seed: int = part_of("program", "seed")
    l1: float = part_of("program", "l1")
    l2: float = part_of("program", "l2")
    penalty_per_sample: bool = part_of("program", "penalty_per_sample")
    body: Layer = part_of("engine", "body")
    step: Step = part_of("engine", "function")
    params: Params = part_of("state", "params", settable=True)
    buffers: Params = part_of("state", "buffers", settable=True)

    def __init__(
        self,
        program: Program,
        backend: backends.Backend,
        strategy: Strategy | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.program, self.backend, self.classes = program, backend, tuple(classes)
        self.asked: str | backends.Backend | None = backend
        check_names("classes", self.classes)
        self.strategy = SingleProcess() if strategy is None else strategy
        self.columns: Plan | None = None
        self.pictures: Pictures | None = None
        self.input_shape: Shape | None = None
        self.outputs, self.places = 0, tuple[int, ...]()
        self.recompile()
        self.state = TrainState({}, {}, {}, self.engine.meter())

    def recompile(self, **changes: Any) -> None:
        """Change fields of the program, and compile it for the backend; weights and the optimizer's state stay."""
        if changes:
            self.program = dataclasses.replace(self.program, **changes)
        self.engine = Engine(self.program, self.backend)
        self.take = self.strategy.step(self.engine)

    def put_in_front(self, layer: Layer) -> None:
        """Let the network begin with this layer; weights are drawn again."""
        layers = self.net.layers if isinstance(self.net, Sequential) else (self.net,)
        self.recompile(net=Sequential((layer, *layers)))
        self.state = TrainState({}, {}, {}, self.engine.meter())

    def init(self, input_shape: Shape) -> None:
        """Draw the initial weights for samples of `input_shape` and put them on the device."""
        if resembles_channels_first(input_shape) and any(isinstance(layer, Conv2D) for _, layer in walk(self.net)):
            words = "samples of shape %s look like images with their channels first; Conv2D takes (height, width, "
            logger.warning(words + "channels): give np.moveaxis(x, 1, -1)", tuple(input_shape))
        params, out_shape = self.net.init(generator(self.seed, "weights"), tuple(input_shape))
        report_repeats(self.net, params)
        self.adopt(params, self.net.init_buffers(tuple(input_shape)), tuple(input_shape), out_shape)

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers, with a fresh optimizer; training so far is forgotten."""
        self.input_shape = tuple(input_shape)
        *places, self.outputs = out_shape
        self.places = tuple(places)
        with self.backend.activate(self.dtype):
            self.state = self.engine.state(params, buffers)

    def snapshot(self) -> dict[str, Params]:
        """Return copies of the parameters and buffers on the host."""
        with self.backend.activate(self.dtype):
            parts = {"params": self.params, "buffers": self.buffers}
            return {part: {n: self.backend.to_numpy(a).copy() for n, a in own.items()} for part, own in parts.items()}

    def restore(self, snapshot: dict[str, Params]) -> None:
        """Put a :meth:`snapshot` back."""
        with self.backend.activate(self.dtype):
            copied = copier(self.backend, self.dtype)
            params, buffers = ({n: copied(a) for n, a in snapshot[part].items()} for part in ("params", "buffers"))
            self.state = self.state._replace(params=params, buffers=buffers)

    def copy_state(self) -> TrainState:
        """Return a copy of the state in host arrays, which outlives the steps to come."""
        with self.backend.activate(self.dtype):
            return self.state.to_host(self.backend)

    def restore_state(self, state: TrainState) -> None:
        """Take a copy of `state`, in arrays of whatever library."""
        with self.backend.activate(self.dtype):
            self.state = state.to_device(self.backend, self.dtype)

    def evaluate(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> dict[str, float]:
        """Return the loss and the metrics on `x` and `y` (or a Dataset), without training."""
        if isinstance(x, Dataset):
            x, y = x.x, x.y
        self.check_weights("evaluate")
        with self.strategy.guard(), self.backend.activate(self.dtype):
            batches = to_batches(self, x, y, sample_weight, None)
            backends.announce(self.asked)
            return evaluated(self.engine, self.state, batches, self.strategy)

    def predict(self, x: Any, *, raw: bool = False, to_numpy: bool = True) -> Array:
        """Return the network's outputs for `x`, shape (n, outputs) or (n, *places, outputs), on the target's scale.

        That is: probabilities where the loss is a cross-entropy, rates where it is Poisson, else the plain outputs.

        Parameters
        ----------
        raw : bool
            Return the outputs as the loss takes them (logits) instead.
        to_numpy : bool
            Return a host array; else an array on the backend's device.
        """
        self.check_weights("predict")
        x = as_inputs(self, x.x if isinstance(x, Dataset) else x, "x")
        x = prepare.samples(x, self.dtype, self.input_shape)
        rows = memory.rows_at_a_time(self, x.shape[0], CHUNK)
        backends.announce(self.asked)
        return predicted(self.engine, self.state, x, rows, raw=raw, to_numpy=to_numpy)

    def predict_classes(self, x: Any) -> Array:
        """Return the class index of each sample of `x`, or of each place, shape (n, *places), host array of int64.

        Several outputs with BinaryCrossEntropy are yes or no each: then it is (n, *places, outputs), of 0 and 1.
        """
        outputs = self.predict(x, raw=True)
        if isinstance(self.loss, losses.BinaryCrossEntropy) and self.outputs > 1:
            xp = backends.get("numpy").xp
            return xp.astype(outputs > self.loss.threshold, xp.int64)
        return class_indices(outputs, self.loss.threshold)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network, parameters and preprocessing to `path`; :func:`portanet.load` reads it on any backend."""
        save(self, path)

    def check_weights(self, what: str) -> None:
        """Raise ConfigError where there are no weights yet; `what` was to be done with them."""
        if self.input_shape is None:
            message = (
                f"{what}: this network has no weights yet; call fit(), or init(input_shape), or load it from a file"
            )
            raise ConfigError(message)
