"""What is shipped: the wheel holds the backends as portanet.backends and nothing at the top level beside portanet."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, beside the sdist it was built from; ``PORTANET_WHEEL`` names one that has just been built."""
    if built := os.environ.get("PORTANET_WHEEL"):
        return Path(built)
    pytest.importorskip("build", reason="the wheel is built by the package build: pip install build")
    folder = tmp_path_factory.mktemp("wheel")
    # By way of the sdist: so both are shown to be whole, and no folder build/ with old files is used.
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_every_module_once(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"portanet"}
    source = {f"portanet/{p.relative_to(ROOT / 'portanet').as_posix()}" for p in (ROOT / "portanet").rglob("*.py")}
    source |= {f"portanet/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "backends").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == source
    assert "portanet/py.typed" in names
    page = {f"portanet/play/static/{p.name}" for p in (ROOT / "portanet" / "play" / "static").iterdir()}
    assert {*page, "portanet/play/digits.npz"} <= set(names)


def test_the_sdist_holds_the_package_and_none_of_the_tests(wheel):
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    source = {p.relative_to(ROOT).as_posix() for p in (ROOT / "portanet").rglob("*.py") if "backends" not in p.parts}
    source |= {p.relative_to(ROOT).as_posix() for p in (ROOT / "backends").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == source


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < 900_000  # 811 kB, of which the page to play on and its network take 120


def test_packages_are_all_listed():
    folders = {p.parent for p in (ROOT / "portanet").rglob("*.py") if "backends" not in p.parts}
    named = {".".join(f.relative_to(ROOT).parts) for f in folders}
    named |= {".".join(("portanet", *p.parent.relative_to(ROOT).parts)) for p in (ROOT / "backends").rglob("*.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == named


def test_versions_agree():
    import portanet

    assert portanet.__version__ == PROJECT["project"]["version"]


def test_the_light_extra_holds_neither_torch_nor_jax_nor_cupy():
    extras = PROJECT["project"]["optional-dependencies"]
    assert extras["all"] == ["portanet[sklearn,plot,data,onnx]"]
    light = " ".join(itertools.chain.from_iterable(extras[name] for name in ("sklearn", "plot", "data", "onnx")))
    assert not any(heavy in light for heavy in ("torch", "jax", "cupy"))


def test_the_workflows_call_the_scripts():
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert text.count("ci/check.sh") == 2
    assert "ci/wheel.sh" in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    for system in ("ubuntu", "macos", "windows"):
        assert f"{system}-latest" in text
    assert f'"{PROJECT["project"]["requires-python"].removeprefix(">=")}"' in text
