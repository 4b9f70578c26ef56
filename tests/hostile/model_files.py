"""Files that look like networks and are not to be trusted: what each is made of, and what its reader is told."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import portanet as pn

DAMAGED = "damaged or another"
OTHER = "description is incomplete or of another kind"


class Case(NamedTuple):
    """A hostile file: `make` writes it into a folder and returns the path to give; `says` is in the answer.

    ``portanet info`` may tell what another program's file holds, with exit code 0, or say something else of it.
    """

    make: Callable[[Path], Path]
    says: str
    code: int = 3
    info: int = 3
    info_says: str | None = None


PROOF = Path(tempfile.gettempdir()) / f"portanet-ran-what-a-file-said-{os.getpid()}"


class Boom:
    """Runs a command when it is unpickled, and leaves a file as the proof."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {PROOF}",)


@functools.cache
def good() -> bytes:
    """Return the bytes of a small network as portanet writes it."""
    x = np.random.default_rng(0).normal(size=(20, 5))
    net = [pn.Standardize.of(x), pn.Dense(8), pn.BatchNorm(), pn.ReLU(), pn.Dense(3)]
    model = pn.Trainer(net, backend="numpy", classes=["a", "b", "c"])
    model.init((5,))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "net")
        return (Path(folder) / "net").read_bytes()


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return header and data of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: dict[str, Any] | bytes, data: bytes = b"", size: int | None = None) -> bytes:
    """Return a safetensors file of that header, which may claim another size."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def raw(content: Callable[[], bytes] | bytes, says: str = DAMAGED) -> Case:
    def make(folder: Path) -> Path:
        path = folder / "net.safetensors"
        path.write_bytes(content if isinstance(content, bytes) else content())
        return path

    return Case(make, says)


def tensors(change: Callable[[dict[str, Any]], object], says: str = DAMAGED) -> Case:
    """A good file whose header says something else of its tensors."""

    def content() -> bytes:
        header, data = parts(good())
        change(header)
        return joined(header, data)

    return raw(content, says)


def tensor(says: str = DAMAGED, **fields: Any) -> Case:
    return tensors(lambda header: header["1.weight"].update(fields), says)


def described(change: Callable[[dict[str, Any]], object], says: str = OTHER, code: int = 3) -> Case:
    """A good file with another description."""

    def content() -> bytes:
        header, data = parts(good())
        about = json.loads(header["__metadata__"]["portanet"])
        change(about)
        header["__metadata__"]["portanet"] = json.dumps(about)
        return joined(header, data)

    return Case(raw(content).make, says, code)


def says_about(says: str = OTHER, code: int = 3, **values: Any) -> Case:
    return described(lambda about: about.update(values), says, code)


def layer(i: int, says: str, code: int = 3, **options: Any) -> Case:
    return described(lambda about: about["net"]["layers"][i].update(options), says, code)


def net(layers: Any, says: str, code: int = 3, **values: Any) -> Case:
    return described(
        lambda about: about.update({"net": {"type": "Sequential", "layers": layers}, **values}), says, code
    )


def text(change: Callable[[str], str], says: str = DAMAGED) -> Case:
    """A good file whose description is edited as text."""
    return tensors(lambda h: h["__metadata__"].update(portanet=change(h["__metadata__"]["portanet"])), says)


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "ReLU"}
    for _ in range(depth):
        found = {"type": "Sequential", "layers": [found]}
    return found


def deep_description() -> bytes:
    header, data = parts(good())
    layers = '{"type": "Sequential", "layers": [' * 5000 + '{"type": "ReLU"}' + "]}" * 5000
    header["__metadata__"]["portanet"] = '{"format": 1, "net": ' + layers + "}"
    return joined(header, data)


def not_finite() -> bytes:
    header, data = parts(good())
    begin, end = header["1.weight"]["data_offsets"]
    return joined(header, data[:begin] + b"\xff" * (end - begin) + data[end:])


def zip_of_pickle() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # the form of torch.save
        archive.writestr("archive/data.pkl", pickle.dumps(Boom()))
    return file.getvalue()


def link(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "net.safetensors").symlink_to(target)
        return folder / "net.safetensors"

    return make


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "net.safetensors")
    return folder / "net.safetensors"


def sparse(folder: Path) -> Path:
    """A hundred megabytes that take no room on the disk, and a header that goes with them."""
    size = 100 << 20
    header, _ = parts(good())
    header = {"__metadata__": header["__metadata__"], "1.weight": {"dtype": "F32", "shape": [5, size // 20]}}
    header["1.weight"]["data_offsets"] = [0, size]
    path = folder / "net.safetensors"
    with path.open("wb") as file:
        file.write(joined(header))
        file.truncate(file.tell() + size)
    return path


def many(n: int) -> bytes:
    header, data = parts(good())
    end = len(data)
    header |= {f"x{i}": {"dtype": "F32", "shape": [0], "data_offsets": [end, end]} for i in range(n)}
    return joined(header, data)


HEADERS = {
    "empty": raw(b""),
    "seven bytes": raw(bytes(7)),
    "zeros": raw(bytes(1000)),
    "text": raw(b"epoch,loss\n1,0.5\n"),
    "header longer than the file": raw(lambda: joined(parts(good())[0], size=10_000)),
    "header of 2^63 bytes": raw(lambda: joined(parts(good())[0], size=1 << 63)),
    "header of 90 MB": raw(lambda: joined(b'{"a":"' + b"x" * 90_000_000 + b'"}'), "header"),
    "header that is no JSON": raw(joined(b"{" * 100)),
    "header that is a list": raw(joined(b"[1, 2]")),
    "header in Latin-1": raw(joined(b'{"\xe9": 1}')),
    "header nested 100,000 deep": raw(joined(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "300,000 tensors": raw(lambda: many(300_000), "header"),
    "10,000 tensors": raw(lambda: many(10_000), "array 'x0': expected no such array, got (0,)"),
    "truncated": raw(lambda: good()[:-20]),
    "bytes after the end": raw(lambda: good() + b"more"),
    "a tensor of 2^60 elements": tensor(shape=[1 << 30, 1 << 30]),
    "a shape that overflows": tensor(shape=[1 << 40, 1 << 40]),
    "a shape of NaN": raw(lambda: joined(json.dumps(parts(good())[0]).replace("[5, 8]", "[NaN, 8]").encode())),
    "a negative shape": tensor(shape=[-5, -8]),
    "a shape of fractions": tensor(shape=[5.5, 8]),
    "a shape of words": tensor(shape=["5", "8"]),
    "a shape of 1,000 axes": tensor("expected shape (5, 8), got (1, 1,", shape=[1] * 998 + [5, 8]),
    "overlapping tensors": tensors(
        lambda h: h["4.weight"].update(
            data_offsets=[h["1.weight"]["data_offsets"][0], h["4.weight"]["data_offsets"][1]]
        )
    ),
    "offsets beyond the file": tensor(data_offsets=[0, 1 << 40]),
    "offsets in reverse": tensor(data_offsets=[160, 0]),
    "negative offsets": tensor(data_offsets=[-160, 0]),
    "a hole between tensors": tensors(lambda h: h.pop("1.bias")),
    "an unknown dtype": tensor(dtype="F99"),
    "integers as weights": tensor("array '1.weight': expected float32 or float64, got", dtype="I32"),
    "bfloat16 as weights": tensors(
        lambda h: h["1.weight"].update(dtype="BF16", shape=[5, 16]),
        "array '1.weight': expected float32 or float64, got",
    ),
    "weights that are not finite": raw(not_finite, "array '1.weight': expected finite numbers"),
    "a sparse file of 100 MB": Case(sparse, "array '1.bias': expected shape (8,), got none"),
    "a pickle": raw(pickle.dumps(Boom())),
    "torch's zip of a pickle": raw(zip_of_pickle),
    "a link to nothing": Case(link("nowhere"), "found nothing there"),
    "a link to itself": Case(link("net.safetensors"), "found nothing there"),
    "a link to an endless device": Case(link("/dev/zero"), "found no regular file"),
    "a pipe that nobody writes to": Case(fifo, "found no regular file"),
}

DESCRIPTIONS = {
    "nested too deeply": raw(deep_description, DAMAGED),
    "layers nested 60 deep": net([nested(60)], "nested at most 50 deep"),
    "layers nested 200 deep": net([nested(200)], "nested more than 200 deep"),
    "10,000 layers that are not known": net([{"type": "Own"}] * 10_000, "unknown layer 'Own'"),
    "100,000 layers": net([{"type": "ReLU"}] * 100_000, "expected no such array"),
    "another format": says_about("expected format 1, got 99", format=99),
    "a layer of a module": layer(1, "unknown layer 'os.system'", type="os.system"),
    "a layer by its dunder": layer(1, "unknown layer '__class__'", type="__class__"),
    "a layer that is a list": layer(1, "unknown layer ['Dense']", type=["Dense"]),
    "a custom activation": layer(3, "was defined by the user", type="CustomActivation", name="cube"),
    "an activation that is a dict": layer(3, "was defined by the user", type="CustomActivation", name={}),
    "an initializer of a module": layer(1, "unknown initializer 'os.system'", weight_init="os.system"),
    "an initializer that is a list": layer(1, "unknown initializer", weight_init=["he_normal"]),
    "a metric of a module": says_about("unknown metric 'os.system'", metrics=["os.system"]),
    "a metric of 5,000 digits": says_about("unknown metric", metrics=["top_" + "9" * 5000]),
    "a loss that is a dunder": says_about("unknown loss '__init__'", loss={"name": "__init__", "options": {}}),
    "a loss within itself": says_about("unknown option 'name'", loss={"name": "huber", "options": {"name": "huber"}}),
    "an optimizer's NaN": says_about(
        "lr must be a finite number", optimizer={"name": "sgd", "options": {"lr": float("nan")}}
    ),
    "an optimizer's text": says_about("lr must be", optimizer={"name": "sgd", "options": {"lr": "0.1"}}),
    "a billion units": layer(1, "array '1.bias': expected shape (1000000000,), got (8,)", units=10**9),
    "10^30 units": layer(1, "units must be a whole number of 1 or more, and at most 2147483647", units=10**30),
    "a billion inputs": says_about("array '1.weight': expected shape (1000000000, 8), got (5, 8)", input_shape=[10**9]),
    "a billion categories": net(
        [{"type": "Embedding", "categories": 10**9, "units": 10**9}, {"type": "GlobalAvgPool2D"}],
        "array '0.inverse_std': expected no such array, got (5,)",
        input_shape=[5, 5],
        buffers=[],
    ),
    "an image of 10^18 pixels": net(
        [{"type": "Conv2D", "units": 3, "kernel": 1}, {"type": "GlobalAvgPool2D"}],
        "array",
        input_shape=[10**9, 10**9, 3],
    ),
    "a BatchNorm of 10^12 channels": net(
        [{"type": "BatchNorm"}], "array '0.beta': expected shape (1000000000000,), got none", input_shape=[10**12]
    ),
    "a kernel of 10^9": net(
        [{"type": "Conv2D", "units": 3, "kernel": 10**9, "padding": "same"}, {"type": "GlobalAvgPool2D"}],
        "array is too big",
        input_shape=[5, 5, 3],
    ),
    "units of 2.5": layer(1, "units must be", units=2.5),
    "units of NaN": layer(1, "units must be", units=float("nan")),
    "an activation's NaN": net([{"type": "LeakyReLU", "slope": float("nan")}], "LeakyReLU"),
    "a scale that is text": net([{"type": "Rescale", "scale": "1"}], "Rescale"),
    "layers that are no list": net(5, "layers"),
    "no layers": net([], "at least one layer"),
    "negative sizes": says_about(input_shape=[-5]),
    "sizes of infinity": says_about(input_shape=[float("inf")]),
    "sizes of text": says_about(input_shape=["5"]),
    "an epoch of infinity": says_about(epoch=float("inf")),
    "a negative epoch": says_about(epoch=-1),
    "a penalty of NaN": says_about("l1 must be a finite number", l1=float("nan")),
    "a penalty of text": says_about("l2 must be a finite number", l2="1"),
    "a negative seed": says_about("seed: expected", seed=-1),
    "fewer classes than outputs": says_about("expected names of classes for 3 outputs, got 2", classes=["a", "b"]),
    "100 classes": says_about("expected names of classes for 3 outputs, got 100", classes=[str(i) for i in range(100)]),
    "classes that are numbers": says_about(classes=[1, 2, 3]),
    "one class three times": says_about(classes=["a", "a", "a"]),
    "parameters as buffers": says_about("array '1.weight'", buffers=["1.weight", "0.mean", "0.inverse_std"]),
    "buffers that are not there": says_about("array '0.inverse_std': expected no such array", buffers=["7.mean"]),
    "buffers that are a number": says_about(buffers=5),
    "a description with NaN for a dict": text(
        lambda about: about.replace('"net": {', '"net": NaN, "x": {'), "expected a dict, got nan"
    ),
    "numbers of 5,000 digits": text(lambda about: about.replace('"epoch": 0', '"epoch": ' + "9" * 5000), DAMAGED),
}

MODELS: dict[str, Case] = {**HEADERS, **{f"described: {name}": case for name, case in DESCRIPTIONS.items()}}
