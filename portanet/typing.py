"""Names for the types that pass between portanet's parts."""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that speaks the Array API standard; the standard has no runtime type for it."""

Params: TypeAlias = dict[str, Array]
"""Parameters, gradients or buffers under flat names: ``{"0.weight": ..., "0.bias": ...}``."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one sample, without the batch axis."""
