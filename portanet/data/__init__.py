"""The readers, a format per file, and what they return."""

from __future__ import annotations

from portanet.data.cells import Table
from portanet.data.dataset import Dataset, fingerprint
from portanet.data.lazy.readable import Readable, Samples
from portanet.data.pictures.form import Pictures
from portanet.data.plan import Plan
from portanet.data.planning import Wishes
from portanet.data.readers.convert import convert_table
from portanet.data.readers.npy import NpySamples
from portanet.data.readers.reading import Reading
from portanet.data.source import NAMES, load
from portanet.data.split import hold_out
from portanet.data.synthetic import circles, moons, spirals
from portanet.data.write import write_csv

__all__ = [
    "NAMES",
    "Dataset",
    "NpySamples",
    "Pictures",
    "Plan",
    "Readable",
    "Reading",
    "Samples",
    "Table",
    "Wishes",
    "circles",
    "convert_table",
    "fingerprint",
    "hold_out",
    "load",
    "moons",
    "spirals",
    "write_csv",
]
