"""Callbacks: code run at points of training."""

from portanet.callbacks.base import Callback
from portanet.callbacks.checkpoints import Checkpoint, TrainingCheckpoint
from portanet.callbacks.learning_rate import LearningRateSchedule, LowerRate
from portanet.callbacks.loggers import CSVLogger, JSONLLogger
from portanet.callbacks.stopping import EarlyStopping, TimeLimit
from portanet.callbacks.trackers import MLflow, TensorBoard

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "JSONLLogger",
    "LearningRateSchedule",
    "LowerRate",
    "MLflow",
    "TensorBoard",
    "TimeLimit",
    "TrainingCheckpoint",
]
