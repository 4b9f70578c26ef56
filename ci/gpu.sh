#!/bin/bash
# On a machine with an NVIDIA GPU: what CuPy must pass, and how fast it is. Six minutes on 16 cores; no network is used.
# The stages come in the order of what is learnt, and each ends at its limit; what they print is shown as it comes. The
# report (default: docs/gpu/DATE-CARD.md) ends with the stages that failed. The exit code is their number.
# usage: ci/gpu.sh [REPORT]     PYTHON: the interpreter; WORKERS: processes for the tests; STAGES: a regular expression
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3} WORKERS=${WORKERS:-8} STAGES=${STAGES:-.}
card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)
report=${1:-docs/gpu/$(date +%F)-$(echo "${card:-none}" | tr -cs 'A-Za-z0-9\n' - | sed 's/^NVIDIA-//').md}
mkdir -p "$(dirname "$report")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUPY_CACHE_DIR=${CUPY_CACHE_DIR:-$work/kernels} PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false PORTANET_REQUIRE=cupy
portanet="$PYTHON -m portanet"

n=0
stage() { # NAME LIMIT COMMAND…: run it, into a file of its own; with & at the end, beside the others
    local name=$1 limit=$2 began; shift 2
    echo "$name" | grep -qE "$STAGES" || return 0
    began=$(date +%s)
    timeout "$limit" "$@" 2>&1 | tail -n 120 | tee "$work/out-$n"
    local code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || echo "$name" >>"$work/failed"
    { printf '\n## %s\n\n`%s`\n\n```\n' "$name" "$*"; cat "$work/out-$n"; printf '```\n\nexit code %s, %s s\n' "$code" $(($(date +%s) - began)); } >"$work/stage-$n"
}
write() { # the report, of the stages that have ended
    {
        printf '# On a GPU, %s\n\n%s, driver %s\n' "$(date -u +%F)" "${card:-none}" "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)"
        "$PYTHON" -c 'import cupy, numpy, platform; print("Python", platform.python_version(), "CuPy", cupy.__version__, "NumPy", numpy.__version__)' 2>/dev/null
        cat "$work"/stage-*
        printf '\n## Failed\n\n'
        cat "$work/failed" 2>/dev/null || echo none
    } >"$report"
}
next() { n=$(printf '%02d' $((10#$n + 1))); stage "$@"; write; }
beside() { n=$(printf '%02d' $((10#$n + 1))); stage "$@" & }
train() { "$PYTHON" -m portanet train "$@" --backend cupy --out "$work/$1" && "$PYTHON" -m portanet evaluate "$work/$1" "$1" --backend numpy; }
mnist() { # three epochs, and what they take beside PyTorch's
    "$PYTHON" -m portanet train mnist --layers 500,150 --activation relu --optimizer sgd --lr 0.1 --batch-size 128 --epochs 3 --backend "$1" --out "$work/mnist-$1"
}
tests() { JAX_PLATFORMS=cpu "$PYTHON" -m pytest -q -p no:cacheprovider -p no:benchmark -m "" -n "$WORKERS" --maxfail 60 --tb short -k "cupy" tests --ignore tests/mpi; }
bench() { "$PYTHON" -m tests.benchmarks.gpu --rounds 3 --seconds 0.3 "$@"; }
export PYTHON WORKERS work
export -f train mnist bench tests

# Nothing is timed here, so these share the GPU.
beside "doctor" 50 $portanet doctor --backend cupy
beside "CuPy agrees with NumPy" 120 $portanet agree --backends numpy,cupy
beside "torch and JAX agree with NumPy on the GPU" 150 $portanet agree --backends numpy,torch:cuda,jax:gpu
beside "moons by the command line, evaluated on the CPU" 90 bash -c 'train moons --epochs 20'
beside "the same, text digits" 90 bash -c 'train digits --epochs 5'
beside "the same, with early stopping" 60 bash -c 'train circles --epochs 500 --early-stop 3'
beside "tests that name CuPy" 150 bash -c 'tests'
wait
write
next "MNIST 500-150, three epochs" 60 bash -c 'mnist cupy'
next "the same by torch on the GPU" 60 bash -c 'mnist torch:cuda'
next "an upload of 5 GB" 50 "$PYTHON" -c "
import time, numpy as np, psutil
from portanet import backends
backend = backends.get('cupy')
x = np.arange(1_250_000_000, dtype='float32')
began = time.perf_counter()
y = backend.asarray(x)
backend.synchronize()
print(f'{x.nbytes / 1e9:.1f} GB in {time.perf_counter() - began:.2f} s; {psutil.Process().memory_info().rss / 1e9:.1f} GB resident')
assert (backend.to_numpy(y[-1000:]) == x[-1000:]).all()"
next "a step beside torch and JAX" 150 bash -c 'bench --workloads mnist,mnist-adam,mnist-8192 --peers torch:cuda,jax'
next "convolutions beside torch and JAX" 90 bash -c 'bench --workloads cnn --peers torch:cuda,jax'
next "a step beside torch.compile" 120 bash -c 'bench --workloads mnist --peers torch:cuda:graphs'
next "a step without graphs" 50 env PORTANET_CUPY_GRAPHS=0 bash -c 'bench --peers ""'
echo "report: $report"
[ ! -f "$work/failed" ] || exit "$(wc -l <"$work/failed")"
