"""The pictures that the repository shows: reducing their colours must not make two lines look alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portanet.plot.style import colours

PICTURES = Path(__file__).resolve().parents[2] / "examples" / "pictures"


def test_six_lines_have_six_colours():
    image = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    pixels = np.asarray(image.open(PICTURES / "initializers.png").convert("RGB")).astype(int)
    for colour in colours(6):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (abs(pixels - wanted).max(axis=2) <= 8).sum() > 500, f"{colour} is in none of the lines"
