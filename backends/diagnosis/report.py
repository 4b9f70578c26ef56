"""All that `portanet doctor` tells: what runs here, what does not, why, and the command that mends it."""

from __future__ import annotations

import dataclasses
import os
import platform
from typing import Any

import numpy as np

from portanet.backends import select
from portanet.backends.diagnosis import blas
from portanet.backends.host import host_memory

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
    chosen, why = select.choose()
    host, device, products = host_memory(), select.get(chosen).memory(), blas.describe()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "auto": {"backend": chosen, "why": why},
        "backends": [dataclasses.asdict(one) | {"devices": list(one.devices)} for one in select.status()],
        "blas": dataclasses.asdict(products),
        "memory": {
            "host": {"free": host.free, "total": host.total},
            "device": None if device is None else {"free": device.free, "total": device.total},
        },
        "warnings": [*filter(None, (products.warning, _TF32 if os.environ.get("CUPY_TF32") == "1" else ""))],
    }
