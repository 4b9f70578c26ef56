"""Callbacks that log to experiment trackers: TensorBoard and MLflow, each through its own package."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import check_flag, check_path, check_text, flag
from portanet.errors import DataError, need
from portanet.files.schema import TEXT_OR_NONE, check_values
from portanet.layers.words import net_in_words

__all__ = ["MLflow", "TensorBoard"]

_LONGEST = 500  # characters of a value: the limit of all versions of MLflow


class TensorBoard(Callback):
    """Log metrics per epoch and the hyperparameters to TensorBoard; show them with ``tensorboard --logdir runs``.

    The columns of the history are scalars under their own names, with the epoch as the step. A later fit continues in
    the same folder. If a training is resumed, TensorBoard's restart event discards what an earlier start wrote after
    the checkpoint. Only the package tensorboard is needed, neither torch nor TensorFlow.

    Parameters
    ----------
    log_dir : str or Path
        Folder of this training, created if it does not exist; TensorBoard compares folders of the same parent.

    Raises
    ------
    ConfigError
        When training begins, if tensorboard is not installed.
    DataError
        If the folder cannot be written to.
    """

    every_batch = False
    writes = True

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self.log_dir = check_path("TensorBoard: log_dir", log_dir)
        self._writer: Any = None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        writers, hparams = _tensorboard("summary.writer.event_file_writer"), _tensorboard("plugins.hparams.summary_v2")
        try:
            self._writer = writers.EventFileWriter(str(self.log_dir))
        except OSError as error:
            message = f"TensorBoard: {self.log_dir}: cannot be written ({error.strerror or error}); name another folder"
            raise DataError(message) from None
        if trainer.resumed:
            log = _tensorboard("compat.proto.event_pb2").SessionLog
            self._add(session_log=log(status=log.START), step=trainer.epoch + 1)
        self._add(summary=hparams.hparams_pb(hyper_parameters(trainer)), step=trainer.epoch)

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        proto = _tensorboard("compat.proto.summary_pb2")
        values = [proto.Summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "epoch"]
        self._add(summary=proto.Summary(value=values), step=trainer.epoch)

    def on_fit_end(self, trainer: TrainerView) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, **event: Any) -> None:
        self._writer.add_event(_tensorboard("compat.proto.event_pb2").Event(wall_time=time.time(), **event))
        self._writer.flush()  # so that each epoch is visible when it ends


def _tensorboard(module: str) -> Any:
    return need(f"tensorboard.{module}", "tensorboard", "this callback")


class MLflow(Callback):
    """Log the hyperparameters, the metrics of each epoch and, optionally, the trained network to MLflow.

    If a run is active (``with mlflow.start_run():``) and none of the first three arguments is given, that run is used
    and left open. Otherwise a run is created, and ends with the training. A later fit and a resumed training continue
    in the same run; epochs that are already logged there are not logged again.

    Parameters
    ----------
    tracking_uri : str, optional
        Where MLflow stores its runs: ``"sqlite:///mlflow.db"`` or a server. Default: MLflow's setting.
    experiment : str, optional
        Name of the experiment, created if it does not exist. Default: MLflow's default experiment.
    run_name : str, optional
    save_model : bool
        Whether to save the network as the artifact ``model.safetensors`` when training ends.

    Attributes
    ----------
    run_id : str or None
        ID of the run.

    Raises
    ------
    ConfigError
        When training begins, if mlflow is not installed.
    DataError
        If MLflow raises an error; with its message.
    """

    every_batch = False
    writes = True
    runs_last = True
    ends_last = True  # saves the network after callbacks that restore the best weights

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        run_name: str | None = None,
        *,
        save_model: bool = False,
    ) -> None:
        self.tracking_uri, self.experiment, self.run_name = tracking_uri, experiment, run_name
        for name, value in vars(self).items():
            if value is not None:
                check_text(f"MLflow: {name}", value)
        check_flag("MLflow: save_model", save_model)
        self.save_model = save_model
        self.run_id: str | None = None
        self._client: Any = None
        self._made = False
        self._written = 0

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        mlflow = need("mlflow", "mlflow", "this callback")
        self._written = 0
        with _told():
            self._client = mlflow.MlflowClient(self.tracking_uri)
            if self.run_id is not None:
                self._client.update_run(self.run_id, status="RUNNING")
                return
            active = None if (self.tracking_uri or self.experiment or self.run_name) else mlflow.active_run()
            self._made = active is None
            self.run_id = self._new_run(mlflow) if active is None else active.info.run_id
            params = [mlflow.entities.Param(name, str(value)) for name, value in hyper_parameters(trainer).items()]
            self._client.log_batch(self.run_id, params=params)

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        if trainer.epoch <= self._written:
            return
        entities = need("mlflow.entities", "mlflow", "this callback")
        now = int(time.time() * 1000)
        metrics = [entities.Metric(name, value, now, trainer.epoch) for name, value in row.items() if name != "epoch"]
        with _told():
            self._client.log_batch(self.run_id, metrics=metrics)

    def on_fit_end(self, trainer: TrainerView) -> None:
        if self._client is None or self.run_id is None:
            return
        failed = trainer.history.stopped in ("error", "diverged")
        with _told():
            if self.save_model and not failed:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "model.safetensors"
                    trainer.save(file)
                    self._client.log_artifact(self.run_id, str(file))
            if self._made:
                self._client.set_terminated(self.run_id, "FAILED" if failed else "FINISHED")
        self._client = None

    def state(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "made": self._made}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        check_values(state, {"run_id": TEXT_OR_NONE, "made": flag})

    def load_state(self, state: dict[str, Any]) -> None:
        with _told():
            if self._made and self.run_id not in (None, state["run_id"]):
                self._client.delete_run(self.run_id)  # just created, and empty
            self.run_id, self._made = state["run_id"], state["made"]
            if self.run_id is not None:
                self._client.update_run(self.run_id, status="RUNNING")
                logged = self._client.get_metric_history(self.run_id, "loss")
                self._written = max((metric.step for metric in logged), default=0)

    def _new_run(self, mlflow: Any) -> str:
        experiment = "0"  # MLflow's default experiment
        if self.experiment is not None:
            found = self._client.get_experiment_by_name(self.experiment)
            experiment = self._client.create_experiment(self.experiment) if found is None else found.experiment_id
        elif self.tracking_uri is None:
            experiment = os.environ.get("MLFLOW_EXPERIMENT_ID", experiment)
        return str(self._client.create_run(experiment, run_name=self.run_name).info.run_id)


def hyper_parameters(trainer: TrainerView) -> dict[str, str | float]:
    """Return the hyperparameters of a training as plain values under flat names: ``{"optimizer.lr": 0.1, ...}``."""
    count = sum(math.prod(p.shape) for p in trainer.params.values())
    found: dict[str, Any] = {"net": net_in_words(trainer.net), "parameters": count}
    for name, thing in (("loss", trainer.loss), ("optimizer", trainer.optimizer), ("schedule", trainer.schedule)):
        found[name] = type(thing).__name__
        fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
        found |= {f"{name}.{field.name}": getattr(thing, field.name) for field in fields}
    if trainer.fit_info is not None:
        found |= {"batch_size": trainer.fit_info.batch_size, "samples": trainer.fit_info.samples}
    found |= {name: getattr(trainer, name) for name in ("l1", "l2", "dtype", "seed")}
    found["backend"] = trainer.backend.spec
    plain = {name: value for name, value in found.items() if value is not None}
    return {n: v if isinstance(v, int | float) else str(v)[:_LONGEST] for n, v in plain.items()}


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise an error of MLflow as DataError, with its message."""
    exceptions = need("mlflow.exceptions", "mlflow", "this callback")
    try:
        yield
    except exceptions.MlflowException as error:
        message = f"MLflow: it refuses this ({str(error).splitlines()[0]:.300})"
        raise DataError(message) from None
