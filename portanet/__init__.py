"""Neural networks whose forward and backward passes are written by hand, once, against the Array API standard.

The public names are those that the modules below list in their ``__all__``. They are imported when they are first used
(PEP 562), so that ``import portanet`` and ``portanet --help`` cost next to nothing and touch no GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portanet import backends as backends
    from portanet import data as data
    from portanet.callbacks import *
    from portanet.distributed import *
    from portanet.errors import *
    from portanet.files.description import *
    from portanet.fleet import *
    from portanet.initializers import *
    from portanet.layers import *
    from portanet.losses import *
    from portanet.metrics import *
    from portanet.optimizers import *
    from portanet.schedules import *
    from portanet.training.trainer import *
    from portanet.verify.gradient_check import *

__version__ = "0.1.0"

_SUBMODULES = ("backends", "data")
_MODULES = (
    "layers",
    "losses",
    "optimizers",
    "initializers",
    "schedules",
    "metrics",
    "training.trainer",
    "fleet",
    "callbacks",
    "distributed",
    "files.description",
    "verify.gradient_check",
    "errors",
)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES or name in _MODULES:
        return importlib.import_module(f"portanet.{name}")
    if name == "__all__":
        found = [n for module in _MODULES for n in importlib.import_module(f"portanet.{module}").__all__]
        return sorted([*found, *_SUBMODULES])
    if not name.startswith("_"):
        if importlib.util.find_spec(f"portanet.{name}") is not None:  # a module; looking for it elsewhere imports all
            return importlib.import_module(f"portanet.{name}")
        for module_name in _MODULES:
            module = importlib.import_module(f"portanet.{module_name}")
            if name in module.__all__:
                value = getattr(module, name)
                globals()[name] = value
                return value
    message = f"module 'portanet' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted([*globals(), *__getattr__("__all__")])
