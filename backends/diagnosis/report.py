"""All that `portanet doctor` reports: what runs here, what does not, why, and the command that fixes it."""

from __future__ import annotations

import dataclasses
import os
import platform
from typing import Any

import numpy as np

from portanet.backends import select
from portanet.backends.diagnosis import blas
from portanet.backends.host import Memory, host_memory
from portanet.errors import BackendError, ConfigError

_TF32 = "CUPY_TF32=1 rounds CuPy's float32 products to 10 bits: errors near 1e-3; unset CUPY_TF32"


def report() -> dict[str, Any]:
    """Return what is here, ready for JSON; probes every backend, each with a kernel and a matrix product.

    Returns
    -------
    dict
        ``python``, ``platform``, ``numpy``: versions. ``auto``: ``backend`` that it takes, and ``why``.
        ``backends``: a list of the fields of :class:`~portanet.backends.Status`. ``blas``: the fields of
        :class:`~portanet.backends.diagnosis.blas.Blas`. ``memory``: of the ``host`` and of the ``device`` that
        ``auto`` takes, each with ``free`` and ``total`` in bytes, or None. ``warnings``: a list of sentences.
    """
    statuses = select.status()  # first: how JAX starts is decided here
    chosen, why = select.choose()
    device: Memory | None = None
    try:
        device = select.get("auto", quiet=True).memory()
    except (BackendError, ConfigError) as error:  # PORTANET_BACKEND names what cannot be used
        why = f"{why}: {error}"
    host, products = host_memory(), blas.describe()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "auto": {"backend": chosen, "why": why},
        "backends": [dataclasses.asdict(one) | {"devices": list(one.devices)} for one in statuses],
        "blas": dataclasses.asdict(products),
        "memory": {
            "host": {"free": host.free, "total": host.total},
            "device": None if device is None else {"free": device.free, "total": device.total},
        },
        "warnings": [*filter(None, (products.warning, _TF32 if os.environ.get("CUPY_TF32") == "1" else ""))],
    }
