"""Names: what may stand in one, where others are refused, and how foreign ones are shown."""

from __future__ import annotations

import ast
import json
import unicodedata

import numpy as np
import pytest

import portanet as pn
from portanet import export
from portanet.cli.output import as_json
from portanet.data.readers.labels import encode
from portanet.names import escaped, escaped_json, is_safe
from tests.hostile.name_files import SIGNS

PLAIN = [
    "a",
    "café",
    "猫",
    "👩‍👩‍👧",
    "می‌خواهم",
    "שלום",
    "=1+1",
    "'quoted\"",
    "{x}",
    "# <CLASSES>",
    "[red]",
    "\\x1b",
    " ",
]


@pytest.mark.parametrize("name", PLAIN)
def test_what_people_write_is_safe_and_shown_as_it_is(name):
    assert is_safe(name)
    assert escaped(name) == escaped_json(name) == name


@pytest.mark.parametrize("what", SIGNS)
def test_what_steers_is_written_out(what):
    name = SIGNS[what]
    assert not is_safe(name)
    assert is_safe(escaped(name))
    assert escaped(escaped(name)) == escaped(name)
    assert json.loads(as_json([name, {name: 1}])) == [name, {name: 1}]
    assert all(map(is_safe, as_json([name, {name: 1}]).split("\n")))
    as_json(name).encode()


def test_all_control_characters_and_halves_are_unsafe():
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    unsafe = []
    for sign in map(chr, [*range(0x3000), *range(0xD800, 0xE000)]):
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(sign) in turning:
            unsafe.append(sign)
            assert not is_safe(f"a{sign}b"), ascii(sign)
    assert len(unsafe) == 65 + 2048 + 2 + len(turning)


@pytest.mark.parametrize("what", SIGNS)
def test_it_is_refused_where_it_enters(what, tmp_path):
    name = SIGNS[what]
    with pytest.raises(pn.ConfigError, match="classes: expected names without control characters"):
        pn.Trainer([pn.Dense(2)], backend="numpy", classes=["a", name])
    with pytest.raises(pn.ConfigError, match="name must be a name without control characters"):
        pn.Accuracy(name)
    with pytest.raises(pn.ConfigError, match="name must be a name without control characters"):
        pn.custom_activation(name, lambda x: x, lambda x: x * 0 + 1)
    with pytest.raises(pn.DataError, match="row 1: expected a label without control characters"):
        encode(["a", name, "b"], None, task=None, where=lambda i: f"row {i}")
    trainer = pn.Trainer([pn.Dense(2)], backend="numpy")
    trainer.init((2,))
    trainer.classes = ("a", name)
    with pytest.raises(pn.ConfigError, match="save: classes: expected names without"):
        trainer.save(tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_names_in_a_script_are_texts_and_nothing_else(tmp_path):
    trainer = pn.Trainer([pn.Dense(len(PLAIN))], backend="numpy", classes=PLAIN)
    trainer.init((2,))
    export.to_numpy_script(trainer, tmp_path / "net.py")
    tree = ast.parse((tmp_path / "net.py").read_text(encoding="utf-8"))
    (classes,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLASSES"
    )
    assert ast.literal_eval(classes) == PLAIN
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "W"]
    arrays = [ast.literal_eval(part.slice) for part in parts]
    assert sorted(arrays) == ["0.bias", "0.weight"]


def test_labels_of_numpy_are_refused_with_their_place(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((2, 2)))
    np.save(tmp_path / "y.npy", np.array(["a", "b\n"]))
    with pytest.raises(pn.DataError, match=r"y.npy\[1\]: expected a label without control characters.*got 'b\\n'"):
        pn.data.load(tmp_path / "X.npy")
