"""The choice of a backend: names, the stages of the probe, what is told, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import subprocess
import sys
import textwrap

import pytest

from portanet.backends import Status, get, of, select, status
from portanet.backends.probe import probe
from portanet.errors import BackendError, ConfigError
from tests.backends import stand_in
from tests.backends.at_hand import require
from tests.backends.stand_in import CompileException, CUBLASError, CUDARuntimeError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    select.forget()
    yield
    monkeypatch.undo()
    select.forget()


CTK = 'pip install "portanet[cuda13-ctk]"'

# what the stand-in does; where the probe stops; words of the reason; the mending command
FAILURES = {
    "two wheels": (
        {"wheels": ("cupy-cuda12x", "cupy-cuda13x")},
        ("wheels", "cupy-cuda12x and cupy-cuda13x"),
        'pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install "portanet[cuda13]"',
    ),
    "two wheels, older driver": (
        {"wheels": ("cupy", "cupy-cuda13x"), "driver": 12040},
        ("wheels", "cupy and cupy-cuda13x"),
        'pip uninstall -y cupy cupy-cuda13x && pip install "portanet[cuda12]"',
    ),
    "no driver": ({"driver": 0, "count": CUDARuntimeError(35)}, ("driver", "no NVIDIA driver was found"), ""),
    "old driver": (
        {"driver": 12040, "count": CUDARuntimeError(35)},
        ("driver", "supports CUDA 12.4 at most"),
        'pip uninstall -y cupy-cuda13x && pip install "portanet[cuda12]"',
    ),
    "old driver, source build": (
        {"driver": 12040, "count": CUDARuntimeError(35), "wheels": ()},
        ("driver", "supports CUDA 12.4 at most"),
        'pip uninstall -y cupy && pip install "portanet[cuda12]"',
    ),
    "ancient driver": ({"driver": 11080, "count": CUDARuntimeError(35)}, ("driver", "11.8 at most"), ""),
    "no device": ({"count": CUDARuntimeError(100)}, ("devices", "no NVIDIA GPU is visible"), "nvidia-smi"),
    "none counted": ({"devices": 0}, ("devices", "no NVIDIA GPU is visible"), "nvidia-smi"),
    "forked": ({"count": CUDARuntimeError(3)}, ("devices", "forked"), ""),
    "unavailable": ({"count": CUDARuntimeError(46)}, ("devices", "another process"), "nvidia-smi"),
    "fabric": (
        {"count": CUDARuntimeError(802)},
        ("devices", "fabric is not ready"),
        "sudo systemctl start nvidia-fabricmanager",
    ),
    "mismatch": ({"count": CUDARuntimeError(803)}, ("devices", "kernel module is still the old"), "sudo reboot"),
    "unknown": (
        {"count": CUDARuntimeError(999)},
        ("devices", "CUDA status 999"),
        "sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm",
    ),
    "unlisted": ({"count": CUDARuntimeError(101)}, ("devices", "cudaError 101: as CUDA says it"), "nvidia-smi"),
    "no NVRTC": ({"kernel": RuntimeError("libnvrtc.so.13 not found")}, ("kernel", "NVRTC or its headers"), CTK),
    "no headers": (
        {"kernel": CompileException("a.cu(1): cannot open source file 'cuda_fp16.h'"), "wheels": ("cupy-cuda12x",)},
        ("kernel", "NVRTC or its headers"),
        'pip install "portanet[cuda12-ctk]"',
    ),
    "old CuPy": (
        {"kernel": CUDARuntimeError(209)},
        ("kernel", "no code for this GPU"),
        'pip install --upgrade "portanet[cuda13]"',
    ),
    "full GPU": ({"kernel": MemoryError("no")}, ("kernel", "memory is full"), "nvidia-smi"),
    "full GPU, by status": ({"kernel": CUDARuntimeError(2)}, ("kernel", "memory is full"), "nvidia-smi"),
    "wrong result": ({"wrong": True}, ("kernel", "[[3.0, 3.0], [3.0, 3.0]]"), "nvidia-smi"),
    "no cuBLAS": ({"matmul": ImportError("libcublas.so.13: cannot open")}, ("matmul", "does not find cuBLAS"), CTK),
    # cuBLAS's status 3 is not CUDA's
    "cuBLAS fails": ({"matmul": CUBLASError(3)}, ("matmul", "CUBLAS_STATUS_ALLOC_FAILED"), "nvidia-smi"),
}


@pytest.mark.parametrize(("how", "where", "mend"), FAILURES.values(), ids=FAILURES)
def test_each_failing_stage_tells_reason_and_mend(monkeypatch, how, where, mend):
    stand_in.install(monkeypatch, **how)
    found = probe("cupy")
    stage, words = where
    assert (found.usable, found.stage, found.mend) == (False, stage, mend)
    assert words in found.reason
    assert "\n" not in found.reason
    with pytest.raises(BackendError) as caught:
        get("cupy")
    assert caught.value.exit_code == 4
    assert "'cupy' cannot be used" in str(caught.value)
    assert words in str(caught.value)
    assert mend in str(caught.value)
    assert get("auto").name == "numpy"


def test_hidden_devices_name_the_variable(monkeypatch):
    stand_in.install(monkeypatch, count=CUDARuntimeError(100))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES=''" in probe("cupy").reason
    assert probe("cupy").mend == "unset CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("driver", "words", "extra"),
    [(0, "and no NVIDIA driver", "cuda13"), (12080, "not installed", "cuda12"), (13000, "not installed", "cuda13")],
)
def test_cupy_that_is_not_installed(monkeypatch, driver, words, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else find(name))
    stand_in.surroundings(monkeypatch, driver=driver)
    found = probe("cupy")
    assert (found.stage, found.mend) == ("installed", f'pip install "portanet[{extra}]"')
    assert words in found.reason


@pytest.mark.parametrize(
    ("source", "words", "mend"),
    [
        ("import cuda.nothing_here", "cuda-pathfinder", "pip install cuda-pathfinder"),
        (
            # as CuPy itself wraps it
            """
            try:
                raise ModuleNotFoundError("No module named 'cuda'", name="cuda")
            except ImportError as error:
                raise ImportError("\\n=====\\nFailed\\n=====") from error
            """,
            "cuda-pathfinder",
            "pip install cuda-pathfinder",
        ),
        (
            'raise ImportError("\\n====\\nFailed to import CuPy.\\nOriginal error:\\n libfoo.so: not found\\n====\\n")',
            "ImportError: libfoo.so: not found",
            'pip install --force-reinstall "portanet[cuda13]"',
        ),
    ],
)
def test_cupy_that_cannot_be_imported(monkeypatch, tmp_path, source, words, mend):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    stand_in.surroundings(monkeypatch, wheels=("cupy-cuda13x",), driver=13000)
    found = probe("cupy")
    assert (found.stage, found.mend) == ("import", mend)
    assert words in found.reason


def test_a_probe_that_passes(monkeypatch):
    stand_in.install(monkeypatch, devices=2)
    assert probe("cupy") == Status("cupy", True, "ready", "", "", "14.2.0", ("cupy:0 (Stand-in)", "cupy:1 (Stand-in)"))
    assert select.choose() == ("cupy", "CuPy 14.2.0 on cupy:0 (Stand-in), cupy:1 (Stand-in)")


def test_the_probe_runs_once_until_it_is_forgotten(monkeypatch):
    calls = stand_in.install(monkeypatch, matmul=ImportError("libcublas"))
    for _ in range(3):
        get("auto")
        status()
    assert calls == ["driver", "count", "kernel", "matmul"]
    select.forget()
    stand_in.install(monkeypatch)
    assert probe("cupy").usable


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
