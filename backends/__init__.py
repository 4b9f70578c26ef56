"""The backends: everything that differs between NumPy, CuPy, torch and JAX stands in this folder.

``get`` chooses a backend, ``of`` tells where an array lies, ``status`` which ones run here. No array library but NumPy
is imported before it is asked for.
"""

from portanet.backends.base import Backend
from portanet.backends.diagnosis.probe import Status
from portanet.backends.glibc_memory import keep_memory
from portanet.backends.host import Memory
from portanet.backends.select import announce, get, of, status

__all__ = ["Backend", "Memory", "Status", "announce", "get", "keep_memory", "of", "status"]
