"""The pages: links lead somewhere, README's example prints what it says, and both languages show the same commands."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    broken = [link for link in links if not (page.parent / link.split("#")[0]).exists()]
    assert not broken


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = (heading.replace("`", "").lower() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_anchors(page):
    links = re.findall(r"\]\(([^)\s:]*\.md)?#([^)\s]+)\)", page.read_text("utf-8"))
    broken = [link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)]
    assert not broken


def test_readme_is_short_and_the_same_in_chinese():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130
    assert blocks("README.zh-CN.md", "sh") == blocks("README.md", "sh")
    english, chinese = (blocks(page, "python") for page in ("README.md", "README.zh-CN.md"))
    assert [re.sub(r"#.*", "", b) for b in chinese] == [re.sub(r"#.*", "", b) for b in english]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_example_prints_what_it_says(page, tmp_path):
    (code,) = blocks(page, "python")
    said = ast.literal_eval(re.search(r"# rounded: (\{.*\})", code).group(1))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORTANET_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    assert ast.literal_eval(printed) == pytest.approx(said, abs=0.02)  # float32 differs from processor to processor
    assert (tmp_path / "digits.safetensors").exists()


BANNED = re.compile(r"\b(behind|mend(s|ed)?|anew|told(?! apart)|of one's own)\b", re.IGNORECASE)
"""Words that NumPy's pages would not use for after, fix, again, reported and custom."""


def test_plain_words():
    places = [*PAGES, *(ROOT / "examples").glob("*.py")]
    places += [path for folder in ("portanet", "backends") for path in (ROOT / folder).rglob("*.py")]
    found = {
        f"{path.relative_to(ROOT)}:{i}": line.strip()[:100]
        for path in places
        for i, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if BANNED.search(line)
    }
    assert not found
