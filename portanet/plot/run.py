"""The pictures of a run folder."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portanet.checks import check
from portanet.data.dataset import Dataset
from portanet.data.lazy.readable import Samples
from portanet.errors import DataError
from portanet.files.plain import parsed
from portanet.files.regular import own_file, read
from portanet.files.schema import NUMBER_OR_NONE, WHOLE, check_numbers
from portanet.metrics import confusion_matrix
from portanet.plot.history import curves
from portanet.plot.mistakes import confusion, square, worst
from portanet.plot.plane import decision_boundary
from portanet.plot.style import as_bytes, save
from portanet.training.single_class import single_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from portanet.training.model import Model


_LARGEST = 64 << 20  # bytes of a history: a hundred thousand epochs


def run_plots(
    run_folder: str | os.PathLike[str], trainer: Model, dataset: Dataset, *, of: str = "samples"
) -> list[Path]:
    """Write the pictures of a run into its folder ``plots``: curves.png, and those of :func:`draw`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    DataError
        If the folder has no readable metrics.jsonl, or the data do not fit the network.
    """
    figures = {"curves": curves(read_rows(run_folder)), **draw(trainer, dataset, of=of)}
    return save_all(figures, plots_of(run_folder, figures))


def plots_of(run_folder: str | os.PathLike[str], names: Iterable[str]) -> Path:
    """Return the folder of a run's pictures, for these of them; raise DataError if one is a link, or lies elsewhere."""
    for name in names:
        own_file(run_folder, f"plots/{name}.png")
    return Path(run_folder) / "plots"


def save_all(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG by their names into a folder, which is made if need be; return the paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder}: cannot be made a folder ({error.strerror or error}); give another place"
        raise DataError(message) from None
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        save(figure, path)
    return paths


class Figures(dict[str, Any]):
    """Figures by name, which a notebook shows one below the other."""

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write each as NAME.png into a folder, which is made if need be; return the paths."""
        return save_all(self, Path(folder))

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self) or 'none'}>"

    def _repr_html_(self) -> str:
        images = (base64.b64encode(as_bytes(figure, "png", 100)).decode() for figure in self.values())
        return "".join(f'<div><img src="data:image/png;base64,{image}"></div>' for image in images)


def draw(trainer: Model, dataset: Dataset, *, of: str = "samples") -> dict[str, Figure]:
    """Return what can be drawn of a trained classifier and data, by name; nothing for a regression.

    Of samples that were held out where there are any, the test part or else the validation part: ``confusion`` always,
    ``worst`` for images, ``decision_boundary`` for two inputs. The titles say which part it is.

    Parameters
    ----------
    trainer : Model or Trainer
    dataset : Dataset
        Its samples may have another shape than the network's, if they have as many numbers (28×28 and 784).
    of : str
        What the titles call the samples of data without such parts.
    """
    if dataset.task != "classification":
        return {}
    x, y, part = dataset.x, dataset.y, of
    if dataset.y_test is not None:
        x, y, part = dataset.x_test, dataset.y_test, "test samples"
    elif dataset.y_val is not None:
        x, y, part = dataset.x_val, dataset.y_val, "validation samples"
    k = max(trainer.outputs, 2)
    classes = next((c for c in (trainer.classes, dataset.classes) if len(c) == k), ())
    shape = trainer.input_shape or ()
    same = math.prod(shape) == math.prod(x.shape[1:])
    samples = x.reshape(len(x), *shape) if same else x  # predict reports what does not fit
    guess = single_class(trainer, samples)
    figures = {"confusion": confusion(confusion_matrix(y, guess, k), classes, of=part)}
    pixels = x.ndim == 2 and dataset.scale is not None and square(x.shape[1])
    if isinstance(x, Samples):  # on disk: what follows looks at samples one by one
        return figures
    if pixels or x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3)):
        figures["worst"] = worst(x, y, trainer.predict(samples), classes, scale=dataset.scale, of=part)
    if samples.shape[1:] == (2,):
        features = dataset.features
        figures["decision_boundary"] = decision_boundary(trainer, samples, y, classes, features=features, of=part)
    return figures


def read_rows(run_folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the history in a run folder's metrics.jsonl, an epoch a row.

    Raises
    ------
    DataError
        If there is no such file, or a line of it is no JSON object.
    """
    path = own_file(run_folder, "metrics.jsonl")
    if not path.is_file():
        came = "none" if Path(run_folder).is_dir() else "no such folder"
        expected = "a run folder with metrics.jsonl in it"
        message = f"{run_folder}: expected {expected}, got {came}; give one of portanet train"
        raise DataError(message)
    try:
        lines = read(path, _LARGEST, follow=False).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"{path}: expected lines of JSON, cannot be read ({why}); restore the file"
        raise DataError(message) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parsed(line)
            check_numbers("it", row, NUMBER_OR_NONE)
            check("epoch", row.get("epoch", 0), WHOLE)
        except ValueError:
            place = f"{path}, line {number}"
            message = f"{place}: expected a JSON object, an epoch a line, got {line[:60]!r}; remove that line"
            raise DataError(message) from None
        rows.append(row)
    if not rows:
        message = f"{path}: expected a line for each epoch, got an empty file; train the run for an epoch at least"
        raise DataError(message)
    return rows
