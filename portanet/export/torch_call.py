"""What the plan for torch is made of: calls of modules, and arrays with their way to torch's layout and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from portanet.export.source import Step, transposed
from portanet.typing import Array, Shape

OWN = {"Concat", "Projected", "Rescale", "Residual", "Standardize", "Sum"}  # the modules that torch lacks


@dataclass(frozen=True)
class Call:
    """A torch module as the call that makes it; arguments may be calls themselves."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def text(self, indent: str = "") -> str:
        """Return it as a line of Python, or, if it holds other modules, as several."""
        name = self.name if self.name in OWN else f"nn.{self.name}"
        if any(isinstance(a, Call) for a in self.arguments):
            words = [a.text(f"{indent}    ") for a in self.arguments] + [f"{k}={v!r}" for k, v in self.options.items()]
            inner = "".join(f"{indent}    {word},\n" for word in words)
            return f"{name}(\n{inner}{indent})"
        words = [repr(a) for a in self.arguments] + [f"{k}={v!r}" for k, v in self.options.items()]
        return f"{name}({', '.join(words)})".replace("-inf", 'float("-inf")')

    def own(self) -> set[str]:
        """Return which of the modules that torch lacks are in it."""
        inner = [a.own() for a in self.arguments if isinstance(a, Call)]
        return set().union(*inner) | ({self.name} & OWN)


@dataclass(frozen=True)
class Entry:
    """An array here and there: names, torch's shape, and the way to torch's layout and back."""

    ours: str
    theirs: str
    shape: Shape
    forth: Callable[[Array], Array]
    back: Callable[[Array], Array]


@dataclass
class State:
    """What depends on the layers before, and on the whole network.

    Attributes
    ----------
    order : array of int or None
        The order of features after a Flatten of images, until a Dense: torch's feature j is our feature order[j].
    signals : bool
        Whether samples of two axes have their channels in front there, as Conv1d takes them.
    """

    order: Array | None = None
    signals: bool = False

    def front(self, shape: Shape) -> bool:
        """Return whether samples of this shape have their channels in front in torch."""
        return len(shape) == 3 or (len(shape) == 2 and self.signals)


Made = tuple[Call, list[Entry]]

Make = Callable[[Step, str, State], Made]
"""From a layer, the prefix of its arrays in torch and the order of features there, to its module."""


def same(array: Array) -> Array:
    """Return the array as it is, of what has the same layout in torch."""
    return array


def vectors(step: Step, prefix: str, state: State, **names: str) -> list[Entry]:
    """Return the entries of those arrays, with a number for each feature, that the layer has; and torch's names."""
    forth, back = same, same
    if state.order is not None:
        forth, back = (partial(np.take, indices=order, axis=0) for order in (state.order, np.argsort(state.order)))
    arrays = {ours: step.arrays[ours] for ours in names if ours in step.arrays}
    return [Entry(step.prefix + ours, prefix + names[ours], a.shape, forth, back) for ours, a in arrays.items()]


def weight(step: Step, prefix: str, axes: tuple[int, ...]) -> Entry:
    """Return the entry of a weight whose axes have this order in torch."""
    shape = tuple(step.arrays["weight"].shape[axis] for axis in axes)
    forth, back = (partial(transposed, axes=order) for order in (axes, tuple(np.argsort(axes))))
    return Entry(f"{step.prefix}weight", f"{prefix}weight", shape, forth, back)


def without_arrays(name: str, *fields: str, **options: Any) -> Make:
    """Return what makes the call of a module with these fields of the layer, as floats, and options."""
    return lambda step, prefix, state: (Call(name, tuple(float(getattr(step.layer, f)) for f in fields), options), [])
