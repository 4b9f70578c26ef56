"""The mean of a gradient along a line, by quadrature that adapts to the kinks of the function."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from portanet import backends

__all__ = ["Integral"]

Along = Callable[[Any], tuple[Any, Any, Any]]
"""From places in [0, 1], an array (m,), to values, slopes and gradients there: (m,), (m,), (m, ...)."""

_NODES = (0.5 - 3**-0.5 / 2, 0.5 + 3**-0.5 / 2)  # of Gauss and Legendre's rule of two points, in [0, 1]
_PARTS = 16  # at the begin
_ROUNDS = 60
_MOST = 1 << 17  # intervals


class _Interval(NamedTuple):
    """A part of the line, with the function's values at its ends."""

    a: float
    b: float
    at_a: float
    at_b: float


class Integral:
    """The integral of a function's gradient from 0 to 1 along a line.

    The function's slope along the line must integrate to the difference of its values. So the error of each interval
    is known, and intervals whose error is too large are split: at the place where a single kink, as of a ReLU, would
    explain the error.

    Attributes
    ----------
    value : array
        The integral of the gradient.
    gap : float
        By how much the slope's integral differs from the difference of the values.
    complete : bool
        Whether that is at most `tolerance`, relative to the difference if this is above 1.
    """

    def __init__(self, along: Along, tolerance: float) -> None:
        self._along, self._xp = along, backends.get("numpy").xp
        edges = [i / _PARTS for i in range(_PARTS + 1)]
        values = along(self._xp.asarray(edges))[0].tolist()
        total = values[-1] - values[0]
        tolerance *= max(1.0, abs(total))
        intervals = [_Interval(*own, *at) for own, at in zip(pairwise(edges), pairwise(values), strict=True)]
        self.value: Any = 0.0
        integral, seen = 0.0, 0
        for left in range(_ROUNDS, -1, -1):
            seen += len(intervals)
            whole, slope, intervals = self._round(intervals, tolerance, last=not left or seen > _MOST)
            self.value, integral = self.value + whole, integral + slope
            if not intervals:
                break
        self.gap = abs(integral - total)
        self.complete = self.gap <= tolerance

    def _round(self, intervals: list[_Interval], tolerance: float, *, last: bool) -> tuple[Any, float, list[_Interval]]:
        """Return the integrals of gradient and slope over the intervals that are done, and the others, split."""
        xp = self._xp
        places = xp.asarray([one.a + node * (one.b - one.a) for one in intervals for node in _NODES])
        _, slopes, gradients = self._along(places)
        done, split, integral = [], [], 0.0
        for i, (one, first, second) in enumerate(
            zip(intervals, slopes[::2].tolist(), slopes[1::2].tolist(), strict=True)
        ):
            length, rise = one.b - one.a, one.at_b - one.at_a
            error = abs(0.5 * length * (first + second) - rise)
            if last or error <= tolerance * (0.5 * length + 2e-4):
                done.append(i)
                integral += 0.5 * length * (first + second)
            else:
                split.append((one, _kink(first, second, rise / length)))
        whole: Any = 0.0
        if done:
            weights = xp.asarray([0.5 * (intervals[i].b - intervals[i].a) for i in done])
            sums = gradients[::2][done] + gradients[1::2][done]
            whole = xp.tensordot(weights, sums, axes=1)
        return whole, integral, self._split(split)

    def _split(self, intervals: list[tuple[_Interval, float]]) -> list[_Interval]:
        """Return the two parts of each interval, which is cut at this share of its length."""
        if not intervals:
            return []
        cuts = [one.a + share * (one.b - one.a) for one, share in intervals]
        values = self._along(self._xp.asarray(cuts))[0].tolist()
        found = []
        for (one, _), cut, value in zip(intervals, cuts, values, strict=True):
            found += [_Interval(one.a, cut, one.at_a, value), _Interval(cut, one.b, value, one.at_b)]
        return found


def _kink(first: float, second: float, mean: float) -> float:
    """Return at which share of an interval the slope changes from `first` to `second`, if it is `mean` on the whole."""
    share = (mean - second) / (first - second) if first != second else 0.5
    return share if 1e-3 < share < 1 - 1e-3 else 0.5
