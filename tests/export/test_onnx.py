"""ONNX files, run by onnxruntime beside the network that they came from."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import portanet as pn
from portanet import layers
from portanet.errors import ConfigError, DataError
from portanet.export import onnx_model, to_onnx
from tests.cases import LAYER_CASES
from tests.export.nets import LOSSES, around, cnn, rows

onnx = pytest.importorskip("onnx", reason="ONNX files are written by the package onnx: pip install onnx onnxruntime")
runtime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime: pip install onnx onnxruntime")


def run(model, x):
    session = runtime.InferenceSession(model if isinstance(model, str) else model.SerializeToString())
    (found,) = session.run(["output"], {"input": x.astype("float32")})
    return found


@pytest.mark.parametrize("case", LAYER_CASES)
def test_every_layer(case):
    model, x = around(case)
    if isinstance(case.layer, layers.CustomActivation):
        with pytest.raises(ConfigError, match=r"\[CustomActivation 0\] it cannot be exported to ONNX.*'square'.*own"):
            onnx_model(model)
        return
    if getattr(case.layer, "apart", False):  # what a training step is given
        with pytest.raises(ConfigError, match="its networks answer apart"):
            onnx_model(model)
        return
    found = run(onnx_model(model), x)
    expected = model.predict(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_activations_over_their_whole_range():
    x = np.concatenate([np.linspace(-100, 100, 401), [-1e4, 0.0, 1e4]])[:, None]
    x = x.astype("float32")
    for kind in (layers.ReLU, layers.ELU, layers.Sigmoid, layers.Tanh, layers.Softplus, layers.GELU, layers.Swish):
        model = pn.Trainer([kind()], "huber", backend="numpy")
        model.init((1,))
        np.testing.assert_allclose(run(onnx_model(model), x), model.predict(x), atol=2e-6, rtol=2e-6, err_msg=str(kind))


def test_numbers_beyond_an_embedding_give_zeros_there_too():
    model = pn.Trainer([pn.Embedding(4, 3), pn.Flatten()], "huber", backend="numpy")
    model.init((2,))
    x = np.asarray([[0, 3], [-1, 4], [-7, 1e6]], dtype="float32")
    np.testing.assert_array_equal(run(onnx_model(model), x), model.predict(x))
    assert not model.predict(x)[2].any()


def test_a_whole_network_for_any_number_of_samples(tmp_path):
    model, x = cnn()
    path = tmp_path / "net.onnx"
    to_onnx(model, path)
    for part in (x, x[:1]):
        np.testing.assert_allclose(run(str(path), part), model.predict(part), atol=1e-6)
    found = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in found.opset_import] == [("", 17)]
    about = {entry.key: entry.value for entry in found.metadata_props}
    assert json.loads(about["classes"]) == ["oak", "elm", "ash", "yew"]
    assert json.loads(about["input_shape"]) == [9, 8, 3]
    assert about["output"] == "probabilities"
    assert about["portanet"] == pn.__version__


@pytest.mark.parametrize(("loss", "outputs", "output"), LOSSES)
def test_outputs_are_on_the_scale_of_predict(loss, outputs, output):
    model, x = rows(loss, outputs)
    found = onnx_model(model)
    assert {entry.key: entry.value for entry in found.metadata_props}["output"] == output
    np.testing.assert_allclose(run(found, x), model.predict(x), atol=1e-6)
    np.testing.assert_allclose(run(onnx_model(model, raw=True), x), model.predict(x, raw=True), atol=1e-6, rtol=1e-6)


def test_an_output_layer_that_the_loss_contains_is_not_there_twice():
    model = pn.Trainer([pn.Dense(3), pn.Softmax()], backend="numpy")
    model.init((2,))
    assert [node.op_type for node in onnx_model(model).graph.node] == ["Gemm", "Softmax"]


class Scaled(pn.MeanSquaredError):
    def link(self, prediction):
        return 2 * prediction


def test_a_scale_of_ones_own_is_refused_unless_raw():
    model, x = rows(Scaled(), 2)
    with pytest.raises(ConfigError, match=r"Scaled puts the outputs on a scale of its own.*raw=True"):
        onnx_model(model)
    np.testing.assert_allclose(run(onnx_model(model, raw=True), x), model.predict(x, raw=True), atol=1e-6)


def test_what_cannot_be_exported(tmp_path, monkeypatch):
    model = pn.Trainer([pn.Dense(2)], backend="numpy")
    with pytest.raises(ConfigError, match="to_onnx: this network has no weights yet"):
        to_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ConfigError, match=r"expected a Trainer.*got dict"):
        to_onnx({}, tmp_path / "a.onnx")
    model.init((3,))
    with pytest.raises(DataError, match="cannot be written"):
        to_onnx(model, tmp_path / "nowhere" / "a.onnx")
    with pytest.raises(ConfigError, match="LeakyReLU: slope must be a number from 0 to 1, got 2"):
        pn.LeakyReLU(2.0)  # max(x, a x) is no leaky rectifier elsewhere
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r'pip install "portanet\[onnx\]"'):
        to_onnx(model, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
