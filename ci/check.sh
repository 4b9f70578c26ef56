#!/bin/sh
# All that CI runs, also by hand: lint, format, types, the README's own test command, the wheel in an empty folder, and
# known holes in what it depends on.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}

echo "== ruff"
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .

echo "== mypy"
"$PYTHON" -m mypy

echo "== tests, by the README's own command"
# The line behind the marker is what a newcomer types; it is run as it stands there.
tests=$(sed -n '/<!-- test command -->/,/^```$/p' README.md | grep -v -e '^<!--' -e '^```')
[ -n "$tests" ] || { echo "README.md has no test command behind its marker" >&2; exit 1; }
echo "$tests"
sh -euc "$tests"

echo "== scikit-learn's checks with array API dispatch, which SciPy allows where it is imported with this"
SCIPY_ARRAY_API=1 "$PYTHON" -m pytest -q tests/sklearn/test_checks.py -k array_api

echo "== wheel, by way of the sdist"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m build --outdir "$folder" . >"$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
wheel=$(ls "$folder"/*.whl)
size=$(wc -c <"$wheel")
echo "$(basename "$wheel"): $size bytes"
[ "$size" -lt 500000 ] || { echo "the wheel is to stay under 500 kB" >&2; exit 1; }
"$PYTHON" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "$wheel"
(cd "$folder" && ./venv/bin/python - <<'P')
import portanet, portanet.backends.base, numpy
assert "site-packages" in portanet.__file__, portanet.__file__
net = portanet.Sequential([portanet.Dense(3), portanet.ReLU(), portanet.Dense(2)])
trainer = portanet.Trainer(net, backend="numpy")
trainer.fit(numpy.eye(4), numpy.arange(4) % 2, epochs=2, verbose=False)
print("imported and trained from the wheel:", trainer.history)
P
(cd "$folder" && ./venv/bin/portanet --version)
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
