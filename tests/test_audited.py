"""What ci/audited.py says of a report of pip-audit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_could_not_be_audited_is_counted_and_named(tmp_path):
    found = {
        "dependencies": [
            {"name": "click", "version": "8", "vulns": []},
            {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]},
            {"name": "portanet", "skip_reason": "Dependency not found on PyPI"},
        ]
    }
    (tmp_path / "audit.json").write_text(json.dumps(found))
    done = subprocess.run(
        [sys.executable, ROOT / "ci" / "audited.py", tmp_path / "audit.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2 packages audited, 2 known vulnerabilities; 1 could not be audited: portanet\n"
