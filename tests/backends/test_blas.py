"""What is told of NumPy's BLAS, and what holds it back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from portanet.backends.diagnosis import blas

OLD = frozenset({"sse2", "avx"})
AVX2 = OLD | {"avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512vl"}


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for variable in ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS"):
        monkeypatch.delenv(variable, raising=False)


def test_describe():
    found = blas.describe()
    assert found.library
    assert found.warning == ""


def test_kernels_and_threads_are_known_with_threadpoolctl():
    pytest.importorskip("threadpoolctl")
    found = blas.describe()
    if found.library != "openblas":
        pytest.skip(f"NumPy runs on {found.library}")
    assert found.architecture
    assert found.threads is not None
    assert found.threads >= 1


def test_without_threadpoolctl_numpy_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    found = blas.describe()
    assert found.library
    assert found.version
    assert (found.architecture, found.threads) == ("", None)


@pytest.mark.parametrize(
    ("forced", "architecture", "flags", "warned"),
    [
        ("Haswell", "Haswell", AVX512, "(AVX2), slower than this processor's AVX-512"),
        ("Zen", "Zen", AVX512, "(AVX2), slower than this processor's AVX-512"),
        ("Prescott", "Katmai", AVX2, "kernels for Katmai (SSE), slower than this processor's AVX2"),
        ("Sandybridge", "", AVX2, "kernels for Sandybridge (SSE)"),  # as where threadpoolctl is missing
        ("Haswell", "Haswell", AVX2, ""),
        ("Zen", "Zen", AVX2, ""),
        ("SkylakeX", "SkylakeX", AVX512, ""),
        ("Nehalem", "Nehalem", OLD, ""),
        ("", "Haswell", AVX512, ""),  # OpenBLAS's own choice
        ("Prescott", "Prescott", frozenset(), ""),  # no x86, or a system that does not tell
    ],
)
def test_kernels_slower_than_the_processor_are_warned_of(monkeypatch, forced, architecture, flags, warned):
    if forced:
        monkeypatch.setenv("OPENBLAS_CORETYPE", forced)
    got = blas.held_back("openblas", architecture, flags)
    if warned:
        assert warned in got
        assert got.startswith(f"OPENBLAS_CORETYPE={forced} ")
        assert got.endswith("; unset OPENBLAS_CORETYPE")
    else:
        assert got == ""


def test_mkl_has_a_setting_of_its_own(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    assert blas.held_back("mkl", "", AVX512) == ""
    monkeypatch.setenv("MKL_ENABLE_INSTRUCTIONS", "AVX2")
    assert blas.held_back("mkl", "", AVX512).endswith("unset MKL_ENABLE_INSTRUCTIONS")
    assert blas.held_back("mkl", "", AVX2) == ""


def test_a_real_process_that_is_held_back():
    if "avx2" not in blas.processor_flags():
        pytest.skip("this processor has no AVX2 to hold back")
    if "openblas" not in blas.describe().library:
        pytest.skip("NumPy does not run on OpenBLAS")
    code = "from portanet.backends.diagnosis.report import report; print(*report()['warnings'])"
    for core, warned in (("Prescott", True), (None, False)):
        environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
        if core:
            environment["OPENBLAS_CORETYPE"] = core
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert ("unset OPENBLAS_CORETYPE" in done.stdout) is warned
