"""Many networks of the same shape, trained as batched matrix products."""

from portanet.fleet.fleet import Ensemble, Fleet

__all__ = ["Ensemble", "Fleet"]
