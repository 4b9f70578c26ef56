"""Writes docs/hostile-files.md: the answer that each hostile file got when this was run, and the memory it took.

python -m tests.hostile.files_page
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from tests.hostile import test_findings
from tests.hostile.findings import FINDINGS
from tests.hostile.test_files import GROUPS, asked

PAGE = Path(__file__).parents[2] / "docs" / "hostile-files.md"

HEAD = """# Hostile files, and the answer that each got

Written by `python -m tests.hostile.files_page`. `tests/hostile/test_files.py` asks the same files in the same way, and
holds each answer to its exit code, one line, less than 5 seconds of processor time, less than 200 MB, and nothing on
stdout or stderr that steers a terminal. Memory is the peak of the whole process, of which the imports take {:.0f} MB. A
cell is exit code, MB and seconds. Networks are given to `predict`, `export` and `info`; data to `train`, `predict`
(with a good network) and `info`: `export` reads no data. The answer is that of the first of them. Files of other
programs are read by `info` alone. Folders are cut from the answers.

{} files. Most memory: {}. Longest: {}.
"""

FOUND = """## Findings of run folders, outputs, checkpoints, names and bounds ({})

Each was found in this project, and is made again by `tests/hostile/test_findings.py`. *Before* is what was reported or
measured then: exit code, result, memory. *Now* is exit code, MB and seconds, and what was seen of the files.

| group | finding | before | now | answer |
|---|---|---|---|---|
{}
"""


def page() -> str:
    """Return the page."""
    with tempfile.TemporaryDirectory() as folder:
        answers: dict[str, dict[Any, Any]] = {}
        for i, (title, (cases, commands, packages)) in enumerate(GROUPS.items()):
            (Path(folder) / f"part{i}").mkdir()
            answers[title] = asked(cases, commands, Path(folder) / f"part{i}", packages)
        parts = [_head(answers), _findings(Path(folder))]
        for title, (cases, commands, _) in GROUPS.items():
            found = answers[title]
            rows = [
                f"| {name} | {_said(found[name, commands[0]]['err'], folder)} | "
                + " | ".join(_cell(found[name, command]) for command in commands)
                + " |"
                for name in cases
            ]
            columns = [command.removesuffix(" on") for command in commands]
            head = f"## {title} ({len(rows)})\n\n| file | answer | {' | '.join(columns)} |\n|---|---|---|---|---|"
            parts.append("\n".join([head, *rows, ""]))
    return "\n".join(parts)


def _findings(folder: Path) -> str:
    (folder / "found").mkdir()
    answers, rows = test_findings.asked(folder / "found"), []
    for group, findings in FINDINGS.items():
        for name, finding in findings.items():
            answer = answers[name]
            now = "; ".join(filter(None, [_cell(answer), answer["seen"]]))
            said = _said(answer["err"], str(folder)) if finding.code else ""
            said = said if len(said) <= 240 else said[:237] + "..."
            rows.append(f"| {group} | {name} | {finding.before} | {now} | {said} |")
    return FOUND.format(len(rows), "\n".join(rows))


def _head(answers: dict[str, dict[Any, Any]]) -> str:
    every: dict[str, list[Any]] = {}
    for found in answers.values():
        for (_, command), answer in found.items():
            every.setdefault(command.removesuffix(" on"), []).append(answer)
    least = min(answer["peak"] for own in every.values() for answer in own) / 1e6
    most, longest = (
        ", ".join(f"`{command}` {form.format(max(of(answer) for answer in own))}" for command, own in every.items())
        for form, of in (("{:.0f} MB", lambda a: a["peak"] / 1e6), ("{:.1f} s", lambda a: a["seconds"]))
    )
    return HEAD.format(least, sum(len(cases) for cases, *_ in GROUPS.values()), most, longest)


def _cell(answer: dict[str, Any]) -> str:
    return f"{answer['code']}, {answer['peak'] / 1e6:.0f}, {answer['seconds']:.1f}"


def _said(text: str, folder: str) -> str:
    """Return the line of the error, in a table's cell."""
    (line,) = (line for line in text.splitlines() if line.startswith("Error: "))
    line = re.sub(re.escape(folder) + r"/\w+/\d+/?", "", line.removeprefix("Error: "))
    return line.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
