"""Many networks of one shape, trained in batched products."""

from portanet.fleet.fleet import Ensemble, Fleet

__all__ = ["Ensemble", "Fleet"]
