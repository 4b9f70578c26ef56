"""Names that steer a terminal, turn text round, cannot be encoded or look like code: refused, or shown written out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.make import digit, text
from tests.hostile.make import X, arrays_zip, blank, digits_zip, member, npy, pair, plain, tree
from tests.hostile.model_files import Case, joined, layer, raw, says_about, tensors

SIGNS = {
    "half a character": "\ud800",
    "an escape": "\x1b]0;me\x07",
    "an escape in one byte": "\x9b2J",
    "a newline": "a\nstopped  epochs",
    "a carriage return": "\rb",
    "a tab": "a\tb",
    "a zero byte": "\0",
    "a line separator": "a\u2028b",
    "text turned round": "\u202etxt.exe",
    "an isolated direction": "\u2066x",
    "a mark of direction": "\u200f",
}

HALF = "\ud800"
REFUSED, CANNOT = "expected names without control characters", r"the text '\ud800' cannot be encoded"

IN_NETWORKS: dict[str, Case] = {
    **{
        f"a class named by {what}": says_about(CANNOT if name == HALF else REFUSED, classes=["a", "b", name])
        for what, name in SIGNS.items()
    },
    "a metric named by an escape": says_about(
        "name must be a name without control characters",
        metrics=[{"name": "accuracy", "options": {"name": "\x1b[2J"}, "column": "\x1b[2J"}],
    ),
    "an activation named by an escape": layer(
        3, r"the activation '\x1b[2J' was defined", type="CustomActivation", name="\x1b[2J"
    ),
    "a layer named by half a character": layer(1, CANNOT, type="\ud800"),
    "an array named by an escape": tensors(
        lambda header: header.update({"\x1b[2J": header.pop("1.weight")}), r"array '\x1b[2J': expected no such array"
    ),
}


def foreign(metadata: dict[str, str], *names: str) -> Case:
    """Another program's arrays: `info` tells what they are, in escaped words; no other command takes them."""
    header: dict[str, Any] = {"__metadata__": metadata}
    for i, name in enumerate(names or ("w",)):
        header[name] = {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]}
    made = raw(joined(header, bytes(4 * len(names or "w"))), "another program's")
    return made._replace(info=0)


FOREIGN = {
    "metadata that are code": foreign({"format": "pt", "torch": "import os\nos.system('true')\nnet = 1"}),
    "metadata that pretend to be lines of ours": foreign(
        {"output": "logits\nclasses  none", "portanet_version": "\x1b[2J"}
    ),
    "metadata that turn text round": foreign({"output": "\u202estigol", "input_shape": "\x9b2J"}),
    "classes that are 50,000 brackets": foreign({"classes": "[" * 50_000}),
    "classes that steer a terminal": foreign({"classes": '["\\u001b[2J", "\\ud800", "a\\nb", [1], null]'}),
    "arrays that steer a terminal": foreign({}, "\x1b[2J", "a\nb", "[red]x[/red]", "\u202ex"),
    "arrays named by a path": foreign({}, "../../etc/passwd", "x" * 100_000),
}


def folder(name: bytes, content: bytes) -> Case:
    """Two classes, one of them in a folder, or a file, of this name."""

    def make(place: Path) -> Path:
        root = os.fsencode(place) + b"/data/"
        for path in (root + name, root + (b"b/1.png" if b"/" in name else b"1_1.txt")):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        return place / "data"

    return Case(make, LABEL)


LABEL = "expected a label without control characters"
ROWS = b"1,2,%s\n2,3,b\n" * 9
ABOUT = b'{"classes": ["\\ud800", "b", "c"], "features": ["x", "y", "z"], "scale": null}'
LABELS = np.array(["a", "b\x1b[2J"] * 3 + ["a"])

IN_DATA: dict[str, Case] = {
    **{
        f"labels of {what}": plain("a.csv", b"a,b,c\n" + ROWS.replace(b"%s", b'"q%sq"' % name.encode()), LABEL)
        for what, name in SIGNS.items()
        if what not in ("half a character", "a zero byte", "a carriage return")
    },
    "a folder that is not UTF-8": folder(b"\xff\xfe/1.png", blank(4)),
    "a folder that steers a terminal": folder(b"\x1b[2J/1.png", blank(4)),
    "a digit whose name is not UTF-8": folder(b"\xff_1.txt", text(digit(0)).encode()),
    "a digit whose name is of two lines": folder(b"a\nb_1.txt", text(digit(0)).encode()),
    "a digit in a zip that steers a terminal": plain(
        "a.zip", digits_zip(member("trainingDigits/\x1b[2J_1.txt", text(digit(0)).encode())), LABEL
    ),
    "labels of an array that steer a terminal": pair(npy(X), LABEL, npy(LABELS)),
    "labels of an archive that steer a terminal": plain("a.npz", arrays_zip(member("y.npy", npy(LABELS))), LABEL),
    "names beside an array that cannot be encoded": tree(
        "portanet.json: expected what portanet convert writes",
        {"X.npy": npy(X), "y.npy": npy(np.array([0, 1, 2, 0, 1, 2, 0])), "portanet.json": ABOUT},
    ),
}
