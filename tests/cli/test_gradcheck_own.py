"""`portanet gradcheck FILE.py:CLASS`: what is wrong with a layer or loss that someone else wrote."""

from __future__ import annotations

import importlib.util
import json

import pytest

HEAD = """
from dataclasses import dataclass
import numpy as np
import portanet as pn
from portanet.backends.namespace import namespace

@dataclass(frozen=True)
class Good(pn.Layer):
    units: int = 3
    def init(self, rng, in_shape):
        return {"w": rng.normal(size=(in_shape[-1], self.units))}, (self.units,)
    def forward(self, params, x, *, train=False, key=None):
        return x @ params["w"], (x, params["w"])
    def backward(self, params, dy, cache, *, need_dx=True):
        x, w = cache
        return dy @ w.mT, {"w": x.mT @ dy}

@dataclass(frozen=True)
class Square(pn.Loss):
    def forward(self, prediction, target, weight=None):
        xp = namespace(prediction)
        e = prediction - target
        w = xp.ones_like(e[:, 0]) if weight is None else weight
        w = w / xp.sum(w)
        return xp.sum(xp.sum(e**2, axis=-1) * w), (e, w)
    def backward(self, cache):
        return 2 * cache[0] * cache[1][:, None]

class Whole(pn.Embedding):
    def forward(self, params, x, *, train=False, key=None):
        if float(namespace(x).sum(abs(x - namespace(x).round(x)))) > 1e-3:  # the differences move it a little
            raise ValueError("whole numbers")
        return super().forward(params, x, train=train, key=key)

ready = Good(2)
"""

WRONG = {
    "Sign": (
        "Good", "backward(self, params, dy, cache, *, need_dx=True)",
        "return -dy @ cache[1].mT, {'w': cache[0].mT @ dy}",
        "Sign, gradient of x, seed 0: got ", "; the tolerance is 1e-06: the backward pass does not match the forward",
    ),
    "Lost": (
        "Good", "backward(self, params, dy, cache, *, need_dx=True)", "return dy @ cache[1].mT, {}",
        "Lost.backward: expected gradients of ['w'], got []", "",
    ),
    "Shape": (
        "Good", "backward(self, params, dy, cache, *, need_dx=True)",
        "return dy @ cache[1].mT, {'w': dy.mT @ cache[0]}",
        "Shape: gradient of w: expected shape (4, 3), got (3, 4)", "",
    ),
    "Alone": (
        "Good", "forward(self, params, x, *, train=False, key=None)", "return x @ params['w']",
        "Alone.forward: expected it to return (y, cache), got a ndarray", "",
    ),
    "Raises": (
        "Good", "backward(self, params, dy, cache, *, need_dx=True)", "return dy @ cache[2], {}",
        "Raises on numpy: it raises IndexError in backward (homework.py, line ", "): tuple index out of range",
    ),
    "Writes": (
        "Good", "forward(self, params, x, *, train=False, key=None)",
        "x *= 2; return x @ params['w'], (x, params['w'])",
        "Writes: expected x as it was, got another one: forward or backward writes on it; take a copy", "",
    ),
    "Keeps": (
        "Good", "forward(self, params, x, *, train=False, key=None)",
        "object.__setattr__(self, 'x', x); return x @ params['w'], (x, params['w'])",
        "got new fields (x); put them in the cache", "",
    ),
    "Numpy": (
        "Good", "forward(self, params, x, *, train=False, key=None)",
        "return np.matmul(np.asarray(x), np.asarray(params['w'])), (x, params['w'])",
        "Numpy on OTHER: y: expected an array of OTHER, got one of numpy; ",
        "take the namespace from the arrays: xp",
    ),
    "Unweighted": (
        "Square", "backward(self, cache)", "return 2 * cache[0] / cache[0].shape[0]",
        "Unweighted, gradient of prediction, seed 0: got ", "",
    ),
    "Column": (
        "Square", "forward(self, prediction, target, weight=None)",
        "return super().forward(prediction, target, weight)[0][None], None",
        "Column: value: expected shape (), got (1,)", "",
    ),
}  # fmt: skip


@pytest.fixture
def homework(cli, tmp_path):
    text = HEAD
    for name, (base, method, body, *_) in WRONG.items():
        text += f"\nclass {name}({base}):\n    def {method}:\n        {body}\n"
    (tmp_path / "homework.py").write_text(text, encoding="utf-8")
    return cli


@pytest.mark.parametrize("what", ["Good", "Good(5)", "Good(units=2)", "ready"])
def test_a_right_layer_passes_on_every_backend(homework, what):
    found = homework("gradcheck", f"homework.py:{what}", "--shape", "4")
    assert (found.code, found.err) == (0, "")
    rows = json.loads(homework("gradcheck", f"homework.py:{what}", "--shape", "4", "--json").out)
    assert [row["array"] for row in rows if row["backend"] == "numpy"] == ["x", "w"]
    for name in ("torch", "strict"):
        own = [row for row in rows if row["backend"] == name]
        assert own[0]["skipped"] or [row["array"] for row in own] == ["y", "dx", "w"]
    assert all(not row["problem"] for row in rows)


def test_a_right_loss_passes_on_every_backend(homework):
    found = homework("gradcheck", "homework.py:Square", "--shape", "3")
    assert found.code == 0
    for row in ("numpy    gradient", "numpy    gradient with sample weights", "strict   weighted gradient"):
        assert row in found.out


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(homework, name):
    found = homework("gradcheck", f"homework.py:{name}", "--shape", "4")
    assert found.code == 7
    *_, said, also = WRONG[name]
    other = "torch" if importlib.util.find_spec("torch") else "strict"  # which is asked after NumPy
    said = said.replace("OTHER", other)
    assert said in found.err
    assert also in found.err
    assert "failed" in found.out
    rows = json.loads(homework("gradcheck", f"homework.py:{name}", "--shape", "4", "--json").out)
    assert said in rows[-1]["problem"]


def test_a_class_of_an_imported_module_is_found_by_its_name(homework):
    assert homework("gradcheck", "Good", "--import", "homework", "--shape", "4").code == 0
    assert homework("gradcheck", "Square", "--import", "homework", "--shape", "4").code == 0
    assert homework("gradcheck", "Sign", "--import", "homework", "--shape", "4").code == 7
    found = homework("gradcheck", "Good", "--import", "homework")
    assert (found.code, found.out) == (2, "")
    assert "Good: expected the shape of a sample or prediction too; give --shape 4" in found.err
    assert homework("gradcheck", "Dense(3)", "--shape", "4").code == 0


def test_whole_numbers_and_classes(homework):
    assert homework("gradcheck", "homework.py:Whole(5, 2)", "--shape", "4").code == 7
    assert homework("gradcheck", "homework.py:Whole(5, 2)", "--shape", "4", "--whole-numbers", "5").code == 0
    assert homework("gradcheck", "softmax_cross_entropy", "--shape", "4").code == 0
    assert homework("gradcheck", "poisson", "--shape", "4", "--target", "counts").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("homework.py:Good",), 2, "expected the shape of a sample or prediction too; give --shape 4"),
        (("homework.py:Nope", "--shape", "4"), 2, "homework.py: unknown layer or loss 'Nope' (known: Alone, "),
        (("none.py:Good", "--shape", "4"), 3, "none.py: expected a Python file, found none; check the path"),
        (("homework.py:Good(1, 2)", "--shape", "4"), 2, "Good cannot be made (too many positional arguments)"),
        (
            ("homework.py:Good(open('x'))", "--shape", "4"),
            2,
            "perhaps with plain arguments, as in homework.py:MyLayer(3)",
        ),
        (("broken.py:Good", "--shape", "4"), 2, "broken.py, line 2: it raises ZeroDivisionError when it is imported"),
        (("odd.py:Good", "--shape", "4"), 2, "odd.py, line 1: it raises SyntaxError when it is imported"),
        (("Dnse", "--shape", "4"), 2, "unknown layer or loss 'Dnse'; did you mean 'Dense'"),
        (("--shape", "4"), 2, "are for a layer or loss of your own; name it, with its --shape"),
        (("homework.py:Good", "--shape", "4,x"), 2, "expected sizes such as 500,150"),
    ],
)
def test_what_cannot_be_is_refused(homework, tmp_path, words, code, said):
    (tmp_path / "broken.py").write_text("x = 1\n1 / 0\n")
    (tmp_path / "odd.py").write_text("class (:\n")
    found = homework("gradcheck", *words)
    assert (found.code, found.out) == (code, "")
    assert said in found.err


STUDENT = """
import sys
import portanet as pn

print("imported")

class Base(pn.Layer):
    def forward(self, params, x, *, train=False, key=None):
        print("forward")
        return x, None
    def backward(self, params, dy, cache, *, need_dx=True):
        return dy, {}

class Ends(Base):
    def forward(self, params, x, *, train=False, key=None):
        sys.exit(0)

class Endless(Base):
    def backward(self, params, dy, cache, *, need_dx=True):
        while True:
            pass

class Nothing(Base):
    def backward(self, params, dy, cache, *, need_dx=True):
        return dy * float("nan"), {}

class Half(pn.Layer):
    def forward(self, params, x, *, train=False, key=None):
        return x, None

class Short(pn.Layer):
    def forward(self, x):
        return x

class Unmade(Base):
    def __init__(self):
        raise ValueError("no")

class Plain:
    pass
"""


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("Ends", 7, "it raises SystemExit in forward (student.py, line 16): 0"),
        ("Endless", 7, "not done after 3 seconds; look for a loop that never ends, or raise --time-limit"),
        ("Nothing", 7, "Nothing: dx: expected finite numbers, got NaN or infinity"),
        ("Half", 7, "Half on numpy: it has no backward method"),
        ("Short", 7, "expected forward(self, params, x, *, train, key) and backward("),
        ("Unmade", 2, "Unmade cannot be made: it raises ValueError, line 37: no"),
        ("Plain", 2, "student.py: expected Plain to derive from pn.Layer or pn.Loss: class Plain(pn.Layer)"),
    ],
)
def test_what_students_write(cli, tmp_path, name, code, said):
    (tmp_path / "student.py").write_text(STUDENT, encoding="utf-8")
    limit = ("--time-limit", "3s") if name == "Endless" else ()
    found = cli("gradcheck", f"student.py:{name}", "--shape", "4", *limit)
    assert found.code == code
    assert said in found.err
    assert "Traceback" not in found.err


def test_what_the_code_prints_is_not_the_result(cli, tmp_path):
    (tmp_path / "student.py").write_text(STUDENT, encoding="utf-8")
    for words in (("student.py:Base",), ("Base", "--import", "student")):
        found = cli("gradcheck", *words, "--shape", "4", "--json")
        assert found.code == 0
        assert json.loads(found.out)[0]["array"] == "x"
        assert "forward" in found.err


def test_a_file_that_ends_the_process_does_not_pass(cli, tmp_path):
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(0)\n")
    for words in (("ends.py:Base",), ("Base", "--import", "ends")):
        found = cli("gradcheck", *words, "--shape", "4")
        assert (found.code, found.out) == (2, "")
        assert "raises SystemExit when it is imported: 0" in found.err
