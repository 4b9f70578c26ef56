"""Labels of whatever kind: checked, as numbers for the loss, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import unique_labels


class Labels:
    """The classes that a classifier knows: those of the labels `y`, rows of 0 and 1 if a sample may have several."""

    def __init__(self, y: Any) -> None:
        self._binarizer = LabelBinarizer()
        if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "iu":
            # At once: scikit-learn's own checks take a tenth of a small fit.
            self.classes = np.unique(y)
            self.kind = "binary" if len(self.classes) <= 2 else "multiclass"
        else:
            self._binarizer.fit(y)  # it refuses, in its words, what is no labels
            self.classes = self._binarizer.classes_
            self.kind = self._binarizer.y_type_  # binary, multiclass or multilabel-indicator
        self.outputs = 1 if self.kind == "binary" else len(self.classes)  # that a network needs for them

    def check(self, y: Any, *, same: bool) -> None:
        """Refuse labels that are not among the classes; where `same`, also classes that are not among the labels."""
        found = unique_labels(y)
        if same and set(found) != set(self.classes):
            message = "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
            raise ValueError(message + f"Previously got {self.classes}, `y` has {found}")
        if len(np.setdiff1d(found, self.classes, assume_unique=True)):
            message = f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has {found}."
            raise ValueError(message)

    def encode(self, y: Any) -> Any:
        """Return labels as the loss takes them: indices of classes, or numbers from 0 to 1."""
        if self.kind == "multilabel-indicator":
            return (y.toarray() if issparse(y) else y).astype(np.float64)
        indices = np.searchsorted(self.classes, y)
        return indices.astype(np.int32 if self.outputs > 1 else np.float64)

    def decode(self, outputs: Any) -> Any:
        """Return the labels that probabilities (host array, a column an output) stand for."""
        if self.kind == "multilabel-indicator":
            return self._binarizer.inverse_transform(outputs)
        if self.outputs > 1:
            return self.classes[outputs.argmax(axis=1)]
        # The column is class 1's; where only one class was seen it is that one, whatever comes.
        return self.classes[np.minimum(outputs[:, 0] > 0.5, len(self.classes) - 1).astype(np.intp)]
