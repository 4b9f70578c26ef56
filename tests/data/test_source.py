"""Names, the cache and the download; and what a path is told to be."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from portanet.data import NAMES, named
from portanet.errors import ConfigError, MissingPackageError, OutOfMemoryError
from tests.data.make import digit, idx_folder, load, refused, text

Y = np.arange(20, dtype=np.uint8) % 10
X = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _no_data_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("PORTANET_DATA", raising=False)
    monkeypatch.setenv("PORTANET_CACHE", str(tmp_path / "cache"))


def pooch(retrieve) -> types.ModuleType:
    """Return a stand-in for pooch, whose downloads are `retrieve`."""
    module = types.ModuleType("pooch")
    module.retrieve = retrieve  # type: ignore[attr-defined]
    module.get_logger = lambda: types.SimpleNamespace(setLevel=lambda level: None)  # type: ignore[attr-defined]
    return module


def test_import_is_light():
    heavy = {"sklearn", "PIL", "pooch", "pyarrow", "torch", "pandas"}
    code = f"import sys, portanet.data; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_digits():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    data = load("digits")
    assert data.x.shape == (1438, 8, 8)
    assert data.x_test is not None
    assert data.x_test.shape == (359, 8, 8)
    assert (data.x.dtype, data.x.max(), data.scale) == (np.uint8, 16, 16.0)
    assert np.bincount(np.concatenate([data.y, data.y_test])).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert np.ptp(np.bincount(data.y_test) / np.bincount(data.y)) < 0.02
    np.testing.assert_array_equal(load("DIGITS").x, data.x)
    assert (load("digits", shuffle_seed=1).y != data.y).any()


def test_digits_without_sklearn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    refused("digits", "sklearn, which is not installed", 'pip install "portanet[sklearn]"', kind=MissingPackageError)


@pytest.mark.parametrize("name", ["digit", "mnits", "spiral"])
def test_unknown_name(name):
    refused(name, f"unknown data set {name!r}", "did you mean", "no file or folder of that name", *NAMES)


def test_path_that_does_not_exist():
    refused("nowhere/data.csv", "nowhere/data.csv: no such file or folder")
    refused(Path("nowhere.npz"), "nowhere.npz: no such file or folder")


@pytest.mark.parametrize("place", ["{name}", "{name}/nested"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_named_folder_and_cache(tmp_path, monkeypatch, name, place):
    root = tmp_path / "data"
    idx_folder(root / name, X, Y, X[:10], Y[:10])
    if place == "{name}":
        monkeypatch.setenv("PORTANET_DATA", str(root))
    else:  # the cache, where all four files are there
        monkeypatch.setenv("PORTANET_DATA", str(tmp_path / "nothing"))
        monkeypatch.setenv("PORTANET_CACHE", str(root))
        for path in (root / name).iterdir():
            path.rename(path.with_name(path.name + ".gz"))  # told by content: plain files under packed names
    data = load(name)
    np.testing.assert_array_equal(data.x, X)
    assert data.name == name
    assert data.classes[0] == {"mnist": "0", "fashion-mnist": "T-shirt/top"}[name]
    assert len(data.classes) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name their cache in other ways")
def test_the_cache_lies_where_the_system_has_its_own(tmp_path, monkeypatch):
    for name in ("PORTANET_DATA", "PORTANET_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for path in idx_folder(tmp_path / "portanet" / "mnist", X, Y, X, Y).iterdir():
        path.rename(path.with_name(path.name + ".gz"))
    np.testing.assert_array_equal(load("mnist").x, X)


def test_fashion_is_not_taken_for_the_mnist_that_lies_there(tmp_path, monkeypatch):
    idx_folder(tmp_path / "data", X, Y)
    monkeypatch.setenv("PORTANET_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    np.testing.assert_array_equal(load("mnist").x, X)
    refused(
        "fashion-mnist",
        str(tmp_path / "data" / "fashion-mnist"),
        'pip install "portanet[data]"',
        kind=MissingPackageError,
    )


def test_another_data_set_under_the_name(tmp_path, monkeypatch):
    idx_folder(tmp_path / "mnist", X, Y + np.uint8(1))
    monkeypatch.setenv("PORTANET_DATA", str(tmp_path))
    refused("mnist", "expected the labels 0 to 9 of mnist, got 1, 2")


def test_download_is_told_and_falls_back_to_the_next_mirror(tmp_path, monkeypatch, caplog):
    content = {p.name + ".gz": p.read_bytes() for p in idx_folder(tmp_path / "made", X, Y, X, Y).iterdir()}
    asked = []
    failure = "name resolution failed"

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        if url.startswith(named.DOWNLOADS["mnist"].mirrors[0]):
            raise OSError(failure)
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / fname).write_bytes(content[fname])

    monkeypatch.setitem(sys.modules, "pooch", pooch(retrieve))
    data = load("mnist")
    np.testing.assert_array_equal(data.x_test, X)
    assert len(asked) == 8
    assert all(
        url.startswith("https://") and checksum.startswith("sha256:") and len(checksum) == 71 for url, checksum in asked
    )
    assert "mnist: not found in" in caplog.text
    assert "downloading it from https://" in caplog.text
    asked.clear()
    load("mnist")
    assert asked == []  # the second time, it is in the cache
    for path in (tmp_path / "cache" / "mnist").glob("t10k*"):
        path.unlink()
    assert load("mnist").x_test is not None  # a download that was broken off is completed
    assert asked


def test_download_that_fails(monkeypatch, tmp_path):
    failure = "name resolution failed\nand more"

    def retrieve(url, known_hash, fname, path):
        raise OSError(failure)

    monkeypatch.setitem(sys.modules, "pooch", pooch(retrieve))
    message = refused(
        "mnist", "the download failed", "name resolution failed", str(tmp_path / "cache" / "mnist"), "PORTANET_DATA"
    )
    assert all(mirror in message for mirror in named.DOWNLOADS["mnist"].mirrors)
    assert "and more" not in message


def test_real_download_checks_the_sum(tmp_path, monkeypatch):
    pytest.importorskip("pooch", reason="downloads need pooch")
    served = idx_folder(tmp_path / "served", X, Y, X, Y)
    for path in list(served.iterdir()):
        path.rename(path.with_name(path.name + ".gz"))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in served.iterdir()}
            mirror = f"http://127.0.0.1:{server.server_address[1]}/"
            good = replace(named.DOWNLOADS["mnist"], mirrors=(mirror,), files=sums)
            monkeypatch.setitem(named.DOWNLOADS, "mnist", replace(good, files=dict.fromkeys(sums, "0" * 64)))
            refused("mnist", "the download failed", "hash", mirror)
            assert [p for p in tmp_path.rglob("cache/**/*") if p.is_file()] == []
            monkeypatch.setitem(named.DOWNLOADS, "mnist", good)
            np.testing.assert_array_equal(load("mnist").x, X)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got an empty file"),
        (b"\x7fELF\0\0", "a binary file that begins with 7f 45 4c 46"),
        (b"\x80\x04\x95", "a pickle, which can run code"),
        (b"\x89PNG\r\n\x1a\n\0", "a single image"),
        (b"\x1f\x8b\x08\0\0\0", "the compressed data end early"),
        (b"\x1f\x8b\0\0\0\0\0\0\0\0\0\0", "the compressed data are damaged"),
        (b"PK\3\4 no zip", "the compressed data are damaged"),
    ],
)
def test_file_that_is_nothing_known(tmp_path, content, words):
    path = tmp_path / "data"
    path.write_bytes(content)
    refused(path, str(path), words)


def test_content_decides_and_not_the_name(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones((2, 2)), y=[0, 1])
    (tmp_path / "a.npz").rename(tmp_path / "a.csv")
    assert load(tmp_path / "a.csv").x.shape == (2, 2)
    (tmp_path / "b.npz").write_text("1,2,0\n3,4,1\n")
    assert load(tmp_path / "b.npz").x.tolist() == [[1, 2], [3, 4]]


def test_folders_that_are_nothing_known(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "got an empty folder", "IDX", "CSV", ".npz")
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "other.h5").write_text("x")
    refused(tmp_path, "got a folder of empty, notes.md, other.h5")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text("1,2,0\n3,4,1\n")
    assert len(load("~/t.csv").x) == 2


def test_name_comes_before_a_file_of_that_name(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    assert len(load("moons").x) == 800
    assert not caplog.text
    Path("moons").write_text("1,2,0\n3,4,1\n")
    assert len(load("moons").x) == 800
    assert "for the file or folder that is called so write ./moons" in caplog.text
    assert len(load("./moons").x) == 2
    assert len(load(Path("moons")).x) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_permission_denied(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("1,2,0\n3,4,1\n")
    if os.geteuid() == 0:  # root reads everything: let the system's answer be given for it

        def denied(self, *args, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", denied)
    else:
        path.chmod(0)
    refused(path, str(path), "permission denied", "chmod")


def test_what_does_not_fit_into_memory(tmp_path, monkeypatch):
    def greedy(*args):
        raise MemoryError

    (tmp_path / "t.csv").write_text("1,2,0\n3,4,1\n")
    monkeypatch.setattr("portanet.data.readers.convert.read_table", greedy)
    with pytest.raises(OutOfMemoryError, match="does not fit into memory"):
        load(tmp_path / "t.csv")


def test_options_that_do_not_fit(tmp_path):
    (tmp_path / "3_1.txt").write_text(text(digit(0)))
    for source in ("moons", tmp_path):
        with pytest.raises(ConfigError, match="a target is chosen for tables"):
            load(source, target="label")
        with pytest.raises(ConfigError, match="labels are classes"):
            load(source, task="regression")
        assert load(source, task="classification").task == "classification"
    np.savez(tmp_path / "a.npz", X=np.ones((2, 2)), y=[0, 1])
    with pytest.raises(ConfigError, match="a target is chosen for tables"):
        load(tmp_path / "a.npz", target=0)
    with pytest.raises(ConfigError, match="seed"):
        load("moons", shuffle_seed=-1)
