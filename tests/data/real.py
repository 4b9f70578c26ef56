"""Where the real data lies that tests read: never a part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def data_folder(*files: str) -> Path:
    """Return the folder of the real data; where it lacks one of `files`, skip the test and say so."""
    folder = Path(os.environ.get("PORTANET_DATA") or ROOT.parent / "shared" / "data")
    missing = [file for file in files if not (folder / file).is_file()]
    if missing or not folder.is_dir():
        pytest.skip(f"real data: {folder} does not hold {', '.join(missing) or 'anything'}; set PORTANET_DATA")
    return folder


MNIST = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
