"""What all metrics share: their interface, the share of each batch in an epoch, and the numbers of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from portanet.checks import check_fields
from portanet.losses import Loss
from portanet.typing import Array


class Metric:
    """Base of all metrics; every one is a frozen dataclass."""

    name: str
    ranks_only: ClassVar[bool] = False
    """Whether the order of the outputs is enough, so that the loss's link need not be applied to them."""
    greater_is_better: ClassVar[bool | None] = None
    """Whether a larger value is better or a smaller one; None if it is not known, so that callbacks need a `mode`."""

    def __post_init__(self) -> None:
        check_fields(self)

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        """Return the batch's numbers, shape () or (k,), on the device; what the outputs mean depends on the `loss`."""
        raise NotImplementedError

    def merge(self, values: Any, sizes: Any) -> float:
        """Return the epoch's number from the batches': host arrays, `values` (batches, ...), `sizes` (batches,)."""
        return float((values * shares(sizes)).sum())


def shares(sizes: Any) -> Any:
    """Return each batch's share in the whole; all are 0 if no sample had a weight so far."""
    return sizes / max(sizes.sum(), 1e-30)


def measure(
    metrics: Sequence[Metric], loss: Loss, prediction: Array, target: Array, weight: Array | None
) -> tuple[Array, ...]:
    """Return the batch's numbers of every metric, from predictions on the loss's own scale."""
    linked = prediction if all(metric.ranks_only for metric in metrics) else loss.link(prediction)
    return tuple(m.batch(prediction if m.ranks_only else linked, target, weight, loss) for m in metrics)
