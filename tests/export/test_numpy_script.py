"""The script that predicts with NumPy alone, and the archive of plain arrays."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from portanet import layers
from portanet.errors import ConfigError, DataError
from portanet.export import to_npz, to_numpy_script
from tests.cases import LAYER_CASES
from tests.export.nets import LOSSES, around, cnn, rows


def imported(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", LAYER_CASES)
def test_every_layer(case, tmp_path):
    model, x = around(case)
    path = tmp_path / "net.py"
    if isinstance(case.layer, layers.CustomActivation):
        with pytest.raises(ConfigError, match="cannot be exported to NumPy"):
            to_numpy_script(model, path)
        assert list(tmp_path.iterdir()) == []
        return
    if getattr(case.layer, "apart", False):  # what a training step is given
        with pytest.raises(ConfigError, match="its networks answer apart"):
            to_numpy_script(model, path)
        return
    to_numpy_script(model, path)
    found = imported(path).predict(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.predict(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("loss", "outputs", "output"), LOSSES)
def test_outputs_are_on_the_scale_of_predict(loss, outputs, output, tmp_path):
    model, x = rows(loss, outputs)
    for raw in (False, True):
        to_numpy_script(model, tmp_path / "net.py", raw=raw)
        np.testing.assert_allclose(imported(tmp_path / "net.py").predict(x), model.predict(x, raw=raw), rtol=1e-12)


def run(folder, *words):
    # Neither portanet nor anything else that is installed beside NumPy may be there.
    code = (
        "import sys, runpy; sys.argv = sys.argv[1:]\n"
        "for name in ('portanet', 'array_api_compat', 'safetensors', 'torch', 'onnx'): sys.modules[name] = None\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-W", "error", "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_on_the_command_line_without_portanet(tmp_path):
    model, x = cnn()
    to_numpy_script(model, tmp_path / "trees.py")
    np.save(tmp_path / "x.npy", x)
    done = run(tmp_path, "trees.py", "x.npy", "y.npy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [model.classes[i] for i in model.predict_classes(x)]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(x), atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "outputs", "classes"),
    [
        ("binary_cross_entropy", 1, ["no", "yes"]),
        ("binary_cross_entropy", 3, ["a", "b", "c"]),
        ("huber", 2, []),
        ("softmax_cross_entropy", 3, []),
    ],
)
def test_what_is_printed(loss, outputs, classes, tmp_path):
    model, x = rows(loss, outputs, classes=classes)
    x = np.concatenate([x, -x])
    to_numpy_script(model, tmp_path / "net.py")
    np.save(tmp_path / "x.npy", x)
    lines = run(tmp_path, "net.py", "x.npy").stdout.splitlines()
    found = model.predict_classes(x)
    if loss == "huber":
        np.testing.assert_allclose(
            [[float(v) for v in line.split(", ")] for line in lines], model.predict(x), rtol=1e-8
        )
    elif outputs == 3 and classes:
        assert lines == [", ".join(c for c, yes in zip(classes, row, strict=True) if yes) for row in found]
    else:
        names = classes or ["0", "1", "2"]
        assert lines == [names[i] for i in found]


def test_wrong_use_is_told_in_a_line(tmp_path):
    model, _ = rows("huber", 2)
    to_numpy_script(model, tmp_path / "net.py")
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    np.save(tmp_path / "objects.npy", np.asarray([{}]), allow_pickle=True)
    for words, told in (
        (["net.py"], "usage: python"),
        (["net.py", "none.npy"], "none.npy"),
        (["net.py", "wide.npy"], "expected samples of shape (n, 5), got an array of shape (2, 9)"),
        (["net.py", "objects.npy"], "allow_pickle=False"),
    ):
        done = run(tmp_path, *words)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    with pytest.raises(ConfigError, match=r"ends in \.py"):
        to_numpy_script(model, tmp_path / "net.txt")
    with pytest.raises(DataError, match="cannot be written"):
        to_numpy_script(model, tmp_path / "nowhere" / "net.py")


def test_npz_holds_the_arrays_as_they_are(tmp_path):
    model, _ = cnn()
    to_npz(model, tmp_path / "net.npz")
    snapshot = model.snapshot()
    with np.load(tmp_path / "net.npz", allow_pickle=False) as found:
        wanted = {**snapshot["params"], **snapshot["buffers"]}
        assert set(found.files) == set(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
