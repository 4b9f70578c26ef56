"""Methods that look into a model: thin ones over :mod:`portanet.inspection`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from portanet.inspection.attribution import input_gradients
from portanet.inspection.gradients import activations, gradients
from portanet.inspection.text import brief, bytes_in_words
from portanet.layers.summary import Summary, summary
from portanet.layers.words import net_in_words
from portanet.training import batch_size as memory
from portanet.typing import Array, Params

__all__ = ["Inspected"]


class Inspected:
    """Methods of :class:`portanet.Trainer` that look into its network, and change nothing."""

    def summary(self: Any, batch_size: int = 128) -> Summary:
        """Return the layers in a table: output shapes, parameters, memory; and what a step of training takes.

        Parameters
        ----------
        batch_size : int
            Number of samples of that step.
        """
        self.check_weights("summary")
        need = memory.of_a_step(self)
        slots = len(self.program.optimizer.slots)
        itemsize = int(self.dtype.removeprefix("float")) // 8
        size = itemsize * sum(math.prod(p.shape) for p in self.params.values())
        notes = (
            f"{type(self.loss).__name__}, {brief(self.program.optimizer)}, {self.dtype} on {self.backend.spec}",
            f"state of the optimizer: {bytes_in_words(slots * size)}",
            f"a training step on {batch_size} samples takes about {bytes_in_words(need.of(batch_size))} more",
        )
        return summary(self.net, self.input_shape, itemsize=itemsize, notes=notes)

    def activations(self: Any, x: Any, layers: Sequence[str] | None = None) -> dict[str, Array]:
        """Return the output of each layer for the samples `x`, without training (dropout is off).

        Parameters
        ----------
        x : array, frame or Dataset
            As :meth:`predict` takes it; of a Dataset the training part.
        layers : sequence of str, optional
            Which layers; by default all. :meth:`summary` lists their names in its first column.

        Returns
        -------
        dict of host arrays, shape (n, *output_shape)
            By the layer's name, ``"3.0"`` for the layer whose weight is ``"3.0.weight"``.
        """
        return activations(self, x, layers)

    def gradients(self: Any, x: Any, y: Any = None, *, sample_weight: Any = None, train: bool = False) -> Params:
        """Return the gradient of the loss by parameter, as host arrays; no parameter changes.

        It is the gradient of the loss that :meth:`evaluate` returns, penalties included.

        Parameters
        ----------
        x, y, sample_weight
            As :meth:`evaluate` takes them.
        train : bool
            Whether to take the loss of a training step in place of it: with the dropout masks of the next step, and
            with BatchNorm's statistics of these samples, which are taken as one batch.
        """
        return gradients(self, x, y, sample_weight, train=train)

    def input_gradients(
        self: Any, x: Any, y: Any = None, *, method: str = "loss", baseline: Any = None, tolerance: float = 1e-6
    ) -> Array:
        """Return gradients with respect to the inputs, a host array in the shape of `x`, (n, *input_shape).

        Parameters
        ----------
        x : array, frame or Dataset
            As :meth:`predict` takes it. Of a table the inputs are those that ``columns.names()`` lists.
        y : array, optional
            Targets. For saliency and integrated gradients the class index of each sample, or the number of the output;
            left out, the predicted class.
        method : str
            ``"loss"``: the gradient of each sample's own loss.
            ``"saliency"``: |∂z/∂x| of the output z (the logit of the class).
            ``"integrated"``: (x - b) times the mean of ∂z/∂x on the straight line from a baseline b to x: what each
            input contributes to z(x) - z(b). The contributions add up to it (completeness). Computed in float64.
        baseline : array, optional
            b, one sample or one for each. By default 0; of a table the means of its numbers, and no category.
        tolerance : float
            Largest difference between the sum of the contributions and z(x) - z(b), relative to the latter if it is
            above 1. A warning is logged if it is not reached.

        Notes
        -----
        Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034 (saliency); Sundararajan, Taly & Yan 2017, arXiv:1703.01365
        (integrated gradients).
        """
        return input_gradients(self, x, y, method=method, baseline=baseline, tolerance=tolerance)

    def __repr__(self: Any) -> str:
        words = net_in_words(self.net)
        size = sum(math.prod(p.shape) for p in self.params.values())
        about = [
            words if len(words) <= 100 else f"{words[:97]}...",
            f"{size:,} parameters" if self.input_shape else "no weights yet",
            type(self.loss).__name__,
            brief(self.program.optimizer),
            f"{self.dtype} on {self.backend.spec}",
            f"epoch {self.state.epoch}",
        ]
        return f"<{type(self).__name__}: {'; '.join(about)}>"
