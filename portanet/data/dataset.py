"""A data set on the host: what every reader returns and every trainer takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from portanet.errors import DataError

__all__ = ["Dataset"]

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Dataset:
    """Samples and targets in host memory, with what is known about them.

    Attributes
    ----------
    name : str
        What the data is called: a known name, or the path it came from.
    x : ndarray, shape (n, ...)
        Training samples, rows first. Images stay ``uint8`` as they were read: ``(n, h, w)`` or ``(n, h, w, channels)``.
    y : ndarray
        Targets: class indices ``(n,)`` in int64 for a classification, floats ``(n,)`` or ``(n, outputs)`` for a regression.
    x_test, y_test : ndarray or None
        The test part, where the data brings one, in the same form.
    classes : tuple of str
        Names of the classes in the order of their indices; empty for a regression.
    features : tuple of str
        Names of the columns, where the data brings them.
    """

    name: str
    x: HostArray
    y: HostArray
    x_test: HostArray | None = None
    y_test: HostArray | None = None
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for part, x, y in (("training", self.x, self.y), ("test", self.x_test, self.y_test)):
            if x is None and y is None:
                continue
            if x is None or y is None:
                message = f"{self.name}: the {part} part has {'targets' if x is None else 'samples'} alone; give both or none"
                raise DataError(message)
            if len(x) != len(y):
                message = f"{self.name}: the {part} part has {len(x)} samples and {len(y)} targets; there must be one target a sample"
                raise DataError(message)
            if len(x) == 0:
                message = f"{self.name}: the {part} part is empty; at least one sample is needed"
                raise DataError(message)

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What is to be learned, told by whether there are classes."""
        return "classification" if self.classes else "regression"

    @property
    def is_image(self) -> bool:
        """Whether the samples are images: two axes or three (the last one channels) behind the sample axis."""
        return self.x.ndim in (3, 4)

    def flat(self) -> Dataset:
        """Return the same data with each sample as one row of features."""

        def rows(x: HostArray | None) -> HostArray | None:
            return None if x is None else x.reshape(len(x), -1)

        return replace(self, x=self.x.reshape(len(self.x), -1), x_test=rows(self.x_test))
