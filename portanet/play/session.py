"""A session of the page: a network and its data, and what the page asks of them. Plain values go in and come out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.errors import ConfigError, DataError, DivergedError, unknown
from portanet.inspection.trace import trace
from portanet.layers.tree import walk
from portanet.layers.words import layer_words
from portanet.play import digits, drawing, shipped
from portanet.play.back import way_back
from portanet.play.network import shares, trainer
from portanet.play.plain import block, numbers
from portanet.play.points import grid, points, view
from portanet.play.settings import checked
from portanet.random import generator

if TYPE_CHECKING:
    from portanet.training.model import Model

__all__ = ["KINDS", "Session"]

KINDS = ("points", "digit")
MOST_STEPS, MOST_SIDE = 1000, 128
_BACK = 256  # samples on which gradients are taken, at most
_MAPS = 20  # places along a side of a unit's map


class Session:
    """A network on points in the plane, which trains, or one of handwritten digits, which looks at drawings.

    All numbers come from :class:`portanet.Trainer`, and from the layers and losses of the library, on NumPy.

    Parameters
    ----------
    kind : str
        ``"points"`` or ``"digit"``.
    settings : dict, optional
        Of the points: see :data:`portanet.play.settings.FIELDS`. Of the digit there are none.
    network : Model, optional
        A trained network of images for ``"digit"``; by default the small one that is installed with portanet.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of its range (all are listed), or the network takes no images.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any] | None = None, *, network: Model | None = None) -> None:
        if kind not in KINDS:
            raise ConfigError(unknown("kind", kind, KINDS))
        self.kind, self.steps, self.epoch = kind, 0, 0
        self.settings: dict[str, Any] = {}
        self.accuracy: float | None = None
        if kind == "digit":
            if settings:
                message = f"settings: a digit has none, got {', '.join(map(str, settings))}; leave them out"
                raise ConfigError(message)
            if network is None:
                network, self.accuracy = shipped.load()
            self.trainer: Any = network
            self.side, self.white = digits.form(network)
            return
        self.settings = checked(settings)
        self.data = points(self.settings)
        self.trainer = trainer(self.settings, len(self.data.classes))
        self.trainer.init((2,))
        self.view = view(self.data)
        self._order: list[HostArray] = []

    def about(self) -> dict[str, Any]:
        """Return what does not change: settings, points and view, layers, classes."""
        net = self.trainer.net
        layers = [{"name": path, "words": layer_words(one)} for path, one in walk(net) if not one.children()]
        found: dict[str, Any] = {
            **{"kind": self.kind, "settings": self.settings, "layers": layers},
            "parameters": sum(math.prod(p.shape) for p in self.trainer.params.values()),
            "classes": list(self.trainer.classes) or [str(i) for i in range(max(self.trainer.outputs, 2))],
        }
        if self.kind == "digit":
            return found | {"side": self.side, "accuracy": self.accuracy, "input_shape": list(self.trainer.input_shape)}
        parts = {"train": (self.data.x, self.data.y), "test": (self.data.x_test, self.data.y_test)}
        listed = {
            name: [*x.T.tolist(), y.tolist()] for name, (x, y) in parts.items() if x is not None and y is not None
        }
        return found | {"view": self.view, "points": listed}

    def step(self, n: int = 1) -> dict[str, Any]:
        """Take `n` steps of training and return losses and accuracies after them.

        Raises
        ------
        DivergedError
            If the loss is no longer finite; the weights stay as they are.
        """
        self._belongs("step", "points")
        if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST_STEPS:
            message = f"step: expected 0 to {MOST_STEPS} steps, got {n!r:.40}"
            raise ConfigError(message)
        for _ in range(n):
            if not self._order:
                size = self.settings["batch"] or len(self.data.x)
                order = generator(self.settings["seed"], "shuffle", self.epoch).permutation(len(self.data.x))
                self._order = [order[i : i + size] for i in range(0, len(order), size)]
            rows = self._order.pop(0)
            self.trainer.train_batch(self.data.x[rows], self.data.y[rows])
            self.steps += 1
            self.epoch += not self._order
        return self.score()

    def score(self) -> dict[str, Any]:
        """Return the losses and accuracies of the training part and the test part, and the number of steps so far."""
        train = self.trainer.evaluate(self.data.x, self.data.y)
        if not math.isfinite(train["loss"]):
            message = f"the loss is {train['loss']} after {self.steps} steps; lower the learning rate and start again"
            raise DivergedError(message)
        found = {"steps": self.steps, "epoch": self.epoch, "loss": train["loss"], "accuracy": train["accuracy"]}
        if self.data.x_test is None:
            return found | {"test_loss": None, "test_accuracy": None}
        test = self.trainer.evaluate(self.data.x_test, self.data.y_test)
        return found | {"test_loss": test["loss"], "test_accuracy": test["accuracy"]}

    def boundary(self, side: int = 40) -> dict[str, Any]:
        """Return the share of each class at side × side places of the view, row by row from the top."""
        self._belongs("boundary", "points")
        if isinstance(side, bool) or not isinstance(side, int) or not 2 <= side <= MOST_SIDE:
            message = f"boundary: expected a side of 2 to {MOST_SIDE} places, got {side!r:.40}"
            raise ConfigError(message)
        predicted = self.trainer.predict(grid(self.view, side))
        return {"side": side, "classes": numbers(shares(predicted, self.settings["loss"]).T, 3)}

    def maps(self) -> dict[str, Any]:
        """Return the output of each unit of each dense layer, after its activation, over a coarse grid of the view."""
        self._belongs("maps", "points")
        outputs = self.trainer.activations(grid(self.view, _MAPS))
        shown: dict[str, Any] = {}
        for path, layer in walk(self.trainer.net):
            if hasattr(layer, "units"):
                last = path
            if path:
                shown[last] = outputs[path]  # what follows a dense layer, up to the next one, is its activation
        return {"side": _MAPS, "layers": {path: numbers(own.T, 3) for path, own in shown.items()}}

    def weights(self) -> dict[str, Any]:
        """Return the weights of the dense layers, ``{"0": [[...]]}``, a row for each input."""
        self._belongs("weights", "points")
        params = self.trainer.params
        return {name.removesuffix(".weight"): np.asarray(p).tolist() for name, p in params.items() if "weight" in name}

    def gradients(self) -> dict[str, Any]:
        """Return the way back on the first training samples; see :func:`portanet.play.back.way_back`."""
        self._belongs("gradients", "points")
        return way_back(self.trainer, self.data.x[:_BACK], self.data.y[:_BACK])

    def activations(self, x: Any) -> dict[str, Any]:
        """Return the output of each layer for some samples, as nested lists by the layer's name."""
        samples = self._samples(x)
        return {name: y.tolist() for name, y in self.trainer.activations(samples).items() if name}

    def predict(self, image: Any, *, centre: bool = True) -> dict[str, Any]:
        """Return what the network sees in a drawing.

        Parameters
        ----------
        image : list of lists
            Numbers from 0 (paper) to 1 (ink).
        centre : bool
            Whether it is cut out, scaled and centred as MNIST's images are; else it must have the network's size.

        Returns
        -------
        dict
            ``probabilities`` by class, ``label``, the ``image`` as the network gets it, from 0 to 1, the ``layers``
            with their outputs as pictures, and ``pixels``, the gradient of the loss for that label by pixel.
        """
        self._belongs("predict", "digit")
        x = self._drawn(image, centre)
        return digits.seen(self.trainer, x, self.side, self.white)

    def trace(self, sample: int = 0, image: Any = None, label: Any = None, *, centre: bool = True) -> dict[str, Any]:
        """Return the next training step on one sample in numbers; nothing changes.

        Parameters
        ----------
        sample : int
            The number of a training point.
        image, label, centre
            Of a digit: the drawing, as :meth:`predict` takes it, and its class; by default the predicted one.
        """
        if self.kind == "digit":
            x = self._drawn(image, centre)
            y = np.asarray(self.trainer.predict_classes(x) if label is None else [self._index("label", label)])
        else:
            i = sample if isinstance(sample, int) and not isinstance(sample, bool) else -1
            if not 0 <= i < len(self.data.x):
                message = f"sample: expected 0 to {len(self.data.x) - 1}, got {sample!r:.40}"
                raise ConfigError(message)
            x, y = self.data.x[i : i + 1], self.data.y[i : i + 1]
        found = trace(self.trainer, x, y)
        parts = {name: [block(one) for one in blocks] for name, blocks in found.parts.items()}
        return {"about": found.about, "loss": found.value, "label": int(y[0]), "parts": parts}

    def source(self, layer: str) -> dict[str, Any]:
        """Return the lines of the library that compute a layer, forward and backward."""
        known = {path: one for path, one in walk(self.trainer.net) if path}
        if layer not in known:
            raise ConfigError(unknown("layer", layer, known))
        kind = type(known[layer])
        lines, start = inspect.getsourcelines(kind)
        return {"title": kind.__name__, "module": kind.__module__, "line": start, "source": "".join(lines)}

    def _samples(self, x: Any) -> HostArray:
        if self.kind == "digit":
            return self._drawn(x, False)
        try:
            samples = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError):
            samples = np.zeros(())
        if samples.ndim != 2 or samples.shape[1] != 2 or not 0 < len(samples) <= MOST_SIDE**2:
            message = f"x: expected up to {MOST_SIDE**2} points [x, y], got {x!r:.60}"
            raise DataError(message)
        return samples

    def _drawn(self, image: Any, centre: bool) -> HostArray:
        drawn = drawing.image(image)
        if centre:
            drawn = drawing.centred(drawn, self.side)
        elif drawn.shape != (self.side, self.side):
            message = f"image: expected {self.side}×{self.side} pixels, got {drawn.shape}; or let it be centred"
            raise DataError(message)
        return digits.batch(drawn, self.trainer, self.white)

    def _index(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < max(self.trainer.outputs, 2):
            message = f"{name}: expected the number of a class, got {value!r:.40}"
            raise ConfigError(message)
        return value

    def _belongs(self, what: str, kind: str) -> None:
        if self.kind != kind:
            message = f"{what}: belongs to a session of kind {kind!r}, this is {self.kind!r}"
            raise ConfigError(message)
