"""Neural networks whose forward and backward passes are written by hand, once, against the Array API standard.

The public names are imported when they are first used (PEP 562), so that ``import portanet`` and ``portanet --help``
cost next to nothing and touch no GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from portanet.public import PUBLIC

if TYPE_CHECKING:
    from portanet import backends as backends
    from portanet import data as data
    from portanet.callbacks import *
    from portanet.distributed.ranks import *
    from portanet.engine.step import *
    from portanet.errors import *
    from portanet.files.description import *
    from portanet.fleet import *
    from portanet.initializers import *
    from portanet.inspection.trace import *
    from portanet.layers import *
    from portanet.losses.base import Loss as Loss
    from portanet.losses.cross_entropy import *
    from portanet.losses.regression import *
    from portanet.metrics.base import Metric as Metric
    from portanet.metrics.confusion import *
    from portanet.metrics.running import *
    from portanet.metrics.scikit import *
    from portanet.optimizers.base import Optimizer as Optimizer
    from portanet.optimizers.rules import *
    from portanet.random import *
    from portanet.schedules import *
    from portanet.training.history import *
    from portanet.training.load import *
    from portanet.training.trainer import *
    from portanet.verify.agreement import agree as agree
    from portanet.verify.gradient_check import *

__version__ = "0.2.0"

if not os.path.isdir(os.path.join(__path__[0], "backends")):  # a clone without links: the folder lies beside this one
    __path__.append(os.path.dirname(__path__[0]))

_MODULE_OF = {name: module for module, names in PUBLIC.items() for name in names.split()}

# Not assigned by name: type checkers take the imports above, and would take this for a list that they cannot read.
globals()["__all__"] = sorted([*_MODULE_OF, "backends", "data"])


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        globals()[name] = value = getattr(importlib.import_module(f"portanet.{_MODULE_OF[name]}"), name)
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"portanet.{name}") is not None:  # a module or folder
        return importlib.import_module(f"portanet.{name}")
    message = f"module 'portanet' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, "backends", "data"})
