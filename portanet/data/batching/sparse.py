"""Samples that are mostly zeros, kept as a sparse matrix on the host and made dense a batch at a time."""

from __future__ import annotations

from typing import Any

from portanet.typing import Shape


class SparseRows:
    """Rows of a SciPy sparse matrix, (n, features), read like those of a host array: ``rows[chosen]`` is dense."""

    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()  # by rows, so that a batch costs what it holds

    @property
    def shape(self) -> Shape:
        """Number of rows and of features."""
        return tuple(self.matrix.shape)

    def astype(self, dtype: str) -> SparseRows:
        """Return the rows in `dtype`; not copied if it is theirs."""
        return SparseRows(self.matrix.astype(dtype, copy=False))

    def take(self, rows: Any) -> SparseRows:
        """Return these rows, sparse."""
        return SparseRows(self.matrix[rows])

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def __getitem__(self, rows: Any) -> Any:
        # An array is read as x[rows] or, by slices, as x[rows, ...].
        return self.matrix[rows[0] if isinstance(rows, tuple) else rows].toarray()
