"""Writes docs/hostile-files.md: the answer that each hostile file got when this was run, and the memory it took.

python -m tests.hostile.files_page
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.hostile.data_files import DATA
from tests.hostile.model_files import MODELS, Case
from tests.hostile.test_files import asked

PAGE = Path(__file__).parents[2] / "docs" / "hostile-files.md"

HEAD = """# Hostile files, and the answer that each got

Written by `python -m tests.hostile.files_page` from runs of `portanet {}`.
`tests/hostile/test_files.py` asks the same files, also by `portanet info`, and holds them to exit code 3, one line,
less than 5 seconds and less than 200 MB. Memory is the peak of the whole process, of which the imports take {:.0f} MB.
Folders are cut from the answers.

Most memory of {} files: {:.0f} MB. Longest: {:.1f} s.
"""


def page() -> str:
    """Return the page."""
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, tuple[str, Mapping[str, Case]]] = {"predict": ("Networks", MODELS), "train": ("Data", DATA)}
        answers: dict[str, dict[str, Any]] = {}
        for command, (title, cases) in kinds.items():
            (Path(folder) / title).mkdir()
            found = asked(cases, [command], Path(folder) / title)
            answers[command] = {name: found[name, command] for name in cases}
        every = [answer for own in answers.values() for answer in own.values()]
        peaks = [answer["peak"] / 1e6 for answer in every]
        commands = "` and `portanet ".join(kinds)
        parts = [HEAD.format(commands, min(peaks), len(every), max(peaks), max(answer["seconds"] for answer in every))]
        for command, (title, _) in kinds.items():
            rows = [
                f"| {name} | {_said(answer['err'], folder)} | {answer['code']} | {answer['peak'] / 1e6:.0f} |"
                for name, answer in answers[command].items()
            ]
            head = f"## {title} ({len(rows)})\n\n| file | answer | exit | MB |\n|---|---|---|---|"
            parts.append("\n".join([head, *rows, ""]))
    return "\n".join(parts)


def _said(text: str, folder: str) -> str:
    """Return the line of the error, in a table's cell."""
    (line,) = (line for line in text.splitlines() if line.startswith("Error: "))
    line = re.sub(re.escape(folder) + r"/\w+/\d+/?", "", line.removeprefix("Error: "))
    return line.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
