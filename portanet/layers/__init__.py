"""The layers, a family per file; the ``__all__`` of each file says which of its names are public."""

from portanet.layers.activations import *
from portanet.layers.augment import *
from portanet.layers.base import Layer as Layer
from portanet.layers.blocks import *
from portanet.layers.branches import *
from portanet.layers.committee import *
from portanet.layers.config import LAYERS
from portanet.layers.conv import *
from portanet.layers.conv_transpose import *
from portanet.layers.custom import *
from portanet.layers.dense import *
from portanet.layers.dropout import *
from portanet.layers.embedding import *
from portanet.layers.gelu import *
from portanet.layers.group_norm import *
from portanet.layers.hard import *
from portanet.layers.interpolate import *
from portanet.layers.norm import *
from portanet.layers.ntk import *
from portanet.layers.one_hot import *
from portanet.layers.parallel import *
from portanet.layers.parametric import *
from portanet.layers.periodic import *
from portanet.layers.pool import *
from portanet.layers.preprocess import *
from portanet.layers.reshape import *
from portanet.layers.residual import *
from portanet.layers.resize import *
from portanet.layers.response_norm import *
from portanet.layers.scale import *
from portanet.layers.sequential import *
from portanet.layers.signals import *
from portanet.layers.smooth import *
from portanet.registry import subclasses_in

LAYERS.update(subclasses_in(globals(), Layer))
# Not assigned by name: type checkers take the imports above, and would take this for a list that they cannot read.
globals()["__all__"] = sorted([*LAYERS, "Layer", "custom_activation"])
