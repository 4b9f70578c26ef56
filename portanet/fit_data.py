"""What a fit is given, as batches: checked, with a part split off for validation where one was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portanet import losses, memory
from portanet.checks import check_count
from portanet.data import prepare
from portanet.data.batches import Batches
from portanet.data.dataset import Dataset
from portanet.data.readable import Readable
from portanet.data.stored import Stored
from portanet.errors import ConfigError
from portanet.model import class_indices

if TYPE_CHECKING:
    from portanet.trainer import Trainer


def in_batches(
    trainer: Trainer,
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
        For arguments and data that cannot be.
    """
    _check_batch_size(batch_size)
    if isinstance(x, Dataset):
        trainer.classes = trainer.classes or x.classes
        x, y = x.x, x.y
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
            (x, y, weight), validation_data = _split(trainer, x, y, weight, fraction)
        size = int(x.shape[0] if batch_size in (None, "auto") else batch_size)
        train = trainer._batches(x, y, weight, size, class_weight=trainer.class_weight)
        if batch_size == "auto":
            found = memory.auto_batch_size(trainer, train.n)
            train.batch_size = found if trainer.ranks is None else min(trainer.ranks.gather(found))
        if validation_data is None:
            return train, None
        return train, trainer._batches(*_triple(validation_data), None, what="validation ")


def _check_batch_size(batch_size: int | str | None) -> None:
    if isinstance(batch_size, str) and batch_size != "auto":
        message = f"fit: batch_size must be a whole number of 1 or more, 'auto', or None, got {batch_size!r}"
        raise ConfigError(message)
    if batch_size is not None and not isinstance(batch_size, str):
        check_count("fit: batch_size", batch_size, 1)


def _split(trainer: Trainer, x: Any, y: Any, weight: Any, fraction: float) -> list[tuple[Any, Any, Any]]:
    """Return samples, targets and weights of the training part, and those of the validation part."""
    unread = isinstance(x, Stored) and x.brings_targets  # nobody knows the classes yet
    y = None if unread else prepare.targets(y, x.shape[0], trainer.outputs, trainer.loss, trainer.dtype)
    target = x if unread else trainer.backend.to_numpy(y)
    exclusive = isinstance(trainer.loss, losses.SoftmaxCrossEntropy) or trainer.outputs == 1
    if not unread and target.ndim == 2 and exclusive and trainer.loss.output is not None:
        target = class_indices(target, 0.5)  # rows of shares, or a column of 0 and 1
    stratify = not unread and target.ndim == 1 and (target.dtype.kind == "i" or trainer.loss.output is not None)

    def rows_of(a: Any, rows: Any) -> Any:
        return None if a is None else prepare.take_rows(a, rows)

    chosen = prepare.split(target, fraction, trainer.seed, stratify=stratify)
    return [(rows_of(x, rows), rows_of(y, rows), rows_of(weight, rows)) for rows in chosen]


def _triple(validation_data: Any) -> tuple[Any, Any, Any]:
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
