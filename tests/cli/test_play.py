"""`portanet play`: the address, the refusals, and the page as files."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import portanet as pn
from portanet.play.files import page_files
from portanet.play.static_page import CORE

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a process that is not in the foreground")
def test_it_prints_an_address_serves_and_ends_by_ctrl_c(tmp_path):
    pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")
    command = [sys.executable, "-m", "portanet", "play", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/\?token=[\w-]{43})", address).groups()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        connection.request("GET", path)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert list(tmp_path.iterdir()) == []  # nothing is written


def test_a_run_that_is_no_network_of_images(moons):
    found = moons("play", "runs/moons", "--no-browser")
    assert found.code == 2
    assert "square images" in found.err


def test_a_run_that_is_not_there(cli):
    assert cli("play", "runs/none", "--no-browser").code == 3


def test_without_the_extra(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = cli("play", "--no-browser")
    assert found.code == 2
    assert "portanet[play]" in found.err or ".[play]" in found.err


def test_a_port_that_is_taken(cli):
    pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -e '.[play]'")
    from portanet.play.server import listen

    with listen(0) as taken:
        found = cli("play", "--no-browser", "--port", str(taken.getsockname()[1]))
    assert found.code == 2
    assert "leave it out" in found.err


def test_the_page_as_files(cli, tmp_path):
    found = cli("play", "--static", "site")
    assert (found.code, found.out) == (0, "")
    assert "0.29.5" in found.err
    written = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*")}
    assert written == {*page_files(), "portanet.zip", "runtime.json"}
    runtime = json.loads((tmp_path / "site" / "runtime.json").read_text())
    assert {name: runtime["files"][name]["sha256"] for name in CORE} == CORE
    assert all("0.29.5" in runtime["files"][name]["url"] for name in CORE)
    page = (tmp_path / "site" / "index.html").read_text()
    assert 'content="worker"' in page
    assert "default-src 'none'" in page
    assert cli("play", "--static", "site").code == 2  # nothing is overwritten


def test_pyodide_of_another_version_is_refused(cli, tmp_path):
    (tmp_path / "pyodide").mkdir()
    for name in CORE:
        (tmp_path / "pyodide" / name).write_bytes(b"x")
    found = cli("play", "--static", "site", "--pyodide", "pyodide")
    assert found.code == 2
    for name in CORE:
        assert f"{name} is not that of Pyodide 0.29.5" in found.err
    assert "wheel of NumPy" in found.err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("words", [("--pyodide", "."), ("digits", "--static", "site")])
def test_options_that_do_not_go_together(cli, words):
    assert cli("play", *words).code == 2


def test_the_page_is_small():
    assert sum(map(len, page_files().values())) < 150_000
    for name, text in page_files().items():
        assert len(text.splitlines()) <= 250, name
        assert b"://" not in text.replace(b"http://www.w3.org/2000/svg", b""), name  # nothing is loaded from elsewhere


def test_both_languages_have_all_words():
    text = page_files()["text.js"].decode()
    english, chinese = (set(re.findall(r"(\w+): \"", part)) for part in text.split("const ZH")[:2])
    assert english == chinese
    used = set(re.findall(r'(?<!\w)t\("(\w+)"\)', "".join(part.decode() for part in page_files().values())))
    used |= set(re.findall(r'data-(?:text|label|title)="(\w+)"', page_files()["index.html"].decode()))
    assert used <= english
    from portanet.play.settings import FIELDS, PRESETS

    assert {name for name in FIELDS if name not in ("points", "layers")} | set(PRESETS) | {"own"} <= english


def test_it_is_listed(cli):
    assert "play" in cli("--help").out
    assert pn.__version__ in cli("--version").out
