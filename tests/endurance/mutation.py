"""Mutation testing of the math: do the tests see it when a line of a module is made wrong?

    python -m tests.endurance.mutation [MODULE ...] [--every N] [--save]

Each mutant runs the module's own quick tests, on NumPy alone, until the first one fails: in a fork that has collected
them already, and where it lives on, in one that imports all of portanet anew.
Prints the survivors and a table; exit code 1 where less than 90 % of a module's mutants are killed. Survivors that no
test can tell from the module stand in `equivalent.txt`, each with the reason. With --save the counts are kept in
`mutants.json`, from which docs/math/figures.md is written.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.endurance.forks import Loop, apart
from tests.endurance.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
RESULTS = Path(__file__).with_name("mutants.json")
LEAST = 0.9

LAYERS = ["test_math_values.py", "test_layer_arguments.py", "test_layers.py", "test_config.py"]  # the quick ones first
LAYERS += ["test_rates.py", "test_places.py", "test_tree.py"]
LOSSES = ["test_math_values_losses.py", "test_losses.py"]
STEP = ["test_step.py", "test_step_donate.py", "test_rates.py", "test_places.py", "mpi/test_parts.py"]
METRICS = ["test_metrics_values.py", "test_metrics.py"]
OPTIMIZERS = ["test_math_values_optimizers.py", "test_optimizers.py", "test_rates.py"]
WINDOWS = ["test_math_values_images.py", *LAYERS, "test_sample_size.py", "test_adjoint.py"]
TESTS = {
    "layers/dense": LAYERS,
    "layers/activations": LAYERS,
    "layers/base": [*LAYERS, "test_saving.py", "test_small_batches.py", "test_custom.py"],
    "layers/dropout": [*LAYERS, "test_random.py"],
    "layers/embedding": LAYERS,
    "layers/norm": [*LAYERS, "mpi/test_parts.py"],
    "layers/parallel": ["test_math_values_nets.py", *LAYERS],
    "layers/preprocess": LAYERS,
    "layers/reshape": LAYERS,
    "layers/sequential": ["test_math_values_nets.py", *LAYERS],
    "layers/conv": WINDOWS,
    "layers/pool": WINDOWS,
    "layers/windows": ["test_windows.py", *WINDOWS],
    "layers/augment": ["test_augment.py", *WINDOWS],
    "layers/branches": ["test_math_values_nets.py", *LAYERS],
    "layers/conv_transpose": WINDOWS,
    "layers/convolution": WINDOWS,
    "layers/gelu": LAYERS,
    "layers/group_norm": LAYERS,
    "layers/hard": LAYERS,
    "layers/ntk": ["test_math_values_tables.py", *LAYERS],
    "layers/one_hot": ["test_math_values_tables.py", *LAYERS],
    "layers/parametric": LAYERS,
    "layers/periodic": ["test_math_values_tables.py", *LAYERS],
    "layers/residual": ["test_math_values_nets.py", *LAYERS],
    "layers/resize": WINDOWS,
    "layers/scale": ["test_math_values_tables.py", *LAYERS],
    "layers/signals": WINDOWS,
    "layers/smooth": LAYERS,
    "layers/words": ["test_math_values_tables.py", *LAYERS],
    "losses/base": LOSSES,
    "losses/focal": LOSSES,
    "losses/cross_entropy": LOSSES,
    "losses/regression": LOSSES,
    "optimizers/base": OPTIMIZERS,
    "optimizers/rules": OPTIMIZERS,
    "schedules": ["test_schedules.py"],
    "initializers": ["test_initializers.py"],
    "metrics/base": METRICS,
    "metrics/confusion": METRICS,
    "metrics/named": METRICS,
    "metrics/running": METRICS,
    "metrics/scikit": METRICS,
    "random": ["test_random.py", "mpi/test_parts.py", "test_augment.py"],
    "backends/primitives/convolution_portable": ["backends/test_primitives.py", *WINDOWS],
    "backends/primitives/axes": ["test_windows.py", "backends/test_primitives.py", *WINDOWS],
    "backends/primitives/index_add": ["backends/test_primitives.py", *LAYERS],
    "engine/penalties": STEP,
    "engine/step": STEP,
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


def collected(module: str, *plugins: object) -> int:
    """Run pytest on the module's tests, on NumPy alone, and return its exit code."""
    import hypothesis
    import pytest

    sys.dont_write_bytecode = True
    hypothesis.settings.register_profile(
        "quick",
        phases=[hypothesis.Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),  # a slow machine kills no mutant
    )
    hypothesis.settings.load_profile("quick")
    tests = [str(ROOT / "tests" / test) for test in TESTS[module]]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "--assert=plain"]
    options += ["-m", "", "-k", OTHER_BACKENDS]
    return int(pytest.main([*options, *tests], plugins=list(plugins)))


def name(module: str) -> str:
    return "portanet." + module.replace("/", ".")


def path(module: str) -> Path:
    return ROOT / "portanet" / f"{module}.py"


def in_forks(module: str, tried: list[Mutant]) -> tuple[list[Mutant], float] | None:
    """Return the mutants that pass in forks, and how long the tests take; None where they fail as it is."""
    loop = Loop(name(module), str(path(module)), tried)
    collected(module, loop)
    return (loop.alive, sum(test.seconds for test in loop.tests)) if loop.tests else None


def passes(module: str, source: str) -> bool:
    """Tell whether the module's tests pass where it is imported from this source."""
    sys.meta_path.insert(0, Planted(name(module), path(module), source))
    return collected(module) == 0


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


def survivors(module: str, tried: list[Mutant]) -> tuple[list[Mutant], float] | None:
    """Return the mutants that a module's tests let pass, and how long these take; None where they fail as it is."""
    found = apart(lambda: in_forks(module, tried))
    if found is None or not apart(lambda: passes(module, path(module).read_text(encoding="utf-8"))):
        return None
    alive, took = found
    return [mutant for mutant in alive if apart(partial(passes, module, mutant.source), 30 + 5 * took)], took


def save(module: str, mutants: int, killed: int, equivalent: int) -> None:
    """Keep the counts of a module, with the day and the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    row = {"mutants": mutants, "killed": killed, "equivalent": equivalent}
    found = json.loads(RESULTS.read_text("utf-8"))
    found[module] = {**row, "date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit.stdout.strip()}
    lines = (f'  "{name}": {json.dumps(row)}' for name, row in sorted(found.items()))
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(TESTS)}")
    parser.add_argument("--every", type=int, default=1, help="Try each N-th mutant alone.")
    parser.add_argument("--save", action="store_true", help="Keep the counts in mutants.json.")
    options = parser.parse_args(argv)
    if options.save and options.every > 1:
        parser.error("--save needs all mutants, not every N-th")
    # What all mutants import, once; portanet itself is imported by each.
    for common in ("array_api_compat.numpy", "hypothesis.extra.numpy", "numpy.testing", "pytest", "safetensors.numpy"):
        importlib.import_module(common)

    known, rows, enough = explained(), [], True
    for module in options.modules or TESTS:
        began = time.monotonic()
        tried = list(mutants(path(module).read_text(encoding="utf-8")))[:: options.every]
        found = survivors(module, tried)
        if found is None:
            print(f"{module}: its tests fail as it is", file=sys.stderr)
            return 1
        (alive, took), count = found, len(tried)
        reasons = known.get(module, {})
        for mutant in alive:
            told = reasons.get(mutant.key)
            print(f"{module}:{mutant.line}: {mutant.key}" + (f"  [{told}]" if told else ""), flush=True)
        same = sum(mutant.key in reasons for mutant in alive)
        killed, counted = count - len(alive), count - same
        share = killed / counted if counted else 1.0
        enough = enough and share >= LEAST
        if options.save:
            save(module, count, killed, same)
        rows.append(f"| {module} | {count} | {killed} | {same} | {len(alive) - same} | {100 * share:.1f} % |")
        print(rows[-1] + f"  ({time.monotonic() - began:.0f} s, tests {took:.1f} s)", flush=True)
    print("\n| module | mutants | killed | equivalent | survive | killed of those that differ |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
