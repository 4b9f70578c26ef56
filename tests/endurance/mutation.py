"""Mutation testing of the math: do the tests see it when a line of a module is made wrong?

    python -m tests.endurance.mutation [MODULE ...] [--every N]

Each mutant runs the module's own quick tests, on NumPy alone, in a process of its own, until the first one fails.
Prints the survivors and a table; exit code 1 where less than 90 % of a module's mutants are killed. Survivors that no
test can tell from the module stand in `equivalent.txt`, each with the reason.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

from tests.endurance.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
LEAST = 0.9

LAYERS = ["test_math_values.py", "test_layer_arguments.py", "test_layers.py", "test_config.py"]  # the quick ones first
WINDOWS = [*LAYERS, "test_adjoint.py"]
TESTS = {
    "layers/dense": LAYERS,
    "layers/activations": LAYERS,
    "layers/base": LAYERS,
    "layers/dropout": [*LAYERS, "test_random.py"],
    "layers/embedding": LAYERS,
    "layers/norm": LAYERS,
    "layers/preprocess": LAYERS,
    "layers/reshape": LAYERS,
    "layers/sequential": LAYERS,
    "layers/conv": WINDOWS,
    "layers/pool": WINDOWS,
    "layers/windows": WINDOWS,
    "layers/augment": ["test_augment.py", *WINDOWS],
    "losses": ["test_math_values.py", "test_losses.py"],
    "optimizers": ["test_math_values.py", "test_optimizers.py"],
    "schedules": ["test_schedules.py"],
    "initializers": ["test_initializers.py"],
    "metrics": ["test_metrics.py"],
    "random": ["test_random.py"],
    "step": ["test_step.py"],
}
OTHER_BACKENDS = "not strict and not torch and not jax and not cupy"


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a source of ours, and leaves all others alone."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def passes(module: str, source: str, seconds: float) -> bool:
    """Tell whether the module's tests pass with this source; tests that take longer than so many seconds do not."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            code = _run(module, source)
        finally:
            os._exit(code)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(module: str, source: str) -> int:
    import hypothesis
    import pytest

    sys.dont_write_bytecode = True
    name = "portanet." + module.replace("/", ".")
    sys.meta_path.insert(0, Planted(name, ROOT / "portanet" / f"{module}.py", source))
    hypothesis.settings.register_profile("quick", phases=[hypothesis.Phase.generate], database=None, derandomize=True)
    hypothesis.settings.load_profile("quick")
    tests = [str(ROOT / "tests" / test) for test in TESTS[module] if (ROOT / "tests" / test).exists()]
    return int(
        pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=no", "--assert=plain", "-k", OTHER_BACKENDS, *tests])
    )


def explained() -> dict[str, dict[str, str]]:
    """Return the mutants that no test can kill: of each module, the change and why."""
    found: dict[str, dict[str, str]] = {}
    module = ""
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.exists() else []:
        if line.startswith("# "):
            module = line[2:].strip()
        elif " :: " in line:
            change, _, why = line.partition(" :: ")
            found.setdefault(module, {})[change.strip()] = why.strip()
    return found


def survivors(module: str, every: int, seconds: float) -> tuple[list[Mutant], int]:
    """Return the mutants of a module that its tests let pass, and how many were tried."""
    source = (ROOT / "portanet" / f"{module}.py").read_text(encoding="utf-8")
    tried = list(mutants(source))[::every]
    return [mutant for mutant in tried if passes(module, mutant.source, seconds)], len(tried)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(TESTS)}")
    parser.add_argument("--every", type=int, default=1, help="Try each N-th mutant alone.")
    options = parser.parse_args(argv)
    # What all mutants import, once; portanet itself is imported by each.
    for name in ("array_api_compat.numpy", "hypothesis.extra.numpy", "numpy.testing", "pytest", "safetensors.numpy"):
        importlib.import_module(name)

    known, rows, enough = explained(), [], True
    for module in options.modules or TESTS:
        source = (ROOT / "portanet" / f"{module}.py").read_text(encoding="utf-8")
        began = time.monotonic()
        if not passes(module, source, 600):
            print(f"{module}: its tests fail as it is", file=sys.stderr)
            return 1
        took = time.monotonic() - began
        alive, count = survivors(module, options.every, 10 + 5 * took)
        reasons = known.get(module, {})
        for mutant in alive:
            told = reasons.get(mutant.key)
            print(f"{module}:{mutant.line}: {mutant.key}" + (f"  [{told}]" if told else ""), flush=True)
        same = sum(mutant.key in reasons for mutant in alive)
        killed, counted = count - len(alive), count - same
        share = killed / counted if counted else 1.0
        enough = enough and share >= LEAST
        rows.append(f"| {module} | {count} | {killed} | {same} | {len(alive) - same} | {100 * share:.1f} % |")
        print(rows[-1] + f"  ({time.monotonic() - began:.0f} s, tests {took:.1f} s)", flush=True)
    print("\n| module | mutants | killed | equivalent | survive | killed of those that differ |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
