"""To torch and back: weights under torch's names and in its layouts, as a safetensors file or a dict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.backends.host import to_host
from portanet.errors import DataError, need
from portanet.export.excerpt import excerpt
from portanet.export.onnx_file import metadata
from portanet.export.source import Source, read
from portanet.export.torch_call import Call, Entry
from portanet.export.torch_plan import plan
from portanet.files.atomic import write
from portanet.files.weights import foreign_arrays
from portanet.training.model import Model
from portanet.typing import Params

if TYPE_CHECKING:
    from torch.nn import Sequential

_COUNTER = "num_batches_tracked"


def state_dict(model: Any) -> Params:
    """Return the weights as the ``state_dict`` of the equivalent ``torch.nn.Sequential``, in host arrays.

    A Dense is a Linear with weight (out, in), a Conv2D a Conv2d with weight (out, in / groups, kh, kw), BatchNorm has
    running_mean, running_var and num_batches_tracked. torch's images are (n, channels, height, width): where images are
    flattened, the columns of the next Linear are in the order of channels, rows, columns. :func:`torch_code` is that
    Sequential. It ends where the loss begins: its outputs are logits, and images have their channels in front too.

    Parameters
    ----------
    model : Trainer, or a fitted MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn

    Raises
    ------
    ConfigError
        If there are no weights yet, or a layer has no counterpart in torch; with its place.
    """
    source, _, entries = _planned(model, "state_dict")
    return _state(source, entries)


def to_torch(model: Any, path: str | os.PathLike[str]) -> None:
    """Write :func:`state_dict` as a safetensors file, in one piece or not at all.

    In torch: ``net.load_state_dict(safetensors.torch.load_file(path))``. The metadata hold ``torch``, the code that
    makes that net, and ``classes``, ``input_shape``, ``output`` and ``portanet`` (the version).

    Raises
    ------
    ConfigError
        As :func:`state_dict`.
    DataError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    source, calls, entries = _planned(model, "to_torch")
    # "pt" is what tools of torch's look for; under "portanet" a file would be taken for one of trainer.save.
    about = metadata(source)
    about = {"format": "pt", "torch": _code(calls), "portanet_version": about.pop("portanet"), **about}
    write(path, save(_state(source, entries), metadata=about))


def torch_code(model: Any) -> str:
    """Return the Python code of the equivalent ``torch.nn.Sequential``, with the modules that torch.nn lacks."""
    return _code(_planned(model, "torch_code")[1])


def torch_module(model: Any) -> Sequential:
    """Return the equivalent ``torch.nn.Sequential`` itself with the weights in it, ready to predict (in ``eval`` mode).

    Raises
    ------
    ConfigError
        As :func:`state_dict`; or if torch is not installed.
    """
    torch = need("torch", "torch", "torch_module")
    from portanet.export import torch_modules

    def made(thing: Any) -> Any:
        if not isinstance(thing, Call):
            return thing
        kind = getattr(torch_modules, thing.name, None) or getattr(torch.nn, thing.name)
        return kind(*map(made, thing.arguments), **thing.options)

    source, calls, entries = _planned(model, "torch_module")
    net = torch.nn.Sequential(*map(made, calls)).to(getattr(torch, source.dtype))
    net.load_state_dict({name: torch.from_numpy(array) for name, array in _state(source, entries).items()})
    found: Sequential = net.eval()
    return found


def load_state_dict(model: Model, state: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Give a network the weights of the equivalent ``torch.nn.Sequential``: all, or none where one does not fit.

    Parameters
    ----------
    model : Trainer
        It must know its shapes: after ``fit``, ``init(input_shape)`` or ``portanet.load``. Its optimizer is reset.
    state : dict of arrays or tensors, or path
        A ``state_dict()``, on any device, or a safetensors file of one; with the names of :func:`state_dict`. A pickle
        (.pt, .pth) is not read: save it by ``safetensors.torch.save_file(net.state_dict(), path)``.

    Raises
    ------
    ConfigError
        If the network has no weights yet, or a layer has no counterpart in torch.
    DataError
        If arrays are missing, unexpected, of the wrong shape or not finite (all of them are named), or the file cannot
        be read.
    """
    source, _, entries = _planned(model, "load_state_dict")
    place = "load_state_dict" if isinstance(state, Mapping) else str(state)
    given = state if isinstance(state, Mapping) else foreign_arrays(state)
    found = {name: to_host(value) for name, value in given.items() if not name.endswith(_COUNTER)}
    wanted = {entry.theirs: entry.shape for entry in entries}
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is unexpected" for name in found if name not in wanted]
    for name in wanted.keys() & found.keys():
        array = found[name]
        if tuple(array.shape) != tuple(wanted[name]):
            wrong.append(f"{name} has the shape {tuple(array.shape)}, expected {tuple(wanted[name])}")
        elif array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            wrong.append(f"{name} holds what is no finite number")
    if wrong:
        more = f"; and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        message = f"{place}: the weights are not those of this network: {'; '.join(sorted(wrong)[:10])}{more}; "
        raise DataError(message + "portanet.export.torch_code(trainer) shows the network that they must come from")
    arrays = {entry.ours: entry.back(found[entry.theirs]).astype(source.dtype) for entry in entries}
    buffers = {name: arrays.pop(name) for name in model.buffers}
    model.adopt(arrays, buffers, source.input_shape, source.out_shape)


def _planned(model: Any, what: str) -> tuple[Source, list[Call], list[Entry]]:
    source = read(model, raw=True, what=what)
    return source, *plan(source.steps)


def _state(source: Source, entries: list[Entry]) -> Params:
    found = {}
    for entry in entries:
        found[entry.theirs] = np.ascontiguousarray(entry.forth(source.arrays[entry.ours]))
        if entry.theirs.endswith("running_var"):
            found[entry.theirs.removesuffix("running_var") + _COUNTER] = np.asarray(0, dtype="int64")
    return found


def _code(calls: list[Call]) -> str:
    own = set().union(*(call.own() for call in calls))
    parts = excerpt("torch_modules", own)
    net = Call("Sequential", tuple(calls)).text()
    return "\n\n\n".join(
        ["import torch\nfrom torch import nn" if own else "from torch import nn", *parts, f"net = {net}"]
    )
