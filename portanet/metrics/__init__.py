"""Metrics: quantities reported next to the loss.

During training and evaluation a metric gives a few numbers a batch (``batch``), which stay on the device, and one
number an epoch from all of them (``merge``), on the host. The functions on whole label arrays run on the host.
"""

from portanet.metrics.base import Metric as Metric
from portanet.metrics.base import measure as measure
from portanet.metrics.confusion import *
from portanet.metrics.named import METRICS as METRICS
from portanet.metrics.named import MetricLike as MetricLike
from portanet.metrics.named import get as get
from portanet.metrics.running import *
from portanet.metrics.scikit import *
from portanet.registry import subclasses_in

globals()["__all__"] = sorted(
    [*subclasses_in(globals(), Metric), "Metric", "confusion_matrix"]
)  # as in portanet.layers
