"""The probe of CuPy, on a stand-in that fails at each stage: the reason in words, and the command that fixes it."""

from __future__ import annotations

import importlib.util
import sys
import textwrap

import pytest

from portanet.backends import Status, get, select, status
from portanet.backends.diagnosis import nvidia
from portanet.backends.diagnosis.probe import probe
from portanet.errors import BackendError
from tests.backends import stand_in
from tests.backends.stand_in import CompileException, CUBLASError, CUDARuntimeError

pytestmark = pytest.mark.usefixtures("fresh_choice")


CTK = 'pip install "cupy-cuda13x[ctk]"'


# what the stand-in does; where the probe stops; words of the reason; the mending command
FAILURES = {
    "two wheels": (
        {"wheels": ("cupy-cuda12x", "cupy-cuda13x")},
        ("wheels", "cupy-cuda12x and cupy-cuda13x"),
        "pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install cupy-cuda13x",
    ),
    "two wheels, older driver": (
        {"wheels": ("cupy", "cupy-cuda13x"), "driver": 12040},
        ("wheels", "cupy and cupy-cuda13x"),
        "pip uninstall -y cupy cupy-cuda13x && pip install cupy-cuda12x",
    ),
    "no driver": ({"driver": 0, "count": CUDARuntimeError(35)}, ("driver", "no NVIDIA driver was found"), ""),
    "old driver": (
        {"driver": 12040, "count": CUDARuntimeError(35)},
        ("driver", "supports CUDA 12.4 at most"),
        "pip uninstall -y cupy-cuda13x && pip install cupy-cuda12x",
    ),
    "old driver, source build": (
        {"driver": 12040, "count": CUDARuntimeError(35), "wheels": ()},
        ("driver", "supports CUDA 12.4 at most"),
        "pip uninstall -y cupy && pip install cupy-cuda12x",
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
        'pip install "cupy-cuda12x[ctk]"',
    ),
    "old CuPy": (
        {"kernel": CUDARuntimeError(209)},
        ("kernel", "no code for this GPU"),
        "pip install --upgrade cupy-cuda13x",
    ),
    "full GPU": ({"kernel": MemoryError("no")}, ("kernel", "memory is full"), "nvidia-smi"),
    "full GPU, by status": ({"kernel": CUDARuntimeError(2)}, ("kernel", "memory is full"), "nvidia-smi"),
    "wrong result": ({"wrong": True}, ("kernel", "[[3.0, 3.0], [3.0, 3.0]]"), "nvidia-smi"),
    "no cuBLAS": ({"matmul": ImportError("libcublas.so.13: cannot open")}, ("matmul", "does not find cuBLAS"), CTK),
    "CuPy 13": (
        {"version": "13.6.0"},
        ("version", "CuPy 13.6.0 is too old"),
        'pip install --upgrade "cupy-cuda13x>=14.2"',
    ),
    "CuPy 12, from source": (
        {"version": "12.0.0b1", "wheels": ()},
        ("version", "CuPy 12.0.0b1 is too old"),
        'pip install --upgrade "cupy>=14.2"',
    ),
    "home cannot be written": (
        {"kernel": PermissionError(13, "Permission denied", "/home/me/.cupy")},
        ("kernel", "cannot keep its compiled kernels in /home/me/.cupy (Permission denied)"),
        "export CUPY_CACHE_DIR=$(mktemp -d)",
    ),
    "library that cannot be opened": (
        {"kernel": OSError("libnvrtc.so.13: cannot open shared object file")},
        ("kernel", "libnvrtc.so.13"),
        "nvidia-smi",
    ),
    "no GPU in the machine": (
        {"driver": 0, "count": CUDARuntimeError(35), "hardware": False},
        ("driver", "no NVIDIA driver was found, and this machine has no NVIDIA GPU"),
        "",
    ),
    # cuBLAS's status 3 is not CUDA's
    "cuBLAS fails": ({"matmul": CUBLASError(3)}, ("matmul", "CUBLAS_STATUS_ALLOC_FAILED"), "nvidia-smi"),
}


@pytest.mark.parametrize(("how", "where", "fix"), FAILURES.values(), ids=FAILURES)
def test_each_failing_stage_tells_reason_and_mend(monkeypatch, how, where, fix):
    stand_in.install(monkeypatch, **how)
    found = probe("cupy")
    stage, words = where
    assert (found.usable, found.stage, found.fix) == (False, stage, fix)
    assert words in found.reason
    assert "\n" not in found.reason
    with pytest.raises(BackendError) as caught:
        get("cupy")
    assert caught.value.exit_code == 4
    assert "'cupy' cannot be used" in str(caught.value)
    assert words in str(caught.value)
    assert fix in str(caught.value)
    assert get("auto").name == "numpy"


def test_hidden_devices_name_the_variable(monkeypatch):
    stand_in.install(monkeypatch, count=CUDARuntimeError(100))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES=''" in probe("cupy").reason
    assert probe("cupy").fix == "unset CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("driver", "words", "extra"),
    [(0, "and no NVIDIA driver", "cuda13"), (12080, "not installed", "cuda12"), (13000, "not installed", "cuda13")],
)
def test_cupy_that_is_not_installed(monkeypatch, driver, words, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else find(name))
    stand_in.surroundings(monkeypatch, driver=driver)
    found = probe("cupy")
    assert (found.stage, found.fix) == ("installed", f"pip install cupy-{extra}x")
    assert words in found.reason


@pytest.mark.parametrize(
    ("source", "words", "fix"),
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
            "pip install --force-reinstall cupy-cuda13x",
        ),
    ],
)
def test_cupy_that_cannot_be_imported(monkeypatch, tmp_path, source, words, fix):
    packages = tmp_path / "site-packages"
    (packages / "cupy").mkdir(parents=True)
    (packages / "cupy" / "__init__.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(packages)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    stand_in.surroundings(monkeypatch, wheels=("cupy-cuda13x",), driver=13000)
    found = probe("cupy")
    assert (found.stage, found.fix) == ("import", fix)
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


def test_a_machine_without_an_nvidia_gpu_is_not_advised_cuda(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else find(name))
    stand_in.surroundings(monkeypatch, hardware=False)
    found = probe("cupy")
    assert (found.stage, found.fix) == ("installed", "")
    assert found.reason == "CuPy is not installed, and this machine has no NVIDIA GPU"


def test_hardware_is_read_from_the_pci_bus(monkeypatch, tmp_path):
    monkeypatch.setattr(nvidia, "driver_version", lambda: 0)
    monkeypatch.setattr(nvidia, "_NODES", ())
    for name, vendor, kind in (("a", "0x8086", "0x030000"), ("b", "0x10de", "0x040300"), ("c", "", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    (tmp_path / "d").mkdir()
    assert not nvidia.has_hardware(tmp_path)  # an Intel display, and the sound of an NVIDIA card
    (tmp_path / "b" / "class").write_text("0x030200\n")
    assert nvidia.has_hardware(tmp_path)
    (tmp_path / "b" / "class").unlink()
    assert not nvidia.has_hardware(tmp_path)
    monkeypatch.setattr(nvidia, "driver_version", lambda: 13000)
    assert nvidia.has_hardware(tmp_path)


LIBRARIES = ["cupy", "torch", "jax"]


@pytest.fixture
def shadowed(monkeypatch, tmp_path):
    """Yield a function that puts something of a library's name first on the path, and forgets the library."""

    def build(library, files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if "site-packages" not in p)])
        for name in [n for n in sys.modules if n.partition(".")[0] == library]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        stand_in.surroundings(monkeypatch, wheels=("cupy-cuda13x",), driver=13000)
        return tmp_path

    yield build
    for name in [n for n, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_folder_of_a_librarys_name_is_no_library(shadowed, library):
    shadowed(library, {f"{library}/notes.txt": "a folder of data"})
    found = probe(library)
    assert (found.usable, found.stage) == (False, "installed")
    assert "is not installed" in found.reason
    assert get("auto").name == "numpy"
    assert library not in sys.modules


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"{}.py": "raise SystemExit('this script was run')"}, "comes first on the path: rename or move it"),
        ({"{}/__init__.py": ""}, "comes first on the path: rename or move it"),
        ({"{}/__init__.py": "import sys; sys.exit(3)"}, "cannot be imported: SystemExit: 3"),
        (
            {"{}/__init__.py": "raise type('Panic', (BaseException,), {})('in Rust')"},
            "cannot be imported: Panic: in Rust",
        ),
        ({"{}/__init__.py": "def __getattr__(name): raise RuntimeError(name)"}, "comes first on the path"),
        ({"{}/__init__.py": "1 / 0"}, "cannot be imported: ZeroDivisionError: division by zero"),
        ({"{}/__init__.py": "class ndarray: ...\nTensor = Array = ndarray"}, "AttributeError: module"),
    ],
    ids=["script", "empty package", "exits", "panics", "answers with errors", "raises", "lacks the rest"],
)
def test_what_only_has_a_librarys_name_is_unusable(shadowed, library, files, words):
    folder = shadowed(library, {name.format(library): text for name, text in files.items()})
    found = probe(library)
    assert (found.usable, found.fix.startswith("pip install portanet")) == (False, False)
    assert words in found.reason
    assert "\n" not in found.reason
    if "comes first" in found.reason:
        assert str(folder / library) in found.reason
        assert found.fix == ""  # pip would install it where it stays hidden
    if "comes first" in words:
        assert library not in sys.modules  # array-api-compat would take it for the library
    with pytest.raises(BackendError, match=f"'{library}' cannot be used"):
        get(library)
    assert [one.name for one in status()] == ["numpy", "cupy", "torch", "jax"]
    assert get("auto").name == "numpy"
