"""Metrics by name, and functions as metrics."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable
from typing import TypeAlias

from portanet.errors import ConfigError, install, unknown
from portanet.metrics import running, scikit
from portanet.metrics.base import Metric
from portanet.registry import Registry, subclasses_in

MetricLike: TypeAlias = Metric | str | Callable[..., float]

_OWN = subclasses_in(vars(running), Metric).values()
METRICS: Registry[Metric] = Registry(
    "metric", Metric, {kind.name: kind for kind in _OWN if isinstance(getattr(kind, "name", None), str)}
)
"""Those of a fixed name; that of TopK depends on its argument."""


def get(spec: MetricLike) -> Metric:
    """Return the metric that `spec` is or names: ``accuracy``, ``mae``, ``r2``, ``top_5``, or one of sklearn.metrics.

    A function is one of sklearn.metrics, or a custom one: ``f(y_true, y_pred) -> float``, with a name of its own.

    Raises
    ------
    ConfigError
        If the name is neither ours nor, where scikit-learn is installed, its own; or a function cannot be a metric.
    """
    if isinstance(spec, Metric):
        return spec
    if callable(spec) and not isinstance(spec, type):
        return _of_function(spec)
    if not isinstance(spec, str):
        hint = f"; make one of it: {spec.__name__}()" if isinstance(spec, type) else ""
        message = f"metric: expected a name or a Metric, got {spec!r}{hint}"
        raise ConfigError(message)
    if spec in METRICS:
        return METRICS[spec]()
    head, _, k = spec.partition("_")
    if head == "top" and k.isdecimal() and len(k) < 10 and int(k) > 0:
        return running.TopK(int(k))
    hint = ""
    try:
        # A name that cannot be a function's, as a file may hold it, is not worth the import.
        known = importlib.import_module("sklearn.metrics") if spec.isidentifier() and len(spec) < 60 else None
        function = getattr(known, spec, None)
        first = next(iter(inspect.signature(function).parameters), "") if inspect.isfunction(function) else ""
        if first in ("y_true", "y1"):  # it compares targets and predictions; clusterings and distances do not
            return scikit.ScikitMetric(spec)
    except ImportError:
        hint = f"; more come from scikit-learn, which is not installed; {install('sklearn')}"
    raise ConfigError(unknown("metric", spec, [*METRICS, "top_5"]) + hint, missing=(spec,))


def _of_function(function: Callable[..., float]) -> Metric:
    name = getattr(function, "__name__", "")
    if str(getattr(function, "__module__", "")).startswith("sklearn.metrics"):
        return get(name)
    taken, fits = name in ("epoch", "loss", "lr", "seconds"), False
    with contextlib.suppress(ConfigError):
        taken = taken or get(name) is not None  # under that name a file would bring the other one back
    with contextlib.suppress(TypeError, ValueError):
        fits = inspect.signature(function).bind(None, None) is not None
    if taken or not fits or not name.isidentifier():
        why = f"the name {name!r} is taken" if taken else "it does not take (y_true, y_pred)" if not fits else "no name"
        message = f"metric: got {function!r:.60} ({why}); write def name(y_true, y_pred): ... with a name of its own"
        raise ConfigError(message)
    return scikit.FunctionMetric(name, function)
