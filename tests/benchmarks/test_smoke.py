"""Each benchmark runs once, as small as it can be made, so that it cannot stop working unseen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.make import idx
from tests.endurance.seeds import SEEDS

HERE = Path(__file__).parent
DIGITS = str(SEEDS / "digits/zip/a.zip")

# The words of the command line, and constants of the module in place of its own.
SMALL: dict[str, tuple[str, dict[str, object]]] = {
    "convolution": ("--rounds 1 --batch 2", {}),
    "fleet": ("--rounds 1", {"MEMBERS": 2, "ROWS": 300}),
    "gpu": ("--backend numpy --peers= --workloads mnist --rounds 1 --seconds 0 --side 64", {}),
    "growth": (
        "--out growth",
        {
            "AXES": {"batch": [8, 16], "width": [8, 16], "depth": [2, 3], "samples": [64, 128]},
            "USUAL": {"batch": 8, "width": 8, "depth": 2, "samples": 64},
        },
    ),
    "interchange": ("--steps 1", {}),
    "mnist_epoch": ("--rounds 1 --backends numpy", {}),
    "mpi": ("--rounds 1 --steps 2 --batch 32 --ranks 1,2", {}),
    "overheads": ("--rounds 1", {}),
    "scaling": ("--rounds 1 --out scale.png", {"NETS": {"500-150": [32, [8, 16], 3]}}),
    "search": ("--rounds 1 --epochs 1 --batch 200", {"GRID": {"alpha": [1e-4, 1.0]}}),
    "shapes": ("--rounds 1", {"BATCH": 8192}),
    "sklearn_categories": ("--seeds 1", {}),
    "sklearn_mnist": ("--rounds 1 --epochs 1", {}),
    "sklearn_parity": ("--seeds 1 --epochs 2", {}),
    "sklearn_predict": ("--rounds 1", {"CALLS": 2}),
    "sklearn_search": ("--rounds 1 --jobs 1", {}),
    "startup": ("--rounds 1", {}),
    "streaming": ("--gb 0.001 --rounds 1", {}),
    "tables": ("penguins --seeds 1", {}),
    "text_digits": (f"{DIGITS} --epochs 1", {}),
}
NEED = {
    "convolution": "torch",
    "interchange": "torch",
    "mnist_epoch": "torch",
    "mpi": "mpi4py",
    "scaling": "mpi4py",
    "shapes": "torch",
}

RUN = """
import importlib, json, sys
name, constants = sys.argv[1], json.loads(sys.argv[2])
module = importlib.import_module("tests.benchmarks." + name)
for key, value in constants.items():
    assert hasattr(module, key), key
    setattr(module, key, value)
sys.argv = [name, *sys.argv[3:]]
sys.exit(module.main())
"""


def test_every_benchmark_is_run():
    own = {path.stem for path in HERE.glob("*.py")} - {"__init__", "page", "turns", "test_smoke"}
    assert set(SMALL) == own


@pytest.fixture
def few_images(tmp_path):
    """Write a folder in the form of MNIST's, with a few images and a table."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 256), ("t10k", 40)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(n) % 10).astype(np.uint8)))
    (tmp_path / "tables").mkdir()
    rows = "".join(f"{'ab'[i % 2]},{'xyz'[i % 3]},{i}\n" for i in range(60))
    (tmp_path / "tables" / "penguins.csv").write_text(f"species,island,year\n{rows}", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs(name, few_images, tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install scikit-learn")
    if name in NEED:
        pytest.importorskip(NEED[name], reason=f"{NEED[name]} is not installed: pip install {NEED[name]}")
    words, constants = SMALL[name]
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", RUN, name, json.dumps(constants), *words.split()],
        cwd=tmp_path,
        env=os.environ | {"PORTANET_DATA": str(few_images), "PYTHONPATH": paths},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
