"""The estimators' docstrings by numpydoc, with scikit-learn's own list of what it asks for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("sklearn", minversion="1.9", reason='scikit-learn 1.9 is not installed: pip install "scikit-learn"')
pytest.importorskip("numpydoc", reason="numpydoc is not installed: pip install numpydoc")


def test_docstrings():
    command = [sys.executable, "-m", "tests.sklearn.docstring_errors"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # what the estimators share is told alike
    found = json.loads(done.stdout)
    bare = found.pop("tests.sklearn.docstring_errors.Bare")
    assert {code for code, _ in bare} >= {"SS02", "SS03", "PR01"}  # it is a check that finds something
    assert len(found) > 30
    assert {path: errors for path, errors in found.items() if errors} == {}
