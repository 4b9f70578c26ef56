"""Small files of every form, and the check of what a broken one says."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portanet import data
from portanet.errors import DataError

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def load(source: Any, **options: Any) -> Any:
    """Load a data set, for tests that know which parts it has."""
    return data.load(source, **options)


def refused(path, *words, kind=DataError, **options) -> str:
    """Load what must be refused, and check that the message says all of `words`; return it."""
    with pytest.raises(DataError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert type(caught.value) is kind
    for word in words:
        assert word in message, message
    assert not re.search(r"Traceback|Errno|BadZipFile|EOFError|Error\(", message), message
    return message


def idx(array) -> bytes:
    array = np.asarray(array)
    code = IDX_CODES[array.dtype.str[1:]]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    values: bytes = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + values


def idx_folder(folder: Path, x, y, x_test=None, y_test=None, *, dot="-") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (("train", x, y), ("t10k", x_test, y_test)):
        if images is not None:
            (folder / f"{part}-images{dot}idx3-ubyte").write_bytes(idx(images))
            (folder / f"{part}-labels{dot}idx1-ubyte").write_bytes(idx(labels))
    return folder


def digit(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (32, 32), dtype=np.uint8)


def text(image, end="\r\n") -> str:
    return "".join("".join(map(str, row)) + end for row in image.tolist())


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
