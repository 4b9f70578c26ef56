"""What a training is fitted to, and how: a resumed one must be the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portanet.data.batching.batches import Batches

__all__ = ["FitInfo"]


@dataclass
class FitInfo:
    """Batch size, order and number of the samples of a fit, and the samples themselves or their fingerprint."""

    batch_size: int
    shuffle: bool | str
    samples: int
    data: Batches | str | None

    def described(self) -> dict[str, Any]:
        """Return it as plain values; the data's fingerprint is computed once, when it is wanted."""
        if isinstance(self.data, Batches):
            self.data = self.data.fingerprint()
        return dict(vars(self))

    def release(self, *, keep: bool) -> None:
        """Let go of the samples; `keep` their fingerprint."""
        if isinstance(self.data, Batches):
            self.data = self.data.fingerprint() if keep else None
