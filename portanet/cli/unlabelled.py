"""Tables without a target's column: what there is to predict for."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from portanet import backends
from portanet.data.files import read as read_bytes
from portanet.data.readers.table_form import sniff
from portanet.data.readers.table_parse import parse
from portanet.errors import DataError
from portanet.training.model import Model

_TABLE = re.compile(r"\.(csv|tsv|txt)(\.gz)?$", re.IGNORECASE)


def read(source: str, net: Model) -> Any:
    """Return the samples of a table that has as many columns as the network has inputs; None for all other data.

    Raises
    ------
    DataError
        If the table has neither as many columns as that nor one more, for the target; or a cell is no number.
    """
    path = Path(source).expanduser()
    if not path.is_file() or not _TABLE.search(path.name):
        return None
    data = read_bytes(path)
    form, _ = sniff(data, path)
    features, columns = math.prod(net.input_shape or ()), form.columns - form.numbered
    if columns == features + 1:
        return None
    if columns != features:
        wanted = f"{features} columns, as the network has inputs, or {features + 1} with the target"
        message = f"{source}: expected {wanted}, got {columns}; give the columns that it was trained on"
        raise DataError(message)
    # The parser sets one column apart as labels: the last one, which is a feature like the others here.
    found = parse(data, form, form.columns - 1, path)
    xp = backends.get("numpy").xp
    last = []
    for i, value in enumerate(found.labels):
        try:
            last.append(float(value))
        except ValueError:
            message = f"{found.place(i)}: expected a number, got {value!r}; correct it or drop the row"
            raise DataError(message) from None
    return xp.concat([xp.astype(found.x, xp.float64), xp.asarray(last)[:, None]], axis=1)
