"""Whether a backend can be used here: found out by using it, in stages, once per process.

Importing a library proves little: CuPy imports silently where there is no driver. Each stage that fails says in words
what is missing, and the command that fixes it. The stages of CuPy stand in
:mod:`portanet.backends.diagnosis.probe_cupy`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from portanet.backends.diagnosis import probe_cupy, stages
from portanet.backends.diagnosis.stages import Unusable, check_index, check_product, said, stop
from portanet.backends.forks import lost_threads


@dataclass(frozen=True)
class Status:
    """Whether a backend can be used, and if not, why.

    Attributes
    ----------
    name : str
        The backend as it was asked for.
    usable : bool
        Whether a kernel and a matrix product ran on it.
    stage : str
        Where the probe stopped: ``"installed"``, ``"wheels"``, ``"import"``, ``"version"``, ``"driver"``,
        ``"devices"``, ``"kernel"``, ``"matmul"``, or ``"probe"`` after an error that no stage expects; ``"ready"`` if
        it passed.
    reason : str
        Why it stopped there, in words; empty where it passed.
    fix : str
        The command that fixes it, or empty where there is none.
    version : str
        The library's version, or empty where it is not known.
    devices : tuple of str
        The devices there are, each by the name that ``get`` takes, with the maker's name in brackets where known.
    """

    name: str
    usable: bool
    stage: str
    reason: str
    fix: str
    version: str
    devices: tuple[str, ...]


@functools.cache
def probe(name: str) -> Status:
    """Return the status of the backend `name` (``"cupy"``, ``"torch:mps"``, …), found out once per process."""
    library, _, place = name.partition(":")
    looks = {"numpy": _numpy, "cupy": probe_cupy.look, "torch": _torch, "jax": _jax, "strict": _strict}
    found: dict[str, Any] = {"stage": "ready", "reason": "", "fix": "", "devices": ()}
    try:
        with warnings.catch_warnings():  # what a library would warn of is reported by the status
            warnings.simplefilter("ignore")
            found["devices"] = looks[library](place)
    except Unusable as why:
        found |= {"stage": why.stage, "reason": why.reason, "fix": why.fix}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a library raises, the other backends can be used
        found |= {"stage": "probe", "reason": f"{library} failed when it was tried: {said(error)}"}
    module, version = sys.modules.get("array_api_strict" if library == "strict" else library), ""
    with contextlib.suppress(Exception):  # what only has the library's name may answer with anything
        version = str(getattr(module, "__version__", ""))
    return Status(name, found["stage"] == "ready", version=version, **found)


def forget() -> None:
    """Forget what was found out: the next :func:`probe` looks again."""
    probe.cache_clear()


@contextlib.contextmanager
def without_preallocation() -> Iterator[None]:
    """Let JAX, if it starts within the block, take GPU memory as it needs it, not three quarters of all at once.

    What JAX reads when it starts holds until the process ends. A choice that the user made stands.
    """
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    if name in os.environ:
        yield
        return
    os.environ[name] = "false"
    try:
        yield
    finally:
        del os.environ[name]


def _loaded(module: str, kind: str, package: str) -> Any:
    """Return `module` imported: the first two stages of the probes of all libraries but CuPy."""
    if not stages.installed(module):
        stop("installed", f"{module} is not installed", f"pip install {package}")

    def failed(error: BaseException) -> Unusable:
        fix = f"pip install --force-reinstall {package}"
        return Unusable(stage="import", reason=f"{module} cannot be imported: {said(error)}", fix=fix)

    return stages.load(module, kind, failed)


def _numpy(place: str) -> tuple[str, ...]:
    return ("numpy",)


def _strict(place: str) -> tuple[str, ...]:
    _loaded("array_api_strict", "asarray", "array-api-strict")
    return ("strict", "strict:device1", "strict:device2")


def _torch(place: str) -> tuple[str, ...]:
    torch = _loaded("torch", "Tensor", "torch")
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    kind, _, index = place.partition(":")
    if kind == "cuda":
        if torch.version.cuda is None:
            stop("devices", "this torch is built without CUDA", "pip install --force-reinstall torch")
        if n == 0:
            stop("devices", "torch sees no CUDA device", "nvidia-smi")
        check_index("torch:cuda", int(index or 0), n)
    if kind == "mps" and not mps:
        stop("devices", "torch sees no MPS device: it needs a Mac with Apple silicon")
    try:
        x = torch.ones((2, 2), dtype=torch.float32, device=place or None)
        check_product((x @ x).cpu().numpy())
    except Exception as error:
        stop("matmul", f"torch's matrix product failed: {said(error)}")
    gpus = (f"torch:cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(n))
    return ("torch:cpu", *gpus, *(("torch:mps",) if mps else ()))


def _jax(place: str) -> tuple[str, ...]:
    jax = _loaded("jax", "Array", "jax")
    platform, _, index = place.partition(":")
    if lost_threads("jax"):
        stop(
            "devices",
            "this process was forked from one that had loaded JAX, whose threads a fork does not copy: spawn it",
        )
    try:
        devices = jax.devices(platform or None)
    except RuntimeError as error:
        fix = {"gpu": 'pip install "jax[cuda13]"', "tpu": 'pip install "jax[tpu]"'}.get(platform, "")
        stop("devices", f"JAX sees no {platform or 'device'}: {said(error)}", fix)
    check_index(f"jax:{devices[0].platform}", int(index or 0), len(devices))
    try:
        x = jax.device_put(np.ones((2, 2), np.float32), devices[int(index or 0)])
        check_product(np.asarray(x @ x))
    except Exception as error:
        stop("matmul", f"JAX's matrix product failed: {said(error)}")
    platforms = dict.fromkeys(d.platform for d in [*jax.devices(), *jax.devices("cpu")])
    return tuple(f"jax:{p}:{i} ({d.device_kind})" for p in platforms for i, d in enumerate(jax.devices(p)))
