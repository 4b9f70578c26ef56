#!/bin/sh
# All that CI runs, also by hand: lint, format, types, the wheel in an empty folder, known holes in what it depends on,
# the README's own test command and the slow tests. Types need one processor for a minute, so the wheel is tried meanwhile.
# usage: ci/check.sh [tests]     the tests alone: with the lowest versions of what it depends on
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}

folder=$(mktemp -d)
types= # the process that checks them
trap '[ -z "$types" ] || kill "$types"; rm -rf "$folder"' EXIT

if [ "${1:-all}" = all ]; then
    echo "== ruff"
    "$PYTHON" -m ruff check .
    "$PYTHON" -m ruff format --check .

    if [ -d portanet/backends ]; then
        "$PYTHON" -m mypy >"$folder/mypy.log" 2>&1 &
        types=$!
    fi

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
    [ "$size" -lt 900000 ] || { echo "the wheel must stay below 900 kB" >&2; exit 1; }
    sh ci/wheel.sh "$wheel" "$folder/venv"
    export PORTANET_WHEEL="$wheel" # tests/test_packaging.py looks into it, and need not build it again

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

    echo "== mypy"
    if [ -n "$types" ]; then
        code=0
        wait "$types" || code=$?
        types=
        cat "$folder/mypy.log"
        [ "$code" -eq 0 ] || exit 1
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

echo "== slow tests, but for the longest, which pytest -m slow runs too: every value of every file, each benchmark once"
"$PYTHON" -m pytest -q -n auto --dist worksteal -m slow --ignore tests/benchmarks --ignore tests/hostile/test_leaves.py

echo "== the page of portanet play in a browser, where playwright and chromium are installed"
if ! "$PYTHON" -c "import playwright" 2>/dev/null; then
    echo "skipped: playwright is not installed (pip install playwright && playwright install chromium)"
else
    "$PYTHON" -m pytest -q -rs -m browser tests/play
fi

if [ "${1:-all}" = all ]; then
    echo "== scikit-learn's checks with array API dispatch, which SciPy allows where it is imported with this"
    SCIPY_ARRAY_API=1 "$PYTHON" -m pytest -q tests/sklearn/test_checks.py -k "test_estimator and array_api"
fi

echo "== all well"
