"""The choice of a backend by name."""

from __future__ import annotations

import copyreg
import functools
import importlib
import logging
import os
import re
from typing import Any

import numpy as np
from array_api_compat import is_cupy_array, is_jax_array, is_torch_array

from portanet.backends.base import Backend
from portanet.backends.diagnosis import probe as probing
from portanet.backends.diagnosis.probe import Status
from portanet.backends.host import is_strict_array
from portanet.errors import BackendError, ConfigError, unknown
from portanet.typing import Array

KNOWN = (
    *("auto", "numpy", "cupy", "cupy:1", "torch", "torch:cuda:0", "torch:mps"),
    *("jax", "jax:cpu", "jax:gpu:0", "strict"),
)
"""Names to suggest: one of each form."""

_NAMES = re.compile(
    r"numpy|cupy(:\d+)?|torch(:(cpu|mps|cuda(:\d+)?))?|jax(:(cpu|gpu|tpu)(:\d+)?)?|strict(:device[12])?"
)

_log = logging.getLogger("portanet")


def get(name: str | Backend | None = "auto", *, quiet: bool = False) -> Backend:
    """Return the backend `name`.

    Parameters
    ----------
    name : str, Backend or None
        ``"auto"`` (and None) is CuPy where it can be used, else NumPy. ``"torch"`` and ``"jax"`` are those libraries on
        their own default device, ``"torch:cuda:0"`` or ``"jax:cpu"`` on that one. A backend is returned as it is.
    quiet : bool
        Do not tell what ``"auto"`` chose. Else it is told once per process on the logger ``portanet``: as a warning
        (which Python prints to stderr where nobody has set up logging) where it is not a GPU, else as information.

    Raises
    ------
    ConfigError
        For an unknown name.
    BackendError
        For a backend that was asked for by name and cannot be used here; nothing else is ever taken in its place.
    """
    if isinstance(name, Backend):
        return name
    if name is None or name == "auto":
        chosen, why = choose()
        if not quiet:
            _tell(logging.INFO if chosen == "cupy" else logging.WARNING, f"portanet: running on {chosen} ({why})")
        return _make(chosen)
    if not _NAMES.fullmatch(name):
        raise ConfigError(unknown("backend", name, KNOWN))
    return _make(name)


def of(x: Array) -> Backend:
    """Return the backend on whose device `x` lies: NumPy's for all that is no array of another library."""
    if isinstance(x, np.ndarray):  # told first: it is by far the most frequent
        return _make("numpy")
    if is_torch_array(x):
        return get(f"torch:{x.device}")
    if is_jax_array(x):
        (device,) = x.devices()
        return get(f"jax:{device.platform}:{device.id}")
    if is_cupy_array(x):
        return get(f"cupy:{x.device.id}")
    if is_strict_array(x):
        device = str(x.device).partition("'")[2].rstrip("')")
        return get("strict" if device == "CPU_DEVICE" else f"strict:{device}")
    return get("numpy")


def status() -> list[Status]:
    """Return the status of every backend on its default device; imports each library that is installed."""
    return [probing.probe(name) for name in ("numpy", "cupy", "torch", "jax")]


def choose() -> tuple[str, str]:
    """Return the name of the backend that ``"auto"`` takes here, and why in words."""
    cupy = probing.probe("cupy")
    if cupy.usable:
        return "cupy", f"CuPy {cupy.version} on {', '.join(cupy.devices)}"
    mend = f"; {cupy.mend}" if cupy.mend else ""
    return "numpy", f"CuPy cannot be used: {cupy.reason}{mend}"


def forget() -> None:
    """Forget all that was found out and told in this process, for tests."""
    probing.forget()
    _make.cache_clear()
    _tell.cache_clear()


@functools.cache
def _make(name: str) -> Backend:
    found = probing.probe(name)
    if not found.usable:
        mend = f"; {found.mend}" if found.mend else ""
        message = f"the backend {name!r} cannot be used: {found.reason}{mend}"
        raise BackendError(message)
    library, _, place = name.partition(":")
    module, kind = f"{library}_backend", f"{library.title()}Backend"
    if library == "cupy" and os.environ.get("PORTANET_CUPY_GRAPHS") != "0":
        module, kind = "cuda_graphs.backend", "GraphBackend"
    made: Backend = getattr(importlib.import_module(f"portanet.backends.{module}"), kind)(place)
    copyreg.pickle(type(made), _by_name)
    return made


def _by_name(backend: Backend) -> tuple[Any, ...]:
    """Pickle a backend as its name: namespaces and devices cannot be pickled, so another process looks it up."""
    return get, (backend.spec,)


@functools.cache  # once per process and reason
def _tell(level: int, line: str) -> None:
    _log.log(level, line)
