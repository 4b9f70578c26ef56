"""Neural networks whose forward and backward passes are written by hand, once, against the Array API standard.

The public names are imported when they are first used (PEP 562), so that ``import portanet`` and ``portanet --help``
cost next to nothing and touch no GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portanet import backends as backends
    from portanet import data as data
    from portanet.callbacks import *
    from portanet.distributed.ranks import *
    from portanet.errors import *
    from portanet.files.description import *
    from portanet.fleet import *
    from portanet.initializers import *
    from portanet.layers import *
    from portanet.losses import *
    from portanet.metrics import *
    from portanet.optimizers import *
    from portanet.schedules import *
    from portanet.training.history import *
    from portanet.training.load import *
    from portanet.training.trainer import *
    from portanet.verify.agreement import agree as agree
    from portanet.verify.gradient_check import *

__version__ = "0.1.0"

_PUBLIC = {
    "layers": "Augment AvgPool2D BatchNorm Conv2D CustomActivation Dense Dropout ELU Embedding Flatten GELU "
    "GlobalAvgPool2D Layer LayerNorm LeakyReLU MaxPool2D OneHot Parallel ReLU Rescale Reshape Residual Sequential "
    "Sigmoid Softmax Softplus Standardize Swish Tanh custom_activation",
    "losses": "BinaryCrossEntropy Huber Loss MeanAbsoluteError MeanSquaredError Poisson SoftmaxCrossEntropy "
    "SumSquaredError",
    "optimizers": "Adagrad Adam AdamW Lion Optimizer RMSprop SGD",
    "initializers": "Initializer initializer",
    "schedules": "Constant Cosine Exponential OneCycle Plateau Schedule StepDecay WarmUp",
    "metrics": "Accuracy MeanAbsoluteErrorMetric Metric R2 ScikitMetric TopK confusion_matrix",
    "training.trainer": "Trainer",
    "training.history": "History",
    "fleet": "Ensemble Fleet",
    "callbacks": "CSVLogger Callback Checkpoint EarlyStopping JSONLLogger LearningRateSchedule LowerRate MLflow "
    "TensorBoard TimeLimit TrainingCheckpoint",
    "distributed.ranks": "Ranks",
    "files.description": "save",
    "training.load": "load",
    "verify.gradient_check": "GradientCheck check_loss gradcheck",
    "errors": "BackendError CheckError ConfigError DataError DivergedError ModelFileError OutOfMemoryError "
    "PortanetError ShapeError",
    "agree": "agree",
}
"""What each module's ``__all__`` lists, written out so that looking up one name imports one module."""

_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}

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
