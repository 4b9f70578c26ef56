"""The layers that torch.nn lacks, as torch modules; imported, or printed, where a network has one of them."""

from __future__ import annotations

import torch
from torch import nn


class Rescale(nn.Module):
    """The same affine map of every input, y = scale x + offset."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


class Standardize(nn.Module):
    """Each feature with mean 0 and standard deviation 1, by fixed numbers."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("inverse_std", torch.ones(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, inverse_std = self.get_buffer("mean"), self.get_buffer("inverse_std")
        return (x - mean) * inverse_std


class Residual(nn.Sequential):
    """The input added to what the inner modules make of it, y = x + f(x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Projected(nn.Sequential):
    """What the first inner module makes of the input, and what the second (the shortcut) does, added."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        path, shortcut = self
        return shortcut(x) + path(x)


class Sum(nn.Sequential):
    """The sum of what each inner module makes of the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *others = (path(x) for path in self)
        for y in others:
            first = first + y
        return first


class Concat(nn.Sequential):
    """What each inner module makes of the input, concatenated along an axis."""

    def __init__(self, *paths: nn.Module, dim: int = 1) -> None:
        super().__init__(*paths)
        self.dim = dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([path(x) for path in self], dim=self.dim)
