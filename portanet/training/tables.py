"""Frames and tables as the samples of a trainer: their plan is found in the first fit and used from then on."""

from __future__ import annotations

from typing import Any

from portanet.backends.host import to_host
from portanet.data import Dataset
from portanet.data.batching import prepare
from portanet.data.cells import Table, Text
from portanet.data.frames import is_frame, table
from portanet.data.front import front
from portanet.data.planning import find
from portanet.errors import DataError
from portanet.names import listed

Given = tuple[Any, Any, Any, Any, float]
"""Samples, targets, weights, validation data, and the share that is still to be split off."""


def is_table(x: Any) -> bool:
    """Whether `x` is a frame of pandas, polars or pyarrow, or a table with more than numbers in it."""
    return isinstance(x, Table) or is_frame(x)


def as_inputs(model: Any, x: Any, what: str) -> Any:
    """Return a table as the inputs of a network that was fitted to one; all else as it is.

    Raises
    ------
    DataError
        If columns are missing, or it was not fitted to a table, and this one holds more than numbers.
    """
    if not is_table(x):
        return x
    own = x if isinstance(x, Table) else table(x, what)
    if model.columns is not None:
        return model.columns.encode(own, what)
    if (numbers := own.array()) is not None:
        return numbers
    odd = [name for name, cells in zip(own.names, own.cells, strict=True) if isinstance(cells, Text)] or own.names
    message = f"{what}: expected numbers without gaps, as the network was fitted to an array; text or gaps are in "
    raise DataError(message + f"{', '.join(odd[:12])}; give a frame to the first fit too")


def of_table(trainer: Any, x: Any, y: Any, weight: Any, validation_data: Any, fraction: float) -> Given:
    """Return what a fit was given with the inputs of the network in the place of a table.

    In the first fit the plan of the columns is found, from the rows to train on alone, and the layer that is made from
    it put in front of the network. A frame of numbers without gaps stays as it is, but for the names.
    """
    own = x if isinstance(x, Table) else table(x)
    y = targets(trainer, y)
    if fraction and validation_data is None:
        classes = trainer.loss.output is not None and getattr(y, "ndim", 0) == 1
        kept, held = prepare.split(to_host(y), fraction, trainer.seed, stratify=classes)
        validation_data = (
            own[held],
            *(part if part is None else prepare.take_rows(part, held) for part in (y, weight)),
        )
        own, (y, weight) = own[kept], (part if part is None else prepare.take_rows(part, kept) for part in (y, weight))
        fraction = 0.0
    if trainer.input_shape is None:
        numbers = own.array()
        trainer.columns = find(own, pixels=numbers is not None)
        if numbers is None:
            trainer.put_in_front(front(trainer.columns, trainer.columns.encode(own, "x")))
    if validation_data is not None and not isinstance(validation_data, Dataset):
        validation_data = (validation_data[0], targets(trainer, validation_data[1]), *validation_data[2:])
    return as_inputs(trainer, own, "x"), y, weight, validation_data, fraction


def targets(trainer: Any, y: Any) -> Any:
    """Return targets of a frame's library on the host; text as class indices, whose names the trainer keeps."""
    found = to_host(y) if y is not None and not hasattr(y, "__array_namespace__") else y
    if getattr(found, "dtype", None) is None or found.dtype.kind not in "OUST":
        return found
    names = [str(value) for value in found.reshape(-1).tolist()]
    trainer.classes = trainer.classes or tuple(sorted(set(names)))
    place = {name: i for i, name in enumerate(trainer.classes)}
    if strange := sorted(set(names) - set(place)):
        message = f"y: expected labels among {listed(trainer.classes)}, got {strange[0]!r}; correct it"
        raise DataError(message)
    return to_host([place[name] for name in names])
