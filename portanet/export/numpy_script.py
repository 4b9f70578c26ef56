"""To a script that predicts with NumPy alone, short enough to be read in class, with its weights beside it."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import portanet
from portanet import layers
from portanet.data.pictures.form import MODES, Pictures
from portanet.errors import ConfigError
from portanet.export.excerpt import excerpt
from portanet.export.npz import npz_bytes
from portanet.export.numpy_lines import LINES, array
from portanet.export.numpy_tables import table_marks
from portanet.export.source import Source, Step, cannot, read
from portanet.files.atomic import write
from portanet.names import escaped
from portanet.typing import Shape

_INDENT = "    "


def to_numpy_script(model: Any, path: str | os.PathLike[str], *, raw: bool = False) -> None:
    """Write a trained network as a script that needs NumPy alone, and its weights as an ``.npz`` beside it.

    ``python model.py samples.npy`` predicts on the command line, ``from model import predict`` in Python: `predict`
    takes and returns what :meth:`portanet.Trainer.predict` does, in the network's own dtype. That of a network for a
    table with text, gaps or dates reads a CSV file, and takes rows as dicts of cells by the names of the columns.

    Parameters
    ----------
    model : Trainer, or a fitted MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn
    path : str or path
        Of the script; it ends in ``.py``. The weights have the same name, and end in ``.npz``.
    raw : bool
        Whether logits come out instead of probabilities.

    Raises
    ------
    ConfigError
        If a layer is one's own, there are no weights yet, or `path` does not end in ``.py``.
    DataError
        If a file cannot be written.
    """
    source = read(model, raw=raw, what="to_numpy_script")
    script, weights = script_files(path)
    text = _text(source)
    write(weights, npz_bytes(source.arrays))
    write(script, text)


def script_files(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the paths of the script and of its weights; raise ConfigError if the first does not end in ``.py``."""
    path = Path(path)
    if path.suffix != ".py":
        message = f"to_numpy_script: expected a path that ends in .py, got {path}"
        raise ConfigError(message)
    return path, path.with_suffix(".npz")


def _text(source: Source) -> str:
    lines = list(_forward(source.steps, 0))
    body = "\n".join(_INDENT + line for line in lines)
    names = {word for line in lines for word in re.findall(r"(\w+)\(x", line)}
    functions = "\n\n\n".join(excerpt("numpy_functions", names))
    sigmoid = bool(source.steps) and isinstance(source.steps[-1].layer, layers.Sigmoid)
    rows = len(source.out_shape) == 1  # else a line would hold a label for each place
    labels = rows and (source.output == "probabilities" or (source.output == "values" and bool(source.classes)))
    if not labels:
        values = "row" if rows else "row.ravel()"
        answer, shown = f'", ".join(f"{{value:.9g}}" for value in {values})', f"its {source.output}"
    elif source.outputs == 1:
        answer, shown = "CLASSES[int(row[0] > 0.5)]", "its class"
    elif sigmoid and source.output == "probabilities":
        answer, shown = '", ".join(name for name, p in zip(CLASSES, row) if p > 0.5)', "its classes"
    else:
        answer, shown = "CLASSES[int(row.argmax())]", "its class"
    classes = list(source.classes) or [str(i) for i in range(max(source.outputs, 2))]
    marks = _ARRAYS if source.columns is None else table_marks(source.columns)
    marks = marks if source.form is None else {**marks, **_picture_marks(source.form, source.input_shape)}
    if source.columns is None and "math." in functions:
        marks = {**marks, "<IMPORTS>": "import math\nimport sys\n"}
    marks = {
        **marks,
        "<VERSION>": portanet.__version__,
        "<SAMPLES>": _shape(source.input_shape),
        "<PICTURES>": _about_pictures(source),
        "<OUTPUTS>": _shape(source.out_shape),
        "<OUTPUT>": source.output,
        "<SHOWN>": shown,
        "<SHAPE>": repr(source.input_shape),
        "<DTYPE>": source.dtype,
        "<ANSWER>": answer,
        "<FUNCTIONS>": f"{functions}\n\n\n" if functions else "",
        "<FORWARD>": body,
        "<CLASSES>": f"CLASSES = {classes!r}\n" if labels else "",
    }
    about = ("<CHECKED>", "<HELD>", "<ROWS>")  # they hold marks themselves, and nothing of the user's
    template = re.sub("|".join(about), lambda mark: marks[mark[0]], _TEMPLATE)
    return re.sub("|".join(marks), lambda mark: marks[mark[0]], template)  # in one pass: a name may look like a mark


def _picture_marks(form: Pictures, shape: Shape) -> dict[str, str]:
    """Return what is different in the script of a network that was trained on picture files."""
    how = f'{form.size}, "{MODES[form.colours or "colour"]}", crop={form.fit == "crop"}'
    functions = [*excerpt("picture_functions", ["picture"]), _READ_PICTURE.format(how=how, shape=(1, *shape))]
    return {"<TABLES>": "".join(f"{function}\n\n\n" for function in functions), "<READ>": "samples(sys.argv[1])"}


def _about_pictures(source: Source) -> str:
    if not source.pictures:
        return ""
    more = "" if source.form is None else "A picture file in place of SAMPLES.npy is brought to it by Pillow.\n"
    return f"\nPictures are brought to this form first: {source.pictures}.\n{more}"


def _shape(sample: Sequence[int]) -> str:
    return f"(n, {', '.join(map(str, sample))})"


def _forward(steps: Sequence[Step], depth: int) -> Iterator[str]:
    """Yield a line for each layer that does something at inference."""
    for step in steps:
        kind = type(step.layer)
        if kind in (layers.Dropout, layers.Dropout2D, layers.Augment):
            continue
        note = f"  # {escaped(step.place)}, {step.out_shape}"
        if kind is layers.Residual:
            yield f"skip{depth} = x{note}"
            if not step.layer.shortcut:
                yield from _forward(step.chain, depth + 1)
                yield f"x = skip{depth} + x"
                continue
            *inner, shortcut = step.inner
            yield from _forward(tuple(itertools.chain(*inner)), depth + 1)
            yield f"x, skip{depth} = skip{depth}, x"
            yield from _forward(shortcut, depth + 1)
            yield f"x = x + skip{depth}"
            continue
        if kind is layers.Committee and step.layer.apart:
            raise cannot(step, "a script", "its networks answer apart, as in a training step; make it with apart=False")
        if kind in (layers.Branches, layers.Committee):
            yield f"whole{depth}, paths{depth} = x, []{note}"
            for branch in step.inner:
                yield f"x = whole{depth}"
                yield from _forward(branch, depth + 1)
                yield f"paths{depth}.append(x)"
            mean = f" / {len(step.inner)}" if kind is layers.Committee else ""
            concat = getattr(step.layer, "join", "add") == "concat"
            yield "x = " + (f"np.concatenate(paths{depth}, axis=-1)" if concat else f"sum(paths{depth}){mean}")
            continue
        if kind is layers.Parametric:
            yield f"straight{depth} = x{note}"
            yield from _forward(step.chain, depth + 1)
            yield f"x = straight{depth} + {array(step, 'strength')} * (x - straight{depth})"
            continue
        if kind is layers.Parallel:
            yield f"whole{depth}, sides{depth} = x, []{note}"
            start = 0
            for branch, size in zip(step.inner, step.layer.sizes, strict=True):
                yield f"x = whole{depth}[:, {start}:{start + size}]"
                yield from _forward(branch, depth + 1)
                yield f"sides{depth}.append(x)"
                start += size
            yield f"x = np.concatenate(sides{depth}, axis=1)"
            continue
        if kind not in LINES:
            raise cannot(step, "NumPy")
        yield f"x = {LINES[kind](step)}{note}"


_ARRAYS = {
    "<IMPORTS>": "import sys\n",
    "<FILE>": "SAMPLES.npy",
    "<HELD>": "samples, <SAMPLES>",
    "<ROW>": "",
    "<CONSTANTS>": "",
    "<TABLES>": "",
    "<TAKEN>": "x: np.ndarray",
    "<ROWS>": "samples x, <SAMPLES>",
    "<CHECKED>": """    x = np.asarray(x, dtype="<DTYPE>")
    if x.shape[1:] != <SHAPE>:
        raise ValueError(f"expected samples of shape <SAMPLES>, got an array of shape {x.shape}")
""",
    "<READ>": "np.load(sys.argv[1], allow_pickle=False)",
}

_READ_PICTURE = '''def samples(path: str) -> np.ndarray:
    """Return the samples in a .npy file, or a picture file as one sample."""
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    return picture(path, {how}).reshape({shape})'''

_TEMPLATE = '''"""Predicts with a network of portanet <VERSION>; needs NumPy, and the .npz of its own name beside it.

usage: python THIS.py <FILE> [OUT.npy]

<FILE> holds <HELD>.
Of each<ROW>, <SHOWN> is printed on a line; OUT.npy takes all <OUTPUT>, <OUTPUTS>.
<PICTURES>"""

from __future__ import annotations

<IMPORTS>from pathlib import Path

import numpy as np

<CLASSES><CONSTANTS>W = dict(np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False))


<TABLES><FUNCTIONS>def forward(x: np.ndarray) -> np.ndarray:
<FORWARD>
    return x


def predict(<TAKEN>) -> np.ndarray:
    """Return <OUTPUT>, <OUTPUTS>, for <ROWS>."""
<CHECKED>    return np.concatenate([forward(x[i : i + 500]) for i in range(0, max(len(x), 1), 500)])


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        y = predict(<READ>)
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    if len(sys.argv) == 3:
        np.save(sys.argv[2], y)
    for row in y:
        print(<ANSWER>)


if __name__ == "__main__":
    main()
'''
