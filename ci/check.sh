#!/bin/sh
# All that CI runs, also by hand: lint, format, types, the README's own test command, the slow tests, the wheel in an
# empty folder, and known holes in what it depends on.
# usage: ci/check.sh [tests]     the tests alone: with the lowest versions of what it depends on
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}

if [ "${1:-all}" = all ]; then
    echo "== ruff"
    "$PYTHON" -m ruff check .
    "$PYTHON" -m ruff format --check .

    echo "== mypy"
    if [ -d portanet/backends ]; then
        "$PYTHON" -m mypy
    else
        echo "skipped: portanet/backends is no link in this clone, and mypy cannot see the backends without it"
    fi
fi

echo "== tests, by the README's own command"
# The line after the marker is what a newcomer types; it is run as it stands there.
tests=$(sed -n '/<!-- test command -->/,/^```$/p' README.md | grep -v -e '^<!--' -e '^```')
[ -n "$tests" ] || { echo "README.md has no test command behind its marker" >&2; exit 1; }
echo "$tests"
sh -euc "$tests"

echo "== slow tests, but for the longest: every value of every file, and each benchmark once (pytest -m slow)"
"$PYTHON" -m pytest -q -n auto --dist worksteal -m slow --ignore tests/benchmarks --ignore tests/hostile/test_leaves.py

echo "== the page of portanet play in a browser, where playwright and chromium are installed"
if ! "$PYTHON" -c "import playwright" 2>/dev/null; then
    echo "skipped: playwright is not installed (pip install playwright && playwright install chromium)"
else
    "$PYTHON" -m pytest -q -rs -m browser tests/play
fi

[ "${1:-all}" = all ] || exit 0

echo "== scikit-learn's checks with array API dispatch, which SciPy allows where it is imported with this"
SCIPY_ARRAY_API=1 "$PYTHON" -m pytest -q tests/sklearn/test_checks.py -k array_api

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo "== the site, where Sphinx is installed"
if "$PYTHON" -c "import myst_parser, numpydoc, pydata_sphinx_theme, sphinx" 2>/dev/null; then
    "$PYTHON" -m sphinx -W -q -b html docs "$folder/site"
else
    echo "skipped: Sphinx is not installed (pip install -e '.[docs]')"
fi

echo "== wheel, by way of the sdist"
"$PYTHON" -m build --outdir "$folder" . >"$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
wheel=$(ls "$folder"/*.whl)
size=$(wc -c <"$wheel")
echo "$(basename "$wheel"): $size bytes"
[ "$size" -lt 800000 ] || { echo "the wheel must stay below 800 kB" >&2; exit 1; }
sh ci/wheel.sh "$wheel" "$folder/venv"

echo "== pip-audit, where it is installed and an index can be reached"
# Known holes are told and fail; that nobody can be asked does not.
if ! "$PYTHON" -m pip_audit --version >/dev/null 2>&1; then
    echo "skipped: pip-audit is not installed (pip install pip-audit)"
else
    code=0
    # What the wheel brought with it: what a user installs.
    timeout 120 "$PYTHON" -m pip_audit --progress-spinner off --timeout 15 --path "$folder"/venv/lib/python*/site-packages \
        --format json --output "$folder/audit.json" >"$folder/audit.log" 2>&1 || code=$?
    # What no index knows, portanet itself among it, is passed over by pip-audit without a word.
    if [ -s "$folder/audit.json" ]; then
        "$PYTHON" ci/audited.py "$folder/audit.json"
    fi
    if [ "$code" -eq 0 ]; then
        :
    elif grep -q '^Found [0-9]* known vulnerabilit' "$folder/audit.log"; then
        cat "$folder/audit.log"
        exit 1
    else
        echo "skipped: $(tail -n 1 "$folder/audit.log" | cut -c1-200)"
    fi
fi

echo "== all well"
