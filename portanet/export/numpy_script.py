"""To a script that predicts with NumPy alone, short enough to be read in class, with its weights beside it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import portanet
from portanet import layers
from portanet.errors import ConfigError
from portanet.export.excerpt import excerpt
from portanet.export.npz import npz_bytes
from portanet.export.numpy_tables import table_marks
from portanet.export.source import Exp, Source, Step, cannot, read
from portanet.files.atomic import write
from portanet.layers import Layer
from portanet.layers.windows import Axis, pair
from portanet.names import escaped

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
    if source.columns is None and "math." in functions:
        marks = {**marks, "<IMPORTS>": "import math\nimport sys\n"}
    marks = {
        **marks,
        "<VERSION>": portanet.__version__,
        "<SAMPLES>": _shape(source.input_shape),
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


def _shape(sample: Sequence[int]) -> str:
    return f"(n, {', '.join(map(str, sample))})"


def _forward(steps: Sequence[Step], depth: int) -> Iterator[str]:
    """Yield a line for each layer that does something at inference."""
    for step in steps:
        kind = type(step.layer)
        if kind in (layers.Dropout, layers.Augment):
            continue
        note = f"  # {escaped(step.place)}, {step.out_shape}"
        if kind is layers.Residual:
            yield f"skip{depth} = x{note}"
            yield from _forward(step.chain, depth + 1)
            yield f"x = skip{depth} + x"
            continue
        if kind is layers.Parametric:
            yield f"straight{depth} = x{note}"
            yield from _forward(step.chain, depth + 1)
            yield f"x = straight{depth} + {_array(step, 'strength')} * (x - straight{depth})"
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
        if kind not in _LINES:
            raise cannot(step, "NumPy")
        yield f"x = {_LINES[kind](step)}{note}"


def _array(step: Step, name: str) -> str:
    return f"W[{json.dumps(step.prefix + name)}]" if name in step.arrays else "None"


def _dense(step: Step) -> str:
    return f"x @ {_array(step, 'weight')}" + (f" + {_array(step, 'bias')}" if "bias" in step.arrays else "")


def _ntk_dense(step: Step) -> str:
    factor = 1 / math.sqrt(step.arrays["weight"].shape[0])
    bias = f" + {_array(step, 'bias')} * {step.layer.bias_factor!r}" if "bias" in step.arrays else ""
    return f"x @ {_array(step, 'weight')} * {factor!r}{bias}"


def _periodic(step: Step) -> str:
    arrays = ", ".join(_array(step, name) for name in ("frequency", "phase", "weight", "bias"))
    return f"periodic_embedding(x, {arrays}, skip={step.layer.skip})"


def _rescale(step: Step) -> str:
    scale, offset = float(step.layer.scale), float(step.layer.offset)
    return f"x * {scale!r}" + (f" {'-' if offset < 0 else '+'} {abs(offset)!r}" if offset else "")


def _reshape(step: Step) -> str:
    return f"x.reshape(len(x), {', '.join(map(str, step.out_shape))})"


def _settings(**given: Any) -> str:
    """Return keyword arguments, without those that are the functions' defaults."""
    plain = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    return "".join(f", {name}={value}" for name, value in given.items() if value != plain.get(name))


def _padding(rows: Axis, columns: Axis) -> tuple[tuple[int, int], tuple[int, int]]:
    return (rows.before, rows.after), (columns.before, columns.after)


def _conv(step: Step) -> str:
    layer = step.layer
    rows, columns = layer.axes(*step.in_shape[:2])
    padding, dilation = _padding(rows, columns), pair(layer.dilation)
    settings = _settings(stride=(rows.stride, columns.stride), padding=padding, dilation=dilation, groups=layer.groups)
    return f"conv2d(x, {_array(step, 'weight')}, {_array(step, 'bias')}{settings})"


def _pool(name: str) -> Callable[[Step], str]:
    def line(step: Step) -> str:
        rows, columns = step.layer.axes(*step.in_shape[:2])
        kernel, stride = (rows.kernel, columns.kernel), (rows.stride, columns.stride)
        return f"{name}(x, kernel={kernel}, stride={stride}{_settings(padding=_padding(rows, columns))})"

    return line


def _function(name: str, *settings: str, arrays: Sequence[str] = ()) -> Callable[[Step], str]:
    def line(step: Step) -> str:
        words = ["x", *(_array(step, a) for a in arrays), *(repr(float(getattr(step.layer, s))) for s in settings)]
        return f"{name}({', '.join(words)})"

    return line


_LINES: dict[type[Layer], Callable[[Step], str]] = {
    layers.AvgPool2D: _pool("avg_pool"),
    layers.BatchNorm: _function("batch_norm", "eps", arrays=("gamma", "beta", "mean", "variance")),
    layers.Conv2D: _conv,
    layers.Dense: _dense,
    layers.ELU: _function("elu", "alpha"),
    layers.Embedding: _function("embedding", arrays=("weight",)),
    layers.Flatten: _reshape,
    layers.GELU: _function("gelu"),
    layers.GlobalAvgPool2D: lambda step: "x.mean(axis=(1, 2))",
    layers.LayerNorm: _function("layer_norm", "eps", arrays=("gamma", "beta")),
    layers.LeakyReLU: _function("leaky_relu", "slope"),
    layers.MaxPool2D: _pool("max_pool"),
    layers.Mish: _function("mish"),
    layers.NTKDense: _ntk_dense,
    layers.OneHot: lambda step: f"one_hot(x, {tuple(step.layer.sizes)})",
    layers.PeriodicEmbedding: _periodic,
    layers.ReLU: _function("relu"),
    layers.Rescale: _rescale,
    layers.Reshape: _reshape,
    layers.RobustScale: lambda step: f"(x - {_array(step, 'median')}) * {_array(step, 'factor')}",
    layers.SELU: _function("selu"),
    layers.Scale: lambda step: f"x * {_array(step, 'scale')}",
    layers.Sigmoid: _function("sigmoid"),
    layers.SmoothClip: _function("smooth_clip", "limit"),
    layers.Softmax: _function("softmax"),
    layers.Softplus: _function("softplus"),
    layers.Standardize: lambda step: f"(x - {_array(step, 'mean')}) * {_array(step, 'inverse_std')}",
    layers.Swish: _function("swish"),
    layers.Tanh: lambda step: "np.tanh(x)",
    Exp: lambda step: "np.exp(x)",
}

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

_TEMPLATE = '''"""Predicts with a network of portanet <VERSION>; needs NumPy, and the .npz of its own name beside it.

usage: python THIS.py <FILE> [OUT.npy]

<FILE> holds <HELD>.
Of each<ROW>, <SHOWN> is printed on a line; OUT.npy takes all <OUTPUT>, <OUTPUTS>.
"""

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
