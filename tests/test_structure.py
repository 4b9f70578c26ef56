"""The shape of the house is held: no new import circle, no new reach into another object, no new file at the root."""

from __future__ import annotations

import pytest

from tests import structure

CIRCLES, PRIVATE, FLAT = 7, 32, 14
"""What there may be; only ever lowered. The aim is 0, 0 and 14."""


@pytest.fixture(scope="module")
def house():
    return structure.measure()


def test_no_import_circles(house):
    assert len(house.circles) <= CIRCLES, structure.report(house)


def test_no_private_names_of_other_objects(house):
    assert len(house.private) <= PRIVATE, "\n".join(house.private)


def test_few_files_lie_flat(house):
    assert len(house.flat) <= FLAT, house.flat


@pytest.fixture
def small(tmp_path):
    """Return a function that writes a house of these files, and measures it."""

    def build(files):
        (tmp_path / "backends").mkdir()
        for name, text in {"portanet/__init__.py": "", **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return structure.measure(tmp_path)

    return build


@pytest.mark.parametrize(
    ("back", "how"),
    [
        ("from portanet.a import x", "at the top"),
        ("from portanet import a", "at the top"),
        ("import portanet.a as other", "at the top"),
        ("from . import a", "at the top"),
        ("from .a import x", "at the top"),
        ("if TYPE_CHECKING:\n    from portanet.a import x", "types"),
        ("def f():\n    from portanet.a import x", "function"),
        ("f = lambda: importlib.import_module('portanet.a')", "function"),
    ],
)
def test_a_circle_is_found_however_it_is_imported(small, back, how):
    house = small({"portanet/a.py": "from portanet.b import y", "portanet/b.py": back, "portanet/c.py": "import re"})
    assert house.circles == [["portanet.a", "portanet.b"]]
    assert house.imports["portanet.b"] == {"portanet.a": how}
    assert f"portanet.b imports portanet.a  ({how})" in structure.report(house)


def test_circles_around_corners(small):
    names = "abcdef"
    imports = {"a": "b", "b": "c", "c": "a", "d": "a", "e": "f", "f": "e"}
    files = {f"portanet/x/{n}.py": f"from portanet.x.{imports[n]} import z\n" for n in names}
    files |= {"portanet/x/__init__.py": "from .d import y", "backends/__init__.py": "from portanet.x import a"}
    house = small(files)
    assert house.circles == [["portanet.x.a", "portanet.x.b", "portanet.x.c"], ["portanet.x.e", "portanet.x.f"]]
    assert house.imports["portanet.backends"] == {"portanet.x.a": "at the top"}
    assert house.imports["portanet.x"] == {"portanet.x.d": "at the top"}


def test_private_names(small):
    text = """
from portanet.b import _other
from portanet.b import public
from sklearn import _theirs
class Own:
    _known = 1
    def f(self, other):
        self._a = super()._b + Own._known + cls._c + MINE._d
        other._e += self.inner._f
        getattr(other, "_g")
        os._exit(point._replace(x=other.__dict__))
MINE = 1
"""
    house = small({"portanet/a.py": text, "portanet/b.py": ""})
    assert house.private == [
        "portanet/a.py:2: portanet.b._other",
        *(f"portanet/a.py:{line}" for line in ("9: other._e", "9: self.inner._f", "10: other._g")),
    ]


def test_counts(small):
    house = small({"portanet/a.py": "def f():\n    x = 1\n\n    return x\n\n\ny = 2\n", "portanet/b/c.py": "z = 1\n"})
    assert house.flat == ["__init__.py", "a.py"]
    assert house.lines == {"portanet/__init__.py": 0, "portanet/a.py": 7, "portanet/b/c.py": 1}
    assert house.functions == {"portanet/a.py:1 f": 4}
    said = structure.report(house)
    for what, number in (
        ("files flat in portanet/", "2"),
        ("lines", "8"),
        ("longest function", "4  portanet/a.py:1 f"),
    ):
        assert f"{what:32}{number}\n" in said
