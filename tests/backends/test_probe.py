"""The probe of CuPy, on a stand-in that fails at each stage: the reason in words, and the command that mends it."""

from __future__ import annotations

import importlib.util
import sys
import textwrap

import pytest

from portanet.backends import Status, get, select, status
from portanet.backends.diagnosis.probe import probe
from portanet.errors import BackendError
from tests.backends import stand_in
from tests.backends.stand_in import CompileException, CUBLASError, CUDARuntimeError

pytestmark = pytest.mark.usefixtures("fresh_choice")


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
