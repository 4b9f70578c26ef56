"""What it costs to begin: ``portanet --help``, ``import portanet`` beside ``import numpy``, the size of the core.

usage: python -m tests.benchmarks.startup [--rounds 15]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - began


def megabytes(name: str) -> float:
    files = importlib.metadata.files(name) or []
    return sum(p.stat().st_size for f in files if (p := Path(str(f.locate()))).is_file()) / 1e6


def needed(name: str) -> list[str]:
    """Return the packages that one needs without any extra, those that these need among them."""
    found: list[str] = []
    for line in importlib.metadata.requires(name) or ():
        package = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        if ";" not in line:
            found += [package, *needed(package)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    commands = {
        "python -c pass": ("-c", "pass"),
        "import numpy": ("-c", "import numpy"),
        "import portanet": ("-c", "import portanet"),
        "import portanet; portanet.Trainer": ("-c", "import portanet; portanet.Trainer"),
        "portanet --help": ("-m", "portanet", "--help"),
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for i in range(rounds + 1):
        for name, command in commands.items():
            took = seconds(*command)
            if i:  # the first round fills the caches
                found[name].append(took)
    for name, times in found.items():
        ratio = statistics.median(a / b for a, b in zip(times, found["import numpy"], strict=True))
        print(f"{name:34} {1000 * statistics.median(times):6.0f} ms   {ratio:5.2f} of import numpy")
    sizes = {name: megabytes(name) for name in dict.fromkeys(needed("portanet"))}
    print("installed core, MB:", ", ".join(f"{n} {s:.1f}" for n, s in sizes.items()), f"= {sum(sizes.values()):.1f}")


if __name__ == "__main__":
    main()
