"""Tables to predict for: no target is read, whether there is one or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from portanet.cli.stored import is_table
from portanet.data import Reading, Table
from portanet.data.cells import split_names
from portanet.data.files import head
from portanet.data.readers.parquet import parquet_features
from portanet.data.readers.table import read_features
from portanet.errors import DataError
from portanet.training.model import Model


def read(source: str, net: Model) -> Any:
    """Return the samples of a table in the form that the network takes; None for all other data.

    Columns are matched by name where the network was trained on a table with a header. Else there must be as many as
    the network has inputs; None if there is one more, the target, or if a table in Parquet has it.

    Raises
    ------
    DataError
        If columns are missing, or hold something else than those that it was trained on.
    """
    path, plan = Path(source).expanduser(), net.columns
    if plan is not None and path.is_file() and head(path).startswith(b"PAR1"):
        table = parquet_features(path, split_names(plan.target))
        return None if table is None else plan.encode(table, source, table.names)
    if not is_table(source):
        return None
    alone = (math.prod(net.input_shape or ()) if plan is None else len(plan.kept)) == 1
    x, names = read_features(path, *(("", Reading()) if plan is None else (plan.target, plan.as_read())), alone=alone)
    if plan is not None:
        return plan.encode(x, source, names)
    features, columns = math.prod(net.input_shape or ()), int(x.shape[1])
    if columns == features + 1:
        return None
    if columns != features:
        wanted = f"{features} columns, as the network has inputs, or {features + 1} with the target"
        message = f"{source}: expected {wanted}, got {columns}; give the columns that it was trained on"
        raise DataError(message)
    if isinstance(x, Table):
        message = f"{source}: expected numbers without gaps, as the network was trained on; correct these cells"
        raise DataError(message)
    return x
