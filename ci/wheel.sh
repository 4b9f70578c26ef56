#!/bin/sh
# A wheel in a fresh environment and an empty folder: it is imported, trains, and has its command.
# usage: ci/wheel.sh WHEEL [ENVIRONMENT]     an environment that is named is kept
set -eu
PYTHON=${PYTHON:-python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
venv=${2:-$folder/venv}
"$PYTHON" -m venv "$venv"
venv=$(cd "$venv" && pwd)
bin=$venv/bin
[ -d "$bin" ] || bin=$venv/Scripts # on Windows
"$bin/python" -m pip install -q "$1"
cd "$folder"
"$bin/python" - <<'P'
import portanet, portanet.backends.base, numpy
assert "site-packages" in portanet.__file__, portanet.__file__
net = portanet.Sequential([portanet.Dense(3), portanet.ReLU(), portanet.Dense(2)])
trainer = portanet.Trainer(net, backend="numpy")
trainer.fit(numpy.eye(4), numpy.arange(4) % 2, epochs=2, verbose=False)
print("imported and trained from the wheel:", trainer.history)
P
"$bin/portanet" --version
"$bin/portanet" train moons --epochs 2 --quiet --backend numpy
