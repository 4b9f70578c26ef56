#!/bin/sh
# The tests with CuPy required: here a case that is skipped because CuPy cannot be used is a failure.
# usage: ci/gpu.sh [REPORT]     writes what ran, on which GPU, and the result to REPORT (default: a dated file in ci/reports/)
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
report=${1:-ci/reports/$(date +%Y-%m-%d)-gpu.txt}
mkdir -p "$(dirname "$report")"
status=0
{
    date -u
    "$PYTHON" -m portanet doctor --backend cupy
    PORTANET_REQUIRE=cupy "$PYTHON" -m pytest -q "${TESTS:-tests}"
    "$PYTHON" -m portanet agree --backends numpy,cupy
} >"$report" 2>&1 || status=$?
cat "$report"
exit $status
