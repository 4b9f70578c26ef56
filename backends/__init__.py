"""The backends: all code that differs between NumPy, CuPy, torch and JAX.

``get`` selects a backend, ``of`` returns the backend of an array, ``status`` reports which ones work. Array libraries
other than NumPy are imported only when they are requested.
"""

from portanet.backends.base import Backend
from portanet.backends.diagnosis.probe import Status
from portanet.backends.glibc_memory import keep_memory
from portanet.backends.host import Memory
from portanet.backends.select import announce, get, of, status

__all__ = ["Backend", "Memory", "Status", "announce", "get", "keep_memory", "of", "status"]
