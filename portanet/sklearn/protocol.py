"""scikit-learn's own callbacks (``estimator.set_callbacks(...)``, since its version 1.9), called after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portanet import backends
from portanet.callbacks.base import Callback, TrainerView

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # an older scikit-learn has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "SklearnCallbackAdapter", "with_callbacks"]


class SklearnCallbackAdapter(Callback):
    """Makes a fit a task of scikit-learn's, and each epoch a task within it.

    `context` is scikit-learn's, of the fit, with an epoch for each subtask; `as_attributes` makes of a backend and
    arrays under the network's names the attributes that predict; `data` (X, y and metadata) are passed on.
    """

    def __init__(
        self, estimator: Any, context: Any, as_attributes: Callable[..., dict[str, Any]], data: dict[str, Any]
    ) -> None:
        self.estimator, self.data = estimator, {"estimator": estimator, **data}
        self.fit, self.as_attributes = context, as_attributes
        self.fit.call_on_fit_task_begin(**self.data)

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._end = end
        self._begin_epoch(trainer)

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        if self._epoch.call_on_fit_task_end(**self.data, reconstruction_attributes=lambda: self._weights(trainer)):
            trainer.stop("callback")
        if trainer.epoch < self._end and not trainer.stopping:
            self._begin_epoch(trainer)

    def done(self) -> None:
        """Tell that the fit has ended."""
        weights = {name: getattr(self.estimator, name) for name in ("coefs_", "intercepts_", "_rest")}
        self.fit.call_on_fit_task_end(**self.data, reconstruction_attributes=weights)

    def _begin_epoch(self, trainer: TrainerView) -> None:
        self._epoch = self.fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self.data, reconstruction_attributes=lambda: self._weights(trainer))

    def _weights(self, trainer: TrainerView) -> dict[str, Any]:
        """Return copies of the weights of now, as the attributes that predict; asked for only where they are used."""
        parts = trainer.snapshot()
        place = backends.of(self.estimator.coefs_[0])
        return self.as_attributes(place, {**parts["params"], **parts["buffers"]})
