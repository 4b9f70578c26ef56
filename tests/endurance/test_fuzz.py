"""A fixed number of damaged files for every reader; tests.endurance.fuzz tries as many as it is given time for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.endurance.fuzz import READERS, Damage
from tests.endurance.mutate import KINDS, Change, changed, views
from tests.endurance.seeds import SEEDS

ROOT = Path(__file__).parents[2]
EXAMPLES = 25


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by Linux' means")
def test_damaged_files_are_read_or_refused():
    command = [sys.executable, "-m", "tests.endurance.fuzz", "--here", "--examples", str(EXAMPLES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    rows = {words[0]: words for words in map(str.split, done.stdout.splitlines()) if words[0] in READERS}
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(rows) == set(READERS)
    for _, tried, _, refused, crashes, *_ in rows.values():
        assert int(tried) >= EXAMPLES
        assert int(refused) >= 1  # what is damaged is found
        assert int(crashes) == 0


@pytest.mark.parametrize("reader", READERS)
def test_each_view_of_a_seed_is_the_seed(reader, tmp_path):
    """What is taken apart is put together again: else only the wrapping would be tried, and nothing in it."""
    for path in (SEEDS / reader).rglob("*"):
        skip = 2 if path.suffix == ".safetensors" else 1  # its header is padded
        for view in views(path.read_bytes()) if path.is_file() else ():
            again = view.again(view.data)
            seen, expected = ([inner.data for inner in views(file)] for file in (again, path.read_bytes()))
            assert seen[skip:] == expected[skip:]
            harm = Change(0, 3, 1, b"")
            assert view.again(changed(view.data, [harm])) != again
    with Damage(reader, 0, 0, []).made(tmp_path) as folder:
        assert any(folder.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_any_change_fits_any_data(kind):
    for data in (b"", b"1", b'{"a": [1, 2]}' * 9):
        for at in (0, 1, 255, 256, 65535):
            for much in (0, 1, 77, 65535):
                assert isinstance(changed(data, [Change(kind, at, much, b"xyz")]), bytes)
