"""The choice of a backend: names, what is told, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import subprocess
import sys

import pytest

from portanet.backends import get, of, select, status
from portanet.backends.diagnosis.probe import probe
from portanet.errors import BackendError, ConfigError
from tests.backends import stand_in
from tests.backends.at_hand import require
from tests.backends.stand_in import CUDARuntimeError

pytestmark = pytest.mark.usefixtures("fresh_choice")


@pytest.mark.parametrize(
    ("devices", "name", "words"),
    [
        (1, "cupy:1", "there is one device, cupy:0, and number 1"),
        (2, "cupy:7", "there are 2 devices, cupy:0 to cupy:1"),
    ],
)
def test_a_device_beyond_those_there_are(monkeypatch, devices, name, words):
    stand_in.install(monkeypatch, devices=devices)
    with pytest.raises(BackendError, match=words):
        get(name)


def test_auto_tells_once_what_it_took_and_why(monkeypatch, caplog):
    stand_in.install(monkeypatch, count=CUDARuntimeError(803))
    with caplog.at_level(logging.INFO, logger="portanet"):
        get(quiet=True)
        assert not caplog.records
        get()
        get(None)
        get("auto")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        "portanet: running on numpy (CuPy cannot be used: the NVIDIA driver was updated"
    )
    assert record.getMessage().endswith("; sudo reboot)")
    assert "\n" not in record.getMessage()


def test_auto_tells_of_a_gpu_as_information(monkeypatch, caplog):
    stand_in.install(monkeypatch)
    numpy = get("numpy")
    monkeypatch.setattr(select, "_make", lambda name: numpy)  # the stand-in has no namespace to build on
    with caplog.at_level(logging.INFO, logger="portanet"):
        get("auto")
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "portanet: running on cupy (CuPy 14.2.0 on cupy:0 (Stand-in))"


def test_auto_prints_one_line_to_stderr_where_logging_is_not_set_up(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("raise ImportError('broken on purpose')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from portanet.backends import get; get(); get()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("portanet: running on numpy (CuPy cannot be used: ")
    assert "broken on purpose" in done.stderr


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nunpy", "numpy"),
        ("cupi", "cupy"),
        ("torch:cuda:x", "torch:cuda:0"),
        ("cupy:-1", "cupy:1"),
        ("numpy:0", "numpy"),
    ],
)
def test_an_unknown_name_answers_with_the_nearest(name, near):
    with pytest.raises(ConfigError, match=f"unknown backend '{name}'; did you mean '{near}'") as caught:
        get(name)
    assert caught.value.exit_code == 2


def test_a_backend_passes_through():
    backend = get("numpy")
    assert get(backend) is backend
    assert get("numpy") is backend


def test_where_an_array_lies(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    assert of(x) is get(backend.spec)
    assert of([1.0, 2.0]) is get("numpy")


def test_status_is_frozen_and_names_every_library():
    found = status()
    assert [one.name for one in found] == ["numpy", "cupy", "torch", "jax"]
    assert all(one.usable == (one.stage == "ready") == (one.reason == "") for one in found)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].usable = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "extra"), [("torch", "portanet[torch]"), ("jax", "portanet[jax]"), ("strict", "strict")]
)
def test_a_library_that_is_not_installed(monkeypatch, name, extra):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = probe(name)
    assert found.stage == "installed"
    assert "is not installed" in found.reason
    assert extra in found.mend
    with pytest.raises(BackendError, match="is not installed"):
        get(name)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_library_that_cannot_be_imported(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # Python's own way of refusing an import
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert probe(name).stage == "import"


@pytest.mark.parametrize("name", ["torch:cuda:99", "jax:cpu:99"])
def test_a_device_that_torch_or_jax_lacks(name):
    require(name.partition(":")[0])
    with pytest.raises(BackendError, match=f"'{name}' cannot be used"):
        get(name)
    assert probe(name).stage == "devices"


def test_a_missing_backend_skips_its_tests_unless_it_is_required(monkeypatch):
    stand_in.install(monkeypatch, driver=0)
    monkeypatch.delenv("PORTANET_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no NVIDIA driver"):
        require("cupy")
    monkeypatch.setenv("PORTANET_REQUIRE", "torch,cupy")
    with pytest.raises(pytest.fail.Exception, match="no NVIDIA driver"):
        require("cupy")
