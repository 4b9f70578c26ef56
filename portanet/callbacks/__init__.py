"""Callbacks: code run at points of training."""

from portanet.callbacks.averaging import *
from portanet.callbacks.base import Callback as Callback
from portanet.callbacks.checkpoints import *
from portanet.callbacks.learning_rate import *
from portanet.callbacks.loggers import *
from portanet.callbacks.stopping import *
from portanet.callbacks.trackers import *
from portanet.registry import subclasses_in

globals()["__all__"] = sorted([*subclasses_in(globals(), Callback), "Callback"])  # as in portanet.layers
