#!/bin/sh
# The tests with CuPy required: here a case that is skipped because CuPy cannot be used is a failure. Then again with all
# that is off by default because it has never run on a GPU; and the benchmarks, without it and with it.
# usage: ci/gpu.sh [REPORT]     writes what ran, on which GPU, and the result to REPORT (default: a dated file in ci/reports/)
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
report=${1:-ci/reports/$(date +%Y-%m-%d)-gpu.txt}
mkdir -p "$(dirname "$report")"
switches="PORTANET_CUPY_GRAPHS=1 PORTANET_CUPY_FUSE=1"
export PORTANET_REQUIRE=cupy
status=0
{
    date -u
    "$PYTHON" -m portanet doctor --backend cupy
    "$PYTHON" -m pytest -q "${TESTS:-tests}" || status=$?
    "$PYTHON" -m portanet agree --backends numpy,cupy || status=$?
    echo "== with $switches"
    env $switches "$PYTHON" -m pytest -q "${TESTS:-tests}" || status=$?
    env $switches "$PYTHON" -m portanet agree --backends numpy,cupy || status=$?
    echo "== benchmarks, without and with them"
    "$PYTHON" -m tests.benchmarks.gpu || status=$?
    env $switches "$PYTHON" -m tests.benchmarks.gpu || status=$?
} >"$report" 2>&1 || status=$?
cat "$report"
exit $status
