"""Weights in torch's form, in torch itself, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet import layers
from portanet.errors import ConfigError, DataError, ShapeError
from portanet.export import from_torch, load_state_dict, state_dict, to_torch, torch_code, torch_module
from tests.cases import LAYER_CASES
from tests.export.nets import around, cnn, rows, shaken
from tests.small import near, same

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn


def to_theirs(x, *, signals=False):
    x = np.asarray(x, dtype="float32")
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1) if x.ndim == 4 or signals else x))


def theirs(net, x):
    with torch.no_grad():
        return net(to_theirs(x)).numpy()


def refused(case):
    """Return whether the case has no counterpart in torch."""
    none = (
        layers.Committee
        | layers.CustomActivation
        | layers.Parallel
        | layers.OneHot
        | layers.Parametric
        | layers.PeriodicEmbedding
    )
    alone = isinstance(case.layer, none | layers.RobustScale | layers.Scale | layers.SmoothClip)
    own = case.layer
    if isinstance(own, layers.Resize2D):
        return own.antialias or own.cubic != -0.75
    if isinstance(own, layers.DepthToSpace2D | layers.SpaceToDepth2D):
        return own.order == "DCR"
    if isinstance(own, layers.LpPool2D | layers.LocalResponseNorm):
        return len(case.shape) != 3 or getattr(own, "p", 2) % 2 != 0
    if isinstance(case.layer, layers.LayerNorm | layers.RMSNorm):
        return len(case.shape) == 3
    return alone or (len(case.shape) == 2 and isinstance(case.layer, layers.InstanceNorm))  # channels in front there


def fresh(net, case):
    found = pn.Trainer(net, "mean_squared_error", backend="numpy")
    found.init(case.shape)
    return found


@pytest.mark.parametrize("case", LAYER_CASES)
def test_every_layer_there_and_back(case):
    model, x = around(case)
    model = shaken(fresh([*model.net.layers, pn.Dense(3)], case))  # it mixes features: another order would be seen
    if refused(case):
        with pytest.raises(ConfigError, match=r"cannot be exported to torch"):
            torch_module(model)
        return
    net = torch_module(model)
    given = to_theirs(x, signals=type(case.layer).__name__.endswith("1D"))
    given = given.long() if case.whole_numbers else given
    with torch.no_grad():
        np.testing.assert_allclose(net(given).numpy(), model.predict(x), atol=1e-5, rtol=1e-5)
    other = fresh(model.net, case)
    load_state_dict(other, net.state_dict())
    if isinstance(case.layer, layers.NTKDense):  # its factors are multiplied in there, and divided out again
        near(model, other, rtol=1e-6)
    else:
        same(model, other)


def test_names_and_layouts():
    model, _ = cnn()
    found = state_dict(model)
    params = model.snapshot()["params"]
    assert {name: a.shape for name, a in found.items() if name[:2] in ("1.", "2.")} == {
        "1.1.weight": (6, 1, 3, 3),  # behind a module that pads unevenly
        "1.1.bias": (6,),
        **{f"2.{name}": (6,) for name in ("weight", "bias", "running_mean", "running_var")},
        "2.num_batches_tracked": (),
    }
    np.testing.assert_array_equal(found["1.1.weight"], params["1.weight"].transpose(3, 2, 0, 1))
    assert found["2.num_batches_tracked"].dtype == np.int64


def test_a_dense_behind_flattened_images_has_its_rows_in_torchs_order():
    model = pn.Trainer([pn.Flatten(), pn.Dense(2)], backend="numpy")
    model.init((2, 2, 3))
    weight = model.snapshot()["params"]["1.weight"]
    expected = weight.reshape(2, 2, 3, 2).transpose(2, 0, 1, 3).reshape(12, 2).T
    np.testing.assert_array_equal(state_dict(model)["1.weight"], expected)


def test_a_whole_network_by_file(tmp_path):
    load_file = pytest.importorskip("safetensors.torch", reason="safetensors cannot find torch").load_file
    model, x = cnn()
    path = tmp_path / "net.safetensors"
    to_torch(model, path)
    space: dict[str, Any] = {}
    exec(torch_code(model), space)  # what a reader would copy
    net = space["net"]
    net.eval()
    net.load_state_dict(load_file(path))
    expected = model.predict(x, raw=True)
    np.testing.assert_allclose(theirs(net, x), expected, atol=1e-4, rtol=1e-5)
    other, _ = cnn()
    load_state_dict(shaken(other, seed=9), path)
    same(model, other)


def test_weights_trained_in_torch_come_over():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.Identity(),
        nn.ReLU(),
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(5, 4, (1, 2), stride=(2, 1))),
        nn.Flatten(),
        nn.Linear(4 * 2 * 3, 6),
        nn.ELU(),
        nn.Linear(6, 3),
    )
    x = np.random.default_rng(0).normal(size=(6, 8, 9, 3)).astype("float32")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(to_theirs(x)), torch.arange(6) % 3).backward()
        optimizer.step()
    net.eval()
    model = from_torch(net, "softmax_cross_entropy", (8, 9, 3), backend="numpy", classes=["a", "b", "c"])
    np.testing.assert_allclose(model.predict(x), torch.softmax(torch.from_numpy(theirs(net, x)), 1).numpy(), atol=1e-6)
    assert model.classes == ("a", "b", "c")
    assert model.net.config()["layers"][1]["momentum"] == pytest.approx(0.9)
    model.fit(x, np.arange(6) % 3, epochs=1, verbose=False)  # and are trained on here


def test_rows_need_no_shape_and_keep_their_dtype():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 1, bias=False)).double()
    model = from_torch(net, "mean_squared_error", backend="numpy")
    x = np.random.default_rng(0).normal(size=(6, 4))
    assert model.dtype == "float64"
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(x), net(torch.from_numpy(x)).numpy(), atol=1e-14)


@pytest.mark.parametrize(
    ("module", "shape", "told"),
    [
        (nn.Linear(4, 3), (5,), "weight|in_features|expected"),
        (nn.LogSigmoid(), (4,), r"\[LogSigmoid 0\] from_torch: portanet has no counterpart"),
        (nn.MaxPool2d(2, dilation=2), (4, 4, 1), "dilation=1"),
        (nn.Conv2d(1, 1, 2, padding_mode="reflect"), (4, 4, 1), "padding_mode='zeros'"),
        (nn.BatchNorm1d(4, affine=False), (4,), "affine=True"),
        (nn.AdaptiveAvgPool2d((2, None)), (4, 4, 1), "output_size"),
        (nn.AdaptiveMaxPool2d(2), (4, 4, 1), r"AdaptiveMaxPool2d\(1\) with Flatten"),
        (nn.Unflatten(1, (3, 2, 2)), (12,), "channels last"),
        (nn.LayerNorm((4, 4)), (4, 4), "normalized_shape"),
        (nn.Softmax(dim=0), (4,), "dim=-1"),
    ],
)
def test_modules_that_have_no_counterpart(module, shape, told):
    with pytest.raises((ConfigError, ShapeError, DataError), match=told):
        from_torch(nn.Sequential(module, nn.Flatten(), nn.Linear(3, 2)), "huber", shape)


def test_without_a_shape_images_are_asked_for():
    with pytest.raises(ConfigError, match=r"expected input_shape.*\(height, width, channels\)"):
        from_torch(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), "huber")
    with pytest.raises(ConfigError, match="no counterpart"):
        from_torch(object(), "huber", (3,))


def test_errors_name_what_is_missing_unexpected_and_of_the_wrong_shape():
    model, _ = rows("huber", 2)
    before = model.snapshot()
    state = state_dict(model)
    state["3.weight"] = state.pop("0.bias")
    state["2.weight"] = state["2.weight"].T
    state["2.bias"] = state["2.bias"] * np.nan
    with pytest.raises(DataError) as told:
        load_state_dict(model, state)
    for words in (
        "0.bias is missing",
        "3.weight is unexpected",
        "2.weight has the shape (6, 2), expected (2, 6)",
        "2.bias holds what is no finite number",
    ):
        assert words in str(told.value)
    assert all((before["params"][name] == a).all() for name, a in model.snapshot()["params"].items())


def test_a_pickle_is_refused(tmp_path):
    model, _ = rows("huber", 2)
    for name, new in (("new.pt", True), ("old.pt", False)):
        path = tmp_path / name
        torch.save(torch_module(model).state_dict(), path, _use_new_zipfile_serialization=new)
        with pytest.raises(DataError, match=r"pickle.*safetensors.torch.save_file"):
            load_state_dict(model, path)
    with pytest.raises(DataError, match="found nothing there"):
        load_state_dict(model, tmp_path / "none.safetensors")


def test_what_torch_orders_otherwise_is_refused():
    for net, shape, told in (
        ([pn.Reshape((2, 2, 3)), pn.Flatten(), pn.Dense(2)], (12,), "channels first"),
        ([pn.LayerNorm(), pn.Flatten(), pn.Dense(2)], (2, 2, 3), "LayerNorm"),
        ([pn.BatchNorm(), pn.Flatten(), pn.Dense(2)], (4, 3), "BatchNorm1d"),
        ([pn.Conv2D(2), pn.Flatten()], (4, 4, 1), "flattened images"),
    ):
        model = pn.Trainer(net, "huber", backend="numpy")
        model.init(shape)
        with pytest.raises(ConfigError, match=told):
            state_dict(model)


def test_what_is_exported_needs_no_torch():
    import subprocess
    import sys

    code = """
import sys
import portanet as pn
from portanet.export import load_state_dict, state_dict, torch_code
t = pn.Trainer([pn.Rescale(2.0), pn.Dense(2)], backend="numpy"); t.init((3,))
load_state_dict(t, state_dict(t))
assert "class Rescale" in torch_code(t)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
