"""One training by several processes: each computes its rows of every batch, and the gradients are added up by MPI."""

from portanet.ranks.communicator import Ranks

__all__ = ["Ranks"]
