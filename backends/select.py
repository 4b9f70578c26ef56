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
from portanet.backends.namespace import is_traced
from portanet.errors import BackendError, ConfigError, unknown
from portanet.typing import Array

KNOWN = (
    *("auto", "numpy", "cupy", "cupy:1", "torch", "torch:cuda:0", "torch:mps"),
    *("jax", "jax:cpu", "jax:gpu:0", "strict"),
)
"""Names to suggest: one of each form."""

_OTHERS = {"gpu": "cupy", "cuda": "cupy", "cpu": "numpy", "torch:gpu": "torch:cuda", "jax:cuda": "jax:gpu"}
"""What these backends and devices are called elsewhere."""

VARIABLE = "PORTANET_BACKEND"
"""The environment variable that names what ``"auto"`` takes."""

_NAMES = re.compile(
    r"numpy|cupy(:\d+)?|torch(:(cpu|mps|cuda(:\d+)?))?|jax(:(cpu|gpu|tpu)(:\d+)?)?|strict(:device[12])?"
)

_log = logging.getLogger("portanet.backends")


def get(name: str | Backend | None = "auto", *, quiet: bool = False) -> Backend:
    """Return the backend `name`.

    Parameters
    ----------
    name : str, Backend or None
        ``"auto"`` (and None) is the one that the environment variable ``PORTANET_BACKEND`` names; else CuPy if it can
        be used, and NumPy if not. ``"torch"`` and ``"jax"`` are those libraries on their own default device,
        ``"torch:cuda:0"`` or ``"jax:cpu"`` on that one. A backend is returned as it is.
    quiet : bool
        Do not log what ``"auto"`` chose, see :func:`announce`.

    Raises
    ------
    ConfigError
        For an unknown name.
    BackendError
        For a backend that was asked for by name and cannot be used here; nothing else is ever taken in its place.
    """
    if isinstance(name, Backend):
        return name
    named = _named(name)
    if named is None:
        chosen, _ = choose()
        if not quiet:
            announce(name)
        return _make(chosen)
    if not isinstance(named, str) or not _NAMES.fullmatch(named):
        message = unknown("backend", named, KNOWN, _near(str(named)))
        raise ConfigError(message if named == name else f"{VARIABLE}: {message}")
    try:
        return _make(named)
    except BackendError as error:
        if named == name:
            raise
        message = f"{VARIABLE}: {error}"
        raise BackendError(message) from error


def announce(name: str | Backend | None) -> None:
    """Log what ``"auto"`` chose, in one line and once per process; nothing if `name` is another backend.

    The logger is ``portanet.backends``. The line is a warning (which Python prints to stderr if nobody has set up
    logging) if it is not a GPU, else information. A :class:`portanet.Trainer` does so when it begins to compute.
    """
    if isinstance(name, Backend) or _named(name) is not None:
        return
    cupy = probing.probe("cupy")
    if cupy.usable:
        _tell(logging.INFO, f"portanet: running on cupy ({choose()[1]})")
    else:
        reason = cupy.reason.partition(": ")[0]
        _tell(logging.WARNING, f"portanet: running on numpy ({reason}; see portanet doctor)")


def of(x: Array) -> Backend:
    """Return the backend on whose device `x` lies: NumPy's for all that is no array of another library.

    Raises
    ------
    BackendError
        If `x` has no device of its own (it is being traced), or more than one.
    """
    if isinstance(x, np.ndarray):  # asked first: it is by far the most frequent
        return _make("numpy")
    if is_torch_array(x):
        if not _NAMES.fullmatch(f"torch:{x.device}"):  # "meta" has no values, others are not supported
            message = f"a tensor on torch's device {str(x.device)!r} cannot be computed with here; move it: x.to('cpu')"
            raise BackendError(message)
        return get(f"torch:{x.device}")
    if is_jax_array(x):
        return get(_place_in_jax(x))
    if is_cupy_array(x):
        return get(f"cupy:{x.device.id}")
    if is_strict_array(x):
        device = str(x.device).partition("'")[2].rstrip("')")
        return get("strict" if device == "CPU_DEVICE" else f"strict:{device}")
    return get("numpy")


def _place_in_jax(x: Any) -> str:
    if is_traced(x):
        message = (
            "an array that JAX traces has no device: expected one with values; call this outside of jax.jit, or name "
            "the backend: portanet.backends.get('jax')"
        )
        raise BackendError(message)
    devices = sorted(x.devices(), key=lambda device: device.id)
    if len(devices) > 1:
        names = ", ".join(f"jax:{device.platform}:{device.id}" for device in devices[:3])
        message = (
            f"an array lies on {len(devices)} devices ({names}{', …' if len(devices) > 3 else ''}): expected one; "
            "gather it first: jax.device_put(x, jax.devices()[0])"
        )
        raise BackendError(message)
    return f"jax:{devices[0].platform}:{devices[0].id}"


def status() -> list[Status]:
    """Return the status of every backend on its default device; imports each library that is installed.

    If JAX starts here, it takes a GPU's memory as it needs it until the process ends, unless
    ``XLA_PYTHON_CLIENT_PREALLOCATE`` says otherwise.
    """
    with probing.without_preallocation():
        return [probing.probe(name) for name in ("numpy", "cupy", "torch", "jax")]


def choose() -> tuple[str, str]:
    """Return the name of the backend that ``"auto"`` takes here, and why in words."""
    named = _named("auto")
    if named is not None:
        return named, f"{VARIABLE}={named}"
    cupy = probing.probe("cupy")
    if cupy.usable:
        return "cupy", f"CuPy {cupy.version} on {', '.join(cupy.devices)}"
    fix = f"; {cupy.fix}" if cupy.fix else ""
    return "numpy", f"CuPy cannot be used: {cupy.reason}{fix}"


def _named(name: str | None) -> str | None:
    """Return the backend that is named, here or by the environment variable; None if it is to be chosen."""
    named = os.environ.get(VARIABLE) if name in (None, "auto") else name
    return None if named in (None, "", "auto") else named


def _near(name: str) -> str:
    """Return the backend that is called `name` elsewhere; empty if there is none."""
    folded = name.casefold()
    found = next((other for other in _OTHERS if re.fullmatch(rf"{other}(:\d+)?", folded)), None)
    near = folded if found is None else _OTHERS[found] + folded.removeprefix(found)
    return near if _NAMES.fullmatch(near) else ""


def forget() -> None:
    """Forget all that was found and logged in this process, for tests."""
    probing.forget()
    _make.cache_clear()
    _tell.cache_clear()


@functools.cache
def _make(name: str) -> Backend:
    found = probing.probe(name)
    if not found.usable:
        fix = f"; {found.fix}" if found.fix else ""
        message = f"the backend {name!r} cannot be used: {found.reason}{fix}"
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
