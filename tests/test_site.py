"""The site: every page is in a toctree, shows code that is there, and builds without a warning."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from portanet.public import PUBLIC
from portanet.verify import cases
from tests import math_figures

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")}
PAGES = {page for page in PAGES if not page.startswith("_")}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORTANET_BACKEND": "numpy", "PYTHONUTF8": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_every_page_is_in_a_toctree():
    listed = set()
    for page in PAGES:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", (DOCS / f"{page}.md").read_text("utf-8"), re.M | re.S):
            lines = [line for line in tree.splitlines() if line and not line.startswith(":")]
            names = [re.sub(r".*<(.*)>", r"\1", line) for line in lines]
            for name in (os.path.normpath(Path(page).parent / name).replace(os.sep, "/") for name in names):
                listed |= set(fnmatch.filter(PAGES, name)) if "*" in name else {name}
    missing = PAGES - listed - {"index"}
    assert not missing, f"add {sorted(missing)} to a toctree, of docs/guides.md for example"
    assert listed - PAGES == {"api/index"}, "pages that are not there; api/index is written by the build"


def test_derivations_show_code_that_is_there():
    """A build would fail too, but not everybody has Sphinx."""
    shown = 0
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text("utf-8")
        for path, name in re.findall(r"^```\{literalinclude\} (\S+)\n:pyobject: (\S+)\n:dedent:$", text, re.MULTILINE):
            source = (DOCS / page).parent.joinpath(path).read_text("utf-8")
            for part in name.split("."):
                assert re.search(rf"^ *(def|class) {part}\b", source, re.MULTILINE), f"{page}: {name} in {path}"
            shown += 1
    assert shown > 50


def test_the_gallery_has_every_example():
    text = (DOCS / "examples.md").read_text("utf-8")
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert len(scripts) >= 8
    for script in scripts:
        _, _, section = text.partition(f"\n## {script.name}\n")
        section = section.partition("\n## ")[0]
        assert f"\npython examples/{script.name}" in section, script.name
        assert f"```{{literalinclude}} ../examples/{script.name}\n" in section, script.name
    shown = set(re.findall(r"\.\./examples/pictures/(\w+)\.png", text))
    assert shown == {picture.stem for picture in (ROOT / "examples" / "pictures").glob("*.png")}


FIGURES = (("Layers", cases.LAYERS), ("Losses", cases.LOSSES), ("Optimizers", cases.OPTIMIZERS))


@pytest.mark.parametrize(("kind", "known"), FIGURES, ids=[kind for kind, _ in FIGURES])
def test_figures_have_a_row_for_each(kind, known):
    text = (DOCS / "math" / "figures.md").read_text("utf-8")
    section = text.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \|", section, re.MULTILINE)
    assert set(rows[1:]) == set(known), "run python -m tests.math_figures"


def test_figures_of_autograd_and_mutants_are_current():
    mutation = pytest.importorskip("tests.endurance.mutation", reason="forks need Unix")
    results = json.loads(math_figures.MUTANTS.read_text("utf-8"))
    text = math_figures.PAGE.read_text("utf-8")
    assert text.endswith(math_figures.mutant_table(results)), "run python -m tests.math_figures"
    for kind, known in FIGURES:
        head, _, *rows = text.split(f"\n## {kind}\n\n")[1].split("\n\n")[0].strip().splitlines()
        columns = [cell.strip() for cell in head.strip("|").split("|")]
        assert len(rows) == len(known)
        for row in rows:
            cells = dict(zip(columns, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
            name = cells[columns[0]]
            assert cells["mutants"] == math_figures.mutants_of(name, results)
            assert (cells["autograd"] == "") == (name in math_figures.NO_AUTOGRAD), name
            assert float(cells["autograd"] or 0) < 1e-13, name
    for name, row in results.items():
        assert name in mutation.TESTS
        assert 0 < row["killed"] <= row["mutants"] - row["equivalent"], name


def test_first_page_prints_what_it_says(tmp_path):
    pytest.importorskip("sklearn", reason="the page uses scikit-learn: pip install scikit-learn")
    trained, replaced = (run(sys.executable, "-c", code, cwd=tmp_path) for code in blocks("start.md", "python"))
    assert trained.returncode == 0, trained.stderr
    assert 0.95 < float(re.search(r"'accuracy': ([\d.]+)", trained.stdout).group(1)) <= 1
    assert trained.stdout.splitlines()[-1] == "[3 4 7 9 8]"
    assert replaced.returncode == 0, replaced.stderr
    assert 0.93 < float(replaced.stdout) < 0.99


@pytest.mark.slow
def test_first_page_from_an_empty_folder(tmp_path):
    pytest.importorskip("onnx", reason="the page exports: pip install onnx")
    for line in blocks("start.md", "sh")[1].splitlines():
        program, *words = shlex.split(line)
        assert program == "portanet"
        done = run(sys.executable, "-m", "portanet", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/digits/model.onnx").exists()
    assert len((tmp_path / "predictions.csv").read_text("utf-8").splitlines()) == 360
    assert {p.stem for p in (tmp_path / "runs/digits/plots").iterdir()} == {"curves", "confusion", "worst"}


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path):
    needs = ("sphinx", "numpydoc", "myst_parser", "pydata_sphinx_theme")
    lacking = [name for name in needs if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: pip install -e '.[docs]'")
    done = run(sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(DOCS), str(tmp_path / "site"), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names = {name for found in PUBLIC.values() for name in found.split()}
    assert {p.stem.removeprefix("portanet.") for p in (tmp_path / "site/api").glob("portanet.*.html")} >= names
    dense = (tmp_path / "site/api/portanet.Dense.html").read_text("utf-8")
    assert "Backward  dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ_rows dy" in re.sub(r"<[^>]+>", "", dense)
