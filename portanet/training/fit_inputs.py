"""What a fit is given, as batches: checked, with a part split off for validation where one was asked for."""

from __future__ import annotations

import copy
import itertools
import logging
from functools import partial
from typing import Any

from portanet.backends import get
from portanet.checks import check_count
from portanet.data.batching import prepare, weighting
from portanet.data.batching.batches import Batches
from portanet.data.batching.stream import StreamedBatches
from portanet.data.dataset import Dataset
from portanet.data.lazy.readable import Readable
from portanet.data.lazy.stored import Stored
from portanet.engine.outputs import class_indices
from portanet.errors import ConfigError
from portanet.layers import Softmax
from portanet.training import batch_size as memory
from portanet.training.tables import as_inputs, is_table, of_table, targets

logger = logging.getLogger("portanet")

CHUNK = 2048  # rows of an evaluation or a prediction at a time, at most: fewer where they would not fit


def in_batches(
    trainer: Any,
    x: Any,
    y: Any,
    weight: Any = None,
    validation_data: Any = None,
    fraction: float = 0.0,
    batch_size: int | str | None = None,
) -> tuple[Batches, Batches | None]:
    """Return the training and the validation part in batches; draws the initial weights where there are none.

    The arguments are those of :meth:`portanet.Trainer.fit`.

    Raises
    ------
    ConfigError, DataError, ShapeError
        If an argument or the data is invalid.
    """
    _check_batch_size(batch_size)
    if isinstance(x, Dataset):
        trainer.classes = trainer.classes or x.classes
        trainer.pictures = trainer.pictures or x.pictures
        x, y = x.x, x.y
    if is_table(x):
        x, y, weight, validation_data, fraction = of_table(trainer, x, y, weight, validation_data, fraction)
    elif isinstance(x, Readable):
        trainer.classes = trainer.classes or tuple(getattr(x, "classes", ()))
    with trainer.backend.activate(trainer.dtype):
        x = prepare.samples(x, trainer.dtype, trainer.input_shape)
        if trainer.input_shape is None:
            trainer.init(tuple(x.shape[1:]))
        if fraction:
            if validation_data is not None:
                message = "fit: validation_data and validation_fraction were both given; leave one of them out"
                raise ConfigError(message)
            rows = split_rows(trainer, x, y, fraction)
            (x, y, weight), validation_data = (
                tuple(None if a is None else prepare.take_rows(a, own) for a in (x, y, weight)) for own in rows
            )
        size = int(x.shape[0] if batch_size in (None, "auto") else batch_size)
        train = to_batches(trainer, x, y, weight, size, class_weight=trainer.class_weight)
        if batch_size == "auto":
            found = memory.auto_batch_size(trainer, train.n)
            least = trainer.engine.least_batch(trainer.input_shape)
            train = copy.copy(train)  # fits in lockstep share their batches
            train.batch_size = _without_rest(train.n, max(min(trainer.strategy.gather(found)), least), least)
        if validation_data is None:
            return train, None
        return train, to_batches(trainer, *triple(validation_data), None, what="validation ")


def to_batches(
    model: Any, x: Any, y: Any, weight: Any, batch_size: int | None, *, what: str = "", class_weight: Any = None
) -> Batches:
    """Return checked data in batches.

    Parameters
    ----------
    model : Model
        Which the data are for: its input shape, outputs, loss, dtype, backend and strategy are used.
    batch_size : int or None
        None for an evaluation: as many rows as fit, of those that this process evaluates.
    what : str
        Stands in front of the arrays' names in errors.
    class_weight : "balanced", dict or sequence, optional
    """
    x = prepare.samples(as_inputs(model, x, f"{what}x"), model.dtype, model.input_shape, what=f"{what}x")
    y = y if model.columns is None else targets(model, y)
    n, strategy = x.shape[0], model.strategy
    size = batch_size or memory.rows_at_a_time(model, n, CHUNK)
    first, last = (0, n) if batch_size else strategy.rows(n)
    make = strategy.batches if batch_size else Batches
    if isinstance(x, Stored):
        make = strategy.streamed if batch_size else StreamedBatches
        if (first, last) != (0, n) and weight is None:
            x, y = x.take(get("numpy").xp.arange(first, last)), y if y is None else y[first:last]
        return _streamed(model, x, y, weight, class_weight, size, what, make)
    y = prepare.targets(y, n, model.outputs, model.loss, model.dtype, places=model.places, what=f"{what}y")
    weight = weighting.weights(
        weight, class_weight, y, n, model.outputs, model.dtype, places=model.places, what=f"{what}sample_weight"
    )
    if (first, last) != (0, n):
        x, y, weight = x[first:last, ...], y[first:last, ...], None if weight is None else weight[first:last]
    return make(model.backend, x, y, weight, size)


def _streamed(
    model: Any, x: Stored, y: Any, weight: Any, class_weight: Any, batch_size: int, what: str, make: Any
) -> Batches:
    """Return checked data that are not in memory in batches.

    Raises
    ------
    ConfigError
        If targets are given twice, or class weights are to be counted from targets that nobody has read.
    """
    n = len(x)
    check = partial(prepare.targets, outputs=model.outputs, loss=model.loss, dtype=model.dtype, places=model.places)
    if x.brings_targets and y is not None:
        message = f"{what}y: {x.name} brings its own targets, and others were given; leave them out"
        raise ConfigError(message)
    if not x.brings_targets:
        y = model.backend.to_numpy(check(y, n, what=f"{what}y"))
    elif class_weight is not None:
        message = f"class_weight: the targets of {x.name} are read with its samples; give sample_weight in its place"
        raise ConfigError(message)
    weight = weighting.weights(
        weight, class_weight, y, n, model.outputs, model.dtype, places=model.places, what=f"{what}sample_weight"
    )
    made: Batches = make(model.backend, x, y, weight, batch_size, check)
    return made


def check_least(model: Any, train: Batches, *, join: bool) -> Batches:
    """Return batches of which none is smaller than the network can train on: `join` the last to the one before it.

    Raises
    ------
    ConfigError
        If one is, and it is not to be joined or there is none before it.
    """
    least, rest = model.engine.least_batch(model.input_shape), train.n % train.batch_size or train.batch_size
    if min(rest, train.n) >= least:
        return train
    if join and rest < train.batch_size < train.n:
        train = copy.copy(train)  # fits in lockstep share their batches
        train.least = least
        text = "fit: the last %d of %d samples join the batch of %d before them: BatchNorm needs %d or more at a time"
        logger.warning(text, rest, train.n, train.batch_size, least)
        return train
    fix = "give more samples, or use LayerNorm" if train.n < least else "use larger batches, or LayerNorm"
    if train.batch_size < train.n:
        fix = f"use batch_size={_without_rest(train.n, max(train.batch_size, least), least)}"
        fix += ", or join_last=True" if rest < train.batch_size else ""
    message = (
        f"fit: a batch needs {least} samples or more to train BatchNorm, and in batches of {train.batch_size} the last "
        f"of {train.n} samples is one of {rest}; {fix}"
    )
    raise ConfigError(message)


def _without_rest(n: int, size: int, least: int) -> int:
    """Return the batch size, `size` or the next smaller or larger one, that leaves no batch of fewer than `least`."""
    sizes = itertools.chain(range(size, least - 1, -1), range(size + 1, n + 1))
    return next((s for s in sizes if n % s == 0 or n % s >= least), size)


def _check_batch_size(batch_size: int | str | None) -> None:
    if isinstance(batch_size, str) and batch_size != "auto":
        message = f"fit: batch_size must be a whole number of 1 or more, 'auto', or None, got {batch_size!r}"
        raise ConfigError(message)
    if batch_size is not None and not isinstance(batch_size, str):
        check_count("fit: batch_size", batch_size, 1)


def split_rows(model: Any, x: Any, y: Any, fraction: float) -> tuple[Any, Any]:
    """Return the rows of the training part, and those of the validation part."""
    unread = isinstance(x, Stored) and x.brings_targets  # nobody knows the classes yet
    if unread:
        return prepare.split(x, fraction, model.seed, stratify=False)
    y = prepare.targets(y, x.shape[0], model.outputs, model.loss, model.dtype, places=model.places)
    target = model.backend.to_numpy(y)
    exclusive = model.loss.output is Softmax or model.outputs == 1
    if target.ndim == 2 and not model.places and exclusive and model.loss.output is not None:
        target = class_indices(target, 0.5)  # rows of shares, or a column of 0 and 1
    stratify = target.ndim == 1 and (target.dtype.kind == "i" or model.loss.output is not None)
    return prepare.split(target, fraction, model.seed, stratify=stratify)


def triple(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return samples, targets and weights of what was given for validation."""
    if isinstance(validation_data, Dataset):
        return validation_data.x, validation_data.y, None
    if isinstance(validation_data, Readable):
        return validation_data, None, None
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        what = type(validation_data).__name__
        message = f"fit: validation_data must be (x, y) or (x, y, sample_weight), got a {what}"
        raise ConfigError(message)
    return (*validation_data, None)[:3]
