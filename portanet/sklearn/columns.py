"""The columns of a numeric table as a recipe takes them: categories as codes first, then numbers without gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.sklearn.categories import find

HostRows = np.ndarray[Any, Any]


class Columns:
    """What the training rows `x` (numbers, NaN for gaps) say of their columns; `wanted` names those of categories.

    Gaps of numbers are filled by the median; of a column that had some, whether there is one is a category of its own.

    Attributes
    ----------
    categories : tuple of int
        Number of categories of each of the first columns that come out.
    width : int
        Number of columns that come out.
    """

    def __init__(self, x: HostRows, wanted: Any) -> None:
        mask = find(x, wanted)
        categorical = np.zeros(x.shape[1], bool) if mask is None else mask
        self._numbers, self._codes = np.flatnonzero(~categorical), np.flatnonzero(categorical)
        numbers = x[:, self._numbers]
        gaps = np.isnan(numbers)
        self._fill = np.array(
            [np.median(c[~g]) if not g.all() else 0.0 for c, g in zip(numbers.T, gaps.T, strict=True)]
        )
        self._flagged = np.flatnonzero(gaps.any(axis=0))
        found = [np.unique(x[:, i]) for i in self._codes]
        self._known = [known[~np.isnan(known)] for known in found]
        sizes = [max(len(known), 1) for known in self._known]
        self.categories = (*sizes, *([2] * len(self._flagged)))
        self.width = len(self._numbers) + len(self.categories)

    def encode(self, x: HostRows) -> HostRows:
        """Return the rows as numbers and codes; an unknown category is -1."""
        numbers = x[:, self._numbers]
        gaps = np.isnan(numbers)
        codes = []
        for i, known in zip(self._codes, self._known, strict=True):
            place = np.minimum(np.searchsorted(known, x[:, i]), max(len(known) - 1, 0))
            codes.append(np.where(known[place] == x[:, i], place, -1) if len(known) else np.full(len(x), -1))
        flags = gaps[:, self._flagged].T.astype(np.float64)
        filled = np.where(gaps, self._fill, numbers)
        return np.column_stack([*codes, *flags, filled]).astype(np.float64)
