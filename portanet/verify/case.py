"""What a case is: a layer or a loss, and random arrays to try it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portanet import layers, losses
from portanet.random import generator
from portanet.typing import Shape


@dataclass(frozen=True)
class LayerCase:
    """A layer and the shape of a sample for it."""

    layer: layers.Layer
    shape: Shape
    whole_numbers: int = 0
    """Draw inputs from 0 … whole_numbers - 1 instead of normal ones."""

    @property
    def id(self) -> str:
        """What the case is called in a list."""
        return f"{type(self.layer).__name__}-{'x'.join(map(str, self.shape))}"

    def samples(self, rng: Any, n: int) -> Any:
        """Return n random samples, float64 host array."""
        shape = (n, *self.shape)
        if not self.whole_numbers:
            return rng.normal(size=shape)
        return rng.integers(0, self.whole_numbers, shape).astype("float64")


@dataclass(frozen=True)
class LossCase:
    """A loss, the shape of a prediction, and what kind of target it takes.

    `target` is ``"classes"`` (indices), ``"shares"`` (rows that sum to 1), ``"yesno"``, ``"counts"`` or ``"numbers"``,
    of which there are as many as the loss takes for the outputs.
    """

    loss: losses.Loss
    shape: Shape
    target: str

    @property
    def id(self) -> str:
        """What the case is called in a list."""
        return f"{type(self.loss).__name__}-{'x'.join(map(str, self.shape))}-{self.target}"

    def arrays(self, seed: int = 0) -> tuple[Any, Any, Any]:
        """Return prediction, target and sample weights as host arrays; predictions keep off the kinks at y = t, ±1."""
        rng = generator(seed, "loss case")
        *_, n, outputs = self.shape
        if self.target == "classes":
            target = rng.integers(0, outputs, self.shape[:-1]).astype("int32")
        elif self.target == "shares":
            target = rng.dirichlet([1.0] * outputs, self.shape[:-1])
        elif self.target == "yesno":
            target = (rng.random(self.shape) < 0.5).astype("float64")
        elif self.target == "counts":
            target = rng.poisson(2.0, self.shape).astype("float64")
        else:
            target = rng.normal(size=(*self.shape[:-1], self.loss.targets(outputs)))
        prediction = rng.normal(size=self.shape)
        if self.target == "numbers":
            distance = rng.choice([0.1, 0.5, 0.9, 1.1, 2.5], target.shape) * rng.choice([-1, 1], target.shape)
            prediction[..., : target.shape[-1]] = target + distance
        return prediction, target, rng.random(n) + 0.1
