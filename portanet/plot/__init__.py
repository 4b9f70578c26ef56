"""Pictures of a training and of its mistakes, drawn with matplotlib's objects: no pyplot, no display, no global state.

Each function returns a ``matplotlib.figure.Figure``; :func:`save` writes one. matplotlib is imported when one is drawn.
"""

from __future__ import annotations

from portanet.plot.history import curves
from portanet.plot.mistakes import confusion, worst
from portanet.plot.plane import decision_boundary
from portanet.plot.run import draw, read_rows, run_plots
from portanet.plot.style import save

__all__ = ["confusion", "curves", "decision_boundary", "draw", "read_rows", "run_plots", "save", "worst"]
