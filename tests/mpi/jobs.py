"""Small real jobs of mpiexec, or a skip with the reason."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@functools.cache
def launcher() -> str:
    """Return the mpiexec that belongs to this Python, or the system's; skip where there is none."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("no mpiexec (pip install mpich)")
    tried = subprocess.run(
        [found, "-n", "2", sys.executable, "-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "".join(tried.stdout.split()) != "22":
        pytest.skip('no mpi4py that works with this mpiexec (pip install "portanet[mpi]" mpich)')
    return found


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a job: two ranks a core shall not have threads as well."""
    return {**os.environ, "PORTANET_BACKEND": "numpy", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **more}


def start(ranks: int, *words: object, options: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
    """Start ``python WORDS...`` on so many ranks."""
    command = [launcher(), *options, "-n", str(ranks), sys.executable, *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(ranks: int, *words: object, options: tuple[str, ...] = (), **env: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a job."""
    with start(ranks, *words, options=options, **env) as job:
        try:
            out, err = job.communicate(timeout=180)
        finally:
            job.kill()
    return job.returncode, out, err


def ranks_of(job: subprocess.Popen[str], command: str) -> dict[int, int]:
    """Return rank and process number of the job's processes whose command line holds `command`."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_text().replace("\0", " ")
                variables = dict(v.partition("=")[::2] for v in (place / "environ").read_text().split("\0"))
            except OSError:
                continue
            if command in words and "PMI_RANK" in variables and "mpiexec" not in words:
                found[int(variables["PMI_RANK"])] = int(place.name)
    return found


def gone(pid: int) -> bool:
    """Return whether a process has ended; one that only waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
