"""Which samples of the data of a run were held out from its training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from portanet.cli.config import read_toml
from portanet.cli.run_folder import CONFIG, ENVIRONMENT
from portanet.data import Dataset, fingerprint
from portanet.data.batching import prepare
from portanet.errors import PortanetError
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read

_LARGEST = 16 << 20  # bytes


def trained_on(run: Path, dataset: Dataset) -> int:
    """Return how many of the samples of data without a test or validation part a run was trained on, if known."""
    found, of = parts(run, dataset)
    alone = dataset.x_test is None and dataset.x_val is None
    return len(found.x) if of == "training samples" and alone else 0


def parts(run: Path, dataset: Dataset) -> tuple[Dataset, str]:
    """Return data with the part that a run held out for validation, and what the rest of its samples are.

    They are "samples" unless the run was trained on these very data, as their SHA-256 says.
    """
    if dataset.x_test is not None or dataset.x_val is not None:
        return dataset, "training samples"
    try:
        about = parsed(read(own_file(run, ENVIRONMENT), _LARGEST, follow=False))
        options = read_toml(own_file(run, CONFIG), follow=False)
        trained_on = about["data"]["sha256"] == fingerprint(dataset)
        fraction, seed = float(options["val_fraction"]), int(options["seed"])
    except (PortanetError, OSError, ValueError, KeyError, TypeError):  # a network without its run's files
        return dataset, "samples"
    if not trained_on or not 0 < fraction < 1 or seed < 0:
        return dataset, "training samples" if trained_on else "samples"
    kept, held = prepare.split(dataset.y, fraction, seed, stratify=bool(dataset.classes))
    x, x_val, y, y_val = (prepare.take_rows(a, rows) for a in (dataset.x, dataset.y) for rows in (kept, held))
    return dataclasses.replace(dataset, x=x, y=y, x_val=x_val, y_val=y_val), "training samples"
