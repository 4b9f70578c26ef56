"""Damaged files by the thousand, for everything that reads one: each is read, or refused in one line.

usage: python -m tests.endurance.fuzz [READER ...] [--seconds 60] [--examples N] [--seed 0] [--keep FOLDER]

Files of ``seeds/`` are changed (`mutate`), and the command line reads what comes out. It must end with exit code 0 or
3 (a file of options: what the value stands for), in one line of error, within 10 seconds of processor time, and never
take more than 200 MB beyond what the process had before: a larger block is refused by the system. `--seconds` for each
reader tries what chance makes; `--examples` a fixed number, by hypothesis, which finds the shortest damage that does
harm. Prints the inputs tried by reader, and the crashes. Each reader runs in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.endurance.mutate import KINDS, Change, changed, views
from tests.endurance.seeds import SEEDS
from tests.hostile.watch import ROOM, STATUS, status


class Reader:
    """What reads a kind of file: a command line made of the place of the files, and the exit codes it may have."""

    def __init__(self, command: Callable[[Path], list[str]], codes: tuple[int, ...] = (0, 3)) -> None:
        self.command, self.codes = command, codes


def _one(folder: Path) -> str:
    """Return the one file in a folder."""
    return str(next(path for path in sorted(folder.rglob("*")) if path.is_file()))


def _streamed(place: str, folder: Path) -> list[str]:
    """Return the command that trains on what is read from disk."""
    words = ["--stream", "--epochs", "1", "--layers", "none", "--quiet", "--out", str(folder / "run")]
    return ["train", place, *words]


READERS = {
    "idx": Reader(lambda folder: ["info", str(folder)]),
    "table": Reader(lambda folder: ["info", _one(folder)]),
    "npz": Reader(lambda folder: ["info", _one(folder)]),
    "npy": Reader(lambda folder: ["info", _one(folder)]),
    "parquet": Reader(lambda folder: _streamed(_one(folder), folder), (0, 3, 5)),
    "stream": Reader(lambda folder: _streamed(str(folder), folder), (0, 3, 5)),
    "digits": Reader(lambda folder: ["info", _one(folder)]),
    "images": Reader(lambda folder: ["info", str(folder)]),
    "network": Reader(lambda folder: ["info", _one(folder)]),
    # What is whole goes on to train, and may diverge.
    "checkpoint": Reader(lambda folder: ["train", "--resume", str(folder), "--quiet"], (0, 3, 5)),
    # Options name data (3), a backend (4) and sizes (6) that are not there.
    "config": Reader(lambda folder: ["train", "moons", "--config", _one(folder), "--print-config"], (0, 2, 3, 4, 6)),
    "metrics": Reader(lambda folder: ["plot", str(folder), "-o", str(folder / "curves.png")]),
}


class Damage:
    """A damaged file: of which seed, which of its files and which part of it, and how it is changed."""

    def __init__(self, reader: str, place: int, view: int, changes: list[Change]) -> None:
        cases = sorted(path for path in (SEEDS / reader).rglob("*") if path.is_file() and path.suffix != ".lock")
        cases = [path for path in cases if reader != "checkpoint" or path.suffix == ".safetensors"]
        self.file = cases[place % len(cases)]
        self.root = SEEDS / reader / self.file.relative_to(SEEDS / reader).parts[0]
        parts = views(self.file.read_bytes())
        part = parts[view % len(parts)]
        self.content = part.again(changed(part.data, changes))

    @contextlib.contextmanager
    def made(self, place: Path) -> Iterator[Path]:
        """Put it into a folder, with the files around it."""
        folder = place / "case"
        shutil.copytree(self.root, folder)
        try:
            (folder / self.file.relative_to(self.root)).write_bytes(self.content)
            yield folder
        finally:
            shutil.rmtree(folder)


def read(reader: Reader, folder: Path) -> tuple[int, str]:
    """Run the reader's command; return its exit code, and what is wrong about it."""
    from portanet.cli.main import run

    def hangs(number: int, frame: Any) -> None:
        message = "it hangs"
        raise BaseExceptionGroup(message, [KeyboardInterrupt()])  # nothing on the way catches this one

    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, 10)  # of this process' own time: the machine may be busy
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(reader.command(folder))
    except BaseException as error:
        return -1, f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    told = [line for line in err.getvalue().splitlines() if not line.startswith(("portanet: ", "Usage: ", "Try "))]
    text = err.getvalue().strip()
    if code not in reader.codes:
        return code, f"exit code {code}: {text[-600:]}"
    if "internal error" in text or "Traceback" in text:
        return code, text[-600:]
    if (
        code
        and code != 2
        and (not told[-1].startswith("Error: ") or sum(line.startswith("Error: ") for line in told) != 1)
    ):
        return code, f"not one line: {text[-600:]}"
    return code, ""


class Harness:
    """Tries one reader, and keeps the count."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.reader, self.place = name, READERS[name], place
        self.codes: Counter[int] = Counter()
        self.crashes: dict[str, bytes] = {}
        self.slowest = 0.0

    def __call__(self, place: int, view: int, changes: list[Change]) -> str:
        damage = Damage(self.name, place, view, changes)
        with damage.made(self.place) as folder:
            began = time.process_time()
            code, wrong = read(self.reader, folder)
            self.slowest = max(self.slowest, time.process_time() - began)
        self.codes[code] += 1
        if wrong:
            wrong = wrong.replace(str(self.place), "")
            self.crashes.setdefault(f"{damage.file.relative_to(SEEDS)}: {wrong}", damage.content)
        return wrong

    def by_chance(self, seconds: float, seed: int) -> None:
        """Try what chance makes for so many seconds; the same again from the same seed."""
        rng = random.Random(f"{seed} {self.name}")
        until = time.monotonic() + seconds
        while time.monotonic() < until and len(self.crashes) < 20:
            changes = [
                Change(rng.randrange(len(KINDS)), _skewed(rng), _skewed(rng), rng.randbytes(rng.randrange(9)))
                for _ in range(1 + rng.randrange(4))
            ]
            self(rng.randrange(1 << 16), rng.randrange(1 << 16), changes)

    def by_hypothesis(self, examples: int) -> None:
        """Try a fixed number, the same in each run."""
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        number = st.integers(0, (1 << 16) - 1)
        change = st.builds(Change, st.integers(0, len(KINDS) - 1), number, number, st.binary(max_size=8))

        @settings(
            max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=HealthCheck
        )
        @given(st.integers(0, 63), st.integers(0, 63), st.lists(change, min_size=1, max_size=4))
        def attempt(place: int, view: int, changes: list[Change]) -> None:
            assert not self(place, view, changes)

        with contextlib.suppress(AssertionError, BaseExceptionGroup):
            attempt()


def _skewed(rng: random.Random) -> int:
    return rng.randrange(256) if rng.random() < 0.5 else rng.randrange(1 << 16)


def work(name: str, args: argparse.Namespace) -> int:
    """Try one reader in this process."""
    import portanet.backends
    from portanet.cli.main import run

    os.environ["PORTANET_BACKEND"] = "numpy"
    os.environ["PORTANET_CACHE"] = os.environ["PORTANET_DATA"] = "/nowhere"  # what a damaged word may name
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # its own takes gigabytes of addresses
    portanet.backends.keep_memory = lambda: False
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        harness = Harness(name, Path(folder))
        with Damage(name, 0, 0, []).made(Path(folder)) as seed:  # the imports, before memory is bounded
            assert read(harness.reader, seed) == (0, ""), f"{name}: the seed itself is not read"
        with contextlib.redirect_stderr(io.StringIO()):
            run(["predict", "no.safetensors", "moons"])
        with contextlib.suppress(ImportError):
            importlib.import_module("sklearn.metrics")  # where an unknown metric is looked for
        if STATUS.exists():
            import resource

            most = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + ROOM, most))
        if args.examples:
            harness.by_hypothesis(args.examples)
        else:
            harness.by_chance(args.seconds, args.seed)
    counts, crashes = harness.codes, harness.crashes
    told = sum(n for code, n in counts.items() if code > 0)
    print(
        f"{name:>12}{counts.total():>10,}{counts[0]:>10,}{told:>10,}{len(crashes):>10}{harness.slowest:>10.2f} s",
        flush=True,
    )
    for i, (words, content) in enumerate(crashes.items()):
        print(f"  {words}")
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
            (args.keep / f"{name}-{i}").write_bytes(content)
    return len(crashes) > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--examples", type=int, help="for each reader, by hypothesis, instead of seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what did harm")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = args.readers or list(READERS)
    if args.here:
        return max(work(name, args) for name in names)
    print(f"{'reader':>12}{'inputs':>10}{'read':>10}{'refused':>10}{'crashes':>10}{'slowest':>10}", flush=True)
    options = [word for word in sys.argv[1:] if word not in names]
    done = [
        subprocess.run([sys.executable, "-m", "tests.endurance.fuzz", name, "--here", *options], check=False).returncode
        for name in names
    ]
    return int(any(done))


if __name__ == "__main__":
    sys.exit(main())
