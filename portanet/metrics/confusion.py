"""The confusion matrix."""

from __future__ import annotations

from typing import Any

from portanet.backends.host import host_array
from portanet.backends.namespace import namespace
from portanet.errors import DataError

__all__ = ["confusion_matrix"]


def confusion_matrix(target: Any, predicted: Any, classes: int) -> Any:
    """Return counts, shape (classes, classes): entry (i, j) is how many of class i were taken for class j.

    Parameters
    ----------
    target, predicted : arrays or lists of integers, shape (n,)
        Class indices, 0 ≤ index < `classes`.

    Raises
    ------
    DataError
        If the two differ in length, are no class indices, or an index is out of range.
    """
    target, predicted = host_array(target), host_array(predicted)
    if target.shape != predicted.shape or target.ndim != 1:
        came = f"targets of shape {target.shape} and predictions of shape {predicted.shape}"
        message = f"confusion_matrix: expected a class index for each sample, twice, got {came}; "
        raise DataError(message + "take the argmax of rows of outputs")
    for name, labels in (("target", target), ("predicted", predicted)):
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes and (labels % 1 == 0).all()):
            came = f"numbers from {labels.min()} to {labels.max()}"
            message = f"confusion_matrix: {name} must hold class indices 0 … {classes - 1}, got {came}"
            raise DataError(message)
    # int: the indices may come in bytes, which would wrap round
    counts = namespace(target).bincount(target.astype(int) * classes + predicted.astype(int), minlength=classes**2)
    return counts.reshape(classes, classes)
