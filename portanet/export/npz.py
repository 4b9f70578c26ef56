"""To NumPy's own archive: the plain arrays under portanet's names."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

import numpy as np

from portanet.export.source import read
from portanet.files.atomic import write
from portanet.typing import Params


def to_npz(model: Any, path: str | os.PathLike[str]) -> None:
    """Write all parameters and buffers as a ``.npz`` archive, in one piece or not at all.

    Names and layouts are portanet's: ``"2.weight"`` (in, out) of a Dense in the third place, (kh, kw, in / groups, out)
    of a Conv2D. ``numpy.load(path)`` reads it, with ``allow_pickle=False`` as it is by itself.

    Parameters
    ----------
    model : Trainer, or a fitted MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn
    path : str or path

    Raises
    ------
    ConfigError
        If there are no weights yet.
    DataError
        If the file cannot be written.
    """
    write(path, npz_bytes(read(model, raw=True, what="to_npz").arrays))


def npz_bytes(arrays: Params) -> bytes:
    """Return the content of such a file."""
    file = io.BytesIO()
    # As np.savez does, which in NumPy 2.0 takes allow_pickle for the name of an array.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(array), allow_pickle=False)
    return file.getvalue()
