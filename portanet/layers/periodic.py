"""Vectors for numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative, Positive
from portanet.errors import ShapeError
from portanet.layers.base import RatedLayer, sum_leading
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["PeriodicEmbedding"]


@dataclass(frozen=True)
class PeriodicEmbedding(RatedLayer):
    """Vector for each numerical feature: waves of learned frequencies, and an affine map of these.

    Forward   z  = 2π c x + φ,   p = cos z,   u = p W + b  for each feature;   y = [u of all features, x]
              without a phase: z = 2π c x,   p = [cos z, sin z];   without skip: y = u of all features
    Backward  du = the first part of dy,   dW = pᵀ du,   db = Σ_rows du,   dp = du Wᵀ,   dz = -dp sin z (+ dp cos z)
              dc = Σ_rows 2π x dz,   dφ = Σ_rows dz,   dx = Σ 2π c dz + the last part of dy
    Shapes    x (*stack, n, f), c and φ (*stack, f, k), W (*stack, f, k or 2 k, units), b (*stack, f, units),
              y (*stack, n, f units + f)
    Source    Gorishniy, Rubachev & Babenko 2022, arXiv:2203.05556 (PLR: without phase and skip, then ReLU);
              Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 (PBLD: with phase and skip, no ReLU)

    Drawn as in these: c normal with deviation sigma, φ uniform over (-π, π), W and b uniform over ±1/√(rows of W).

    Parameters
    ----------
    units : int
        Length of a feature's vector, 1 or more, without the feature itself.
    frequencies : int
        k, the number of waves of a feature, 1 or more.
    sigma : float
        Standard deviation of the first frequencies, above 0.
    phase : bool
        Whether a wave is a cosine with a learned phase; else it is a sine and a cosine.
    skip : bool
        Whether the features themselves follow after the vectors.
    rate : float
        Factor on the learning rate of all its parameters; 0 freezes them.
    """

    units: Count = 3
    frequencies: Count = 16
    sigma: Positive = 0.1
    phase: bool = True
    skip: bool = True
    rate: NotNegative = field(default=1.0, kw_only=True)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) != 1:
            message = f"expected rows of features, got samples of shape {tuple(in_shape)}; add Flatten() before it"
            raise ShapeError(message)
        (f,), k = in_shape, self.frequencies
        rows = k if self.phase else 2 * k
        limit = 1 / math.sqrt(rows)
        params = {"frequency": rng.normal(0.0, self.sigma, (f, k))}
        if self.phase:
            params["phase"] = rng.uniform(-math.pi, math.pi, (f, k))
        params["weight"] = rng.uniform(-limit, limit, (f, rows, self.units))
        params["bias"] = rng.uniform(-limit, limit, (f, self.units))
        return params, (f * self.units + (f if self.skip else 0),)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        turn = (2 * math.pi) * params["frequency"][..., None, :]  # (*stack, f, 1, k)
        column = xp.matrix_transpose(x)[..., None]  # (*stack, f, n, 1): each feature by itself
        z = column * turn
        if self.phase:
            z += params["phase"][..., None, :]
        p = xp.cos(z) if self.phase else xp.concat([xp.cos(z), xp.sin(z)], axis=-1)
        u = p @ params["weight"] + params["bias"][..., None, :]  # (*stack, f, n, units)
        u = xp.moveaxis(u, -3, -2)
        y = xp.reshape(u, (*u.shape[:-2], u.shape[-2] * u.shape[-1]))
        if self.skip:
            y = xp.concat([y, xp.broadcast_to(x, (*y.shape[:-1], x.shape[-1]))], axis=-1)
        return y, (column, turn, z, p, params["weight"])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        column, turn, z, p, weight = cache
        xp = namespace(dy)
        f, units = weight.shape[-3], self.units
        du = xp.reshape(dy[..., : f * units], (*dy.shape[:-1], f, units))
        du = xp.moveaxis(du, -2, -3)  # (*stack, f, n, units)
        dp = du @ xp.matrix_transpose(weight)
        k = self.frequencies
        dz = -(dp[..., :k] * (xp.sin(z) if self.phase else p[..., k:]))
        grads = {"weight": xp.matrix_transpose(p) @ du, "bias": xp.sum(du, axis=-2)}
        if self.phase:
            grads["phase"] = xp.sum(dz, axis=-2)
        else:
            dz += dp[..., k:] * p[..., :k]
        grads["frequency"] = (2 * math.pi) * (xp.matrix_transpose(column) @ dz)[..., 0, :]
        if not need_dx:
            return None, grads
        dx = xp.matrix_transpose((dz @ xp.matrix_transpose(turn))[..., 0])
        if self.skip:
            dx = dx + dy[..., f * units :]
        return sum_leading(dx, column.ndim - 1, xp), grads
