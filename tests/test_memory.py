"""Memory that does not suffice, for real: a process that the system gives no more than so much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import portanet as pn
from portanet.backends.host import host_memory
from portanet.training import batch_size as memory
from tests.backends.at_hand import require
from tests.small import trainer

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are tried on Linux")

ROOM = 400  # MiB beyond what the imports take

SCRIPT = """
import json, resource, sys
import numpy as np
import portanet as pn
from portanet.training import batch_size as memory
from portanet.cli.main import run

def trainer():
    # 0.8 MB a sample and array of it: 1000 samples never fit, 256 do not either
    return pn.Trainer([pn.Dense(200_000), pn.ReLU(), pn.Dense(2)], optimizer="sgd", backend=sys.argv[1])

x, y = np.random.default_rng(0).normal(size=(1000, 4)).astype("float32"), np.arange(1000) % 2
small = trainer()
small.fit(x[:2], y[:2], epochs=1, verbose=False)  # what libraries load when they are first used is there
small.predict(x[:8])
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (int(sys.argv[2]) << 20),) * 2)
found = {}
try:
    trainer().fit(x, y, epochs=1, batch_size=None, verbose=False)
except pn.OutOfMemoryError as error:
    found["said"], found["code"] = str(error), error.exit_code
auto = trainer()
auto.fit(x[:600], y[:600], epochs=1, batch_size="auto", verbose=False)
found["auto"] = auto.fit_info.batch_size
usual = trainer()
usual.fit(x[:2], y[:2], epochs=1, verbose=False)
found["scarce"] = memory.auto_batch_size(usual, 17_000)
found["rows"] = memory.rows_at_a_time(usual, 1000, 2048)
found["predicted"] = list(usual.predict(x).shape)
found["loss"] = usual.evaluate(x, y)["loss"]
found["batch"] = int(found["said"].partition("batch_size=")[2].partition(" ")[0])
auto.fit(x[:600], y[:600], epochs=1, batch_size=found["batch"], verbose=False)
found["memory"] = auto.backend.memory().total
print(json.dumps(found))
"""


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_process_with_little_memory(backend):
    require(backend)
    # A threshold of glibc's own choosing keeps what was freed, now and then until nothing is left for torch.
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    environment = {**os.environ, **one}
    words = [sys.executable, "-c", SCRIPT, backend, str(ROOM)]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["code"] == 6
    said = found["said"]
    assert "out of memory: " in said
    assert "llocate" in said  # what was asked for
    assert " GiB free)" in said
    assert "a step on 1000 samples takes about" in said
    assert "would fit, and batch_size='auto' finds one" in said
    assert 8 <= found["batch"] <= 128  # and it did fit
    assert found["auto"] == 16  # 600 / 64, but no fewer than 16
    assert found["scarce"] < 256 == memory.usual_batch_size(17_000)
    assert found["rows"] < 1000
    assert found["predicted"] == [1000, 2]
    assert np.isfinite(found["loss"])
    assert found["memory"] < host_memory()[1]


@pytest.mark.parametrize(
    ("n", "size"), [(1, 1), (10, 10), (20, 16), (1500, 16), (2047, 16), (2048, 32), (10_000, 128), (10**6, 256)]
)
def test_the_usual_batch_size(n, size):
    assert memory.usual_batch_size(n) == size


def test_auto_is_a_number_that_a_resumed_training_takes_too(tmp_path, backend):
    x, y = np.random.default_rng(0).normal(size=(4000, 3)), np.arange(4000) % 2
    first, second = (trainer([pn.Dense(2)], backend=backend) for _ in range(2))
    saved = pn.TrainingCheckpoint(tmp_path / "training")
    first.fit(x, y, epochs=1, batch_size="auto", callbacks=[saved], verbose=False)
    second.resume(tmp_path / "training")
    second.fit(x, y, epochs=0, batch_size=32, callbacks=[saved], verbose=False)
    assert first.fit_info.batch_size == 32


def peak(run):
    """Return how many bytes are allocated at the most while `run` runs; NumPy reports its arrays to tracemalloc."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


C, D = pn.Conv2D, pn.Dense
NETS = {
    "MLP": ([D(500), pn.ReLU(), D(150), pn.ReLU(), D(10)], (784,)),
    "BatchNorm and dropout": (2 * [D(500), pn.BatchNorm(), pn.GELU(), pn.Dropout(0.2)] + [D(10)], (784,)),
    "residual": ([D(300), *2 * [pn.Residual([D(300), pn.ReLU(), D(300)])], D(10)], (784,)),
    "wide": ([D(20_000), pn.ReLU(), D(10)], (4,)),
    "CNN": ([C(32), pn.ReLU(), C(64), pn.ReLU(), pn.MaxPool2D(2), pn.Flatten(), D(128), pn.ReLU(), D(10)], (28, 28, 1)),
    "small CNN": ([C(8), pn.ReLU(), pn.MaxPool2D(2), pn.Flatten(), D(10)], (20, 20, 3)),
    "CNN with BatchNorm": ([C(32), pn.BatchNorm(), pn.ReLU(), pn.AvgPool2D(2), pn.Flatten(), D(10)], (16, 16, 8)),
}


@pytest.mark.parametrize("optimizer", [pn.SGD(0.1), pn.Adam()])
@pytest.mark.parametrize("name", NETS)
def test_what_a_step_is_estimated_to_take_it_takes(name, optimizer, dtype):
    """Within a factor of 2 of the peak of a real step, and of a prediction."""
    layers, shape = NETS[name]
    model = trainer(layers, dtype=dtype, optimizer=optimizer)
    rows = np.zeros((256, *shape), "uint8"), np.arange(256) % 10
    model.fit(rows[0][:4], rows[1][:4], epochs=1, verbose=False)
    x = rows[0].astype(dtype)
    arguments = model.params, model.buffers, model.opt_state, x, rows[1].astype("int32"), None
    for n in (16, 256):
        one = [*arguments[:3], *(a if a is None else a[:n] for a in arguments[3:])]
        taken = peak(lambda one=one: model.step(*one, {"lr": 0.0, "seed": 0, "step": 0})) + x[:n].nbytes
        assert 0.5 < memory.of_a_step(model).of(n) / taken < 2.0
        taken = peak(lambda n=n: model.body.forward({**model.params, **model.buffers}, x[:n])) + x[:n].nbytes
        assert 0.5 < memory.of_a_prediction(model).of(n) / taken < 2.0


@pytest.mark.parametrize(
    ("layer", "shape", "held"),
    [
        (pn.MaxPool2D(2), (8, 8, 3), 16 * 3),  # the largest pixels so far, of each window, beside the new ones
        (pn.AvgPool2D(3, 1, "same"), (4, 4, 2), (36 + 16) * 2),  # and the padded images
        (pn.MaxPool1D(2), (8, 3), 4 * 3),
        (C(4), (8, 8, 3), C(4).scratch((8, 8, 3))),
        (D(9), (5,), 0),
    ],
)
def test_what_a_layer_holds_beside_its_output(layer, shape, held):
    assert layer.held(shape) == held


def test_convolutions_take_few_images_at_a_time_where_there_is_a_cache(backend):
    """So their scratch does not grow with the batch there; elsewhere it does."""
    model = trainer([C(16), pn.GlobalAvgPool2D(), D(2)], backend=backend, dtype="float32")
    model.init((32, 32, 4))
    need, scratch = memory.of_a_prediction(model), 4 * C(16).scratch((32, 32, 4))
    whole = backend.name in ("cupy", "jax") or "cuda" in backend.spec
    assert need.of(1) == need.sample + scratch
    assert need.of(1000) == 1000 * need.sample + (1000 * scratch if whole else 1 << 22)


def test_a_layer_that_does_not_run_on_the_host_is_estimated_as_any_other():
    class Elsewhere(pn.layers.Layer):
        def forward(self, params, x, *, train=False, key=None):
            raise TypeError

    model = trainer([Elsewhere()], backend="numpy")
    model.init((2,))
    assert memory.of_a_prediction(model).of(10) == 10 * 8 * 4  # two numbers and two outputs
    assert memory.rows_at_a_time(model, 5000, 2048) == 2048


def test_what_fits():
    need = memory.Need(fixed=100, sample=10, update=50)
    assert [need.of(n) for n in (1, 5, 6)] == [150, 150, 160]
    assert [need.fits(free) for free in (149, 150, 179, 180, 1000)] == [0, 4, 4, 8, 64]
    need = memory.Need(fixed=0, sample=10, held=2, in_parts=30, part=70)
    assert [need.of(n) for n in (1, 2, 4, 100)] == [40, 80, 110, 1200]  # 30, 60, and 70 at most, until 2 each are more
    assert [need.fits(free) for free in (39, 40, 79, 80, 110)] == [0, 1, 1, 2, 4]


def test_a_word_that_is_no_batch_size():
    with pytest.raises(
        pn.ConfigError, match="batch_size must be a whole number of 1 or more, 'auto', or None, got 'al"
    ):
        trainer().fit(np.zeros((4, 2)), np.arange(4) % 2, batch_size="all")
