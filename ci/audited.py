"""Says what pip-audit has audited and what it could not, from its JSON: ``python ci/audited.py audit.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def told(found: dict[str, list[dict[str, object]]]) -> str:
    """Return the counts in a line, with the names of the packages that could not be audited."""
    packages = found["dependencies"]
    skipped = [str(one["name"]) for one in packages if "skip_reason" in one]
    holes = sum(len(one.get("vulns", ())) for one in packages)  # type: ignore[arg-type]
    line = f"{len(packages) - len(skipped)} packages audited, {holes} known vulnerabilities"
    names = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
    return line + (f"; {len(skipped)} could not be audited: {names}" if skipped else "")


if __name__ == "__main__":
    print(told(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
