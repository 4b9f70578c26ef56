"""The curves of a training, and what its network mistakes, as figures."""

from __future__ import annotations

from typing import Any

from portanet.data.cells import Table
from portanet.data.dataset import Dataset
from portanet.data.planned import encoded
from portanet.errors import ConfigError
from portanet.plot.history import curves
from portanet.plot.run import Figures, draw
from portanet.training.tables import as_inputs, targets

__all__ = ["pictures"]


def pictures(trainer: Any, data: Any) -> Figures:
    """Return figures by name; see :meth:`portanet.Trainer.plot`."""
    if not isinstance(data, Dataset) and not (isinstance(data, tuple | list) and len(data) == 2):
        message = f"plot: expected a Dataset, or samples and targets as (x, y), got {type(data).__name__}"
        raise ConfigError(message)
    dataset = data if isinstance(data, Dataset) else _dataset(trainer, *data)
    if isinstance(dataset.x, Table):
        dataset = encoded(dataset, trainer.columns)
    if trainer.classes and dataset.classes and trainer.classes != dataset.classes:
        dataset = dataset.with_classes(trainer.classes)
    own = Figures({"curves": curves(trainer.history)} if len(trainer.history) else {})
    own.update(draw(trainer, dataset))
    return own


def _dataset(trainer: Any, x: Any, y: Any) -> Dataset:
    x = as_inputs(trainer, x, "x")
    y = y if trainer.columns is None else targets(trainer, y)
    if trainer.loss.output is None:
        return Dataset("data", x, y)
    return Dataset("data", x, y, classes=trainer.classes or tuple(map(str, range(max(trainer.outputs, 2)))))
