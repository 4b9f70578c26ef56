"""A process that times one workload in one library, a turn for each line that it reads.

``python -m portanet.bench.worker WORKLOAD PEER`` answers each line of epochs on stdin by a line of seconds; before
that it says ``ready``, or ``absent: why`` where the library cannot be used or has no such network.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from portanet.backends import keep_memory
from portanet.bench.peers import PEERS, portanet
from portanet.bench.workloads import KNOWN


def main(arguments: Sequence[str]) -> None:
    """Serve the turns of ``WORKLOAD PEER``."""
    workload, peer = KNOWN[arguments[0]], arguments[1]
    keep_memory()  # for all of them
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    _, ours, backend = peer.partition("portanet:")
    try:
        run = portanet(workload, backend) if ours else PEERS[peer](workload)
        run(1)  # what is compiled or set up at the first use is not measured
    except NotImplementedError:
        print("absent: has no such network", file=answers, flush=True)
        return
    except Exception as error:
        print(f"absent: {error}".splitlines()[0], file=answers, flush=True)
        return
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        run(int(line))
        print(time.perf_counter() - began, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
