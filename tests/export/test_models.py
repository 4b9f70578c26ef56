"""Networks that people know: saved, exported and brought back, and trained beside torch step by step."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.export import from_torch, onnx_model, state_dict, to_numpy_script, torch_module
from portanet.layers.tree import walk
from portanet.recipes import images
from tests.export.nets import shaken

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")

SHAPE = (12, 12, 2)
NETS = {
    "lenet": images.lenet,
    "vgg": images.vgg,
    "resnet": images.resnet,
    "depthwise": images.depthwise,
    "network_in_network": images.network_in_network,
    "autoencoder": images.autoencoder,
}
every_net = pytest.mark.parametrize("name", NETS)


def narrow(layer):
    """Return a layer, and those within, with a quarter of the channels, and without dropout: the same form, faster."""
    config = layer.config()

    def less(entry):
        if isinstance(entry, dict):
            found = {key: less(value) for key, value in entry.items()}
            for key in ("units", "groups"):
                if found.get(key, 1) >= 16:
                    found[key] //= 4
            return {**found, "rate": 0.0} if found.get("type") == "Dropout" else found
        return [less(one) for one in entry] if isinstance(entry, list) else entry

    return pn.Sequential.from_config([less(config)]).layers[0]


def made(name, dtype="float32", **options):
    outputs = 2 if name == "autoencoder" else 3
    loss = "mean_squared_error" if name == "autoencoder" else "softmax_cross_entropy"
    net = [narrow(layer) for layer in NETS[name](outputs, SHAPE)]
    model = pn.Trainer(net, loss, backend="numpy", dtype=dtype, **options)
    model.init(SHAPE)
    return model


def samples(name, n=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *SHAPE))
    return x, (x if name == "autoencoder" else np.arange(n) % 3)


def in_torch(x):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def test_each_is_of_the_form_that_its_name_says():
    kinds = {name: {type(layer).__name__ for _, layer in walk(made(name).net)} for name in NETS}
    assert {"AvgPool2D", "Tanh"} <= kinds["lenet"]
    assert {"BatchNorm", "MaxPool2D"} <= kinds["vgg"]
    assert {"Residual"} <= kinds["resnet"]
    assert any(layer.shortcut for layer in images.resnet(3, SHAPE) if isinstance(layer, pn.Residual))
    assert any(layer.groups > 1 for layer in images.depthwise(3, SHAPE) if isinstance(layer, pn.Conv2D))
    assert "Dense" not in kinds["network_in_network"]
    assert "ConvTranspose2D" in kinds["autoencoder"]


@every_net
def test_saved_exported_and_back(name, tmp_path):
    model = shaken(made(name))
    x, _ = samples(name)
    x = x.astype("float32")
    model.save(tmp_path / "net.safetensors")
    loaded = pn.load(tmp_path / "net.safetensors", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    goes_the_same_way(model, x, tmp_path)


def goes_the_same_way(model, x, tmp_path):
    """Assert that a network predicts the same as a script, in torch, back from there exactly, and in ONNX."""
    expected = model.predict(x)
    scale = max(1.0, float(np.abs(expected).max()))
    to_numpy_script(model, tmp_path / "net.py")
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, str(tmp_path / "net.py"), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert np.abs(np.load(tmp_path / "y.npy") - expected).max() <= 1e-6 * scale

    theirs = torch_module(model)
    raw = model.predict(x, raw=True)
    with torch.no_grad():
        got = theirs(in_torch(x)).numpy()
    largest = max(1.0, float(np.abs(raw).max()))
    assert np.abs((np.moveaxis(got, 1, -1) if got.ndim == 4 else got) - raw).max() <= 1e-6 * largest
    back = from_torch(theirs, model.loss, x.shape[1:], backend="numpy")
    np.testing.assert_array_equal(back.predict(x), expected)
    kinds = [[type(layer) for layer in net.children().values()] for net in (back.net, model.net)]
    assert kinds[0] == kinds[1]

    runtime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    session = runtime.InferenceSession(onnx_model(model).SerializeToString())
    (found,) = session.run(["output"], {"input": x})
    assert np.abs(found - expected).max() <= 1e-6 * scale


@pytest.mark.slow
@every_net
def test_whole_networks_learn_pictures_and_go_the_same_way(name, tmp_path):
    """As they are, with 32 × 32 pixels in three colours, digits on a coloured ground: trained, saved, and exported."""
    digits = pytest.importorskip("sklearn.datasets", reason="the digits are scikit-learn's").load_digits()
    x = np.repeat(np.repeat(digits.images[:400] / 16, 4, axis=1), 4, axis=2).astype("float32")[..., None]
    x = x * np.asarray([1.0, 0.7, 0.4], "float32") + np.asarray([0.0, 0.1, 0.3], "float32")
    y = x if name == "autoencoder" else digits.target[:400]
    net = NETS[name](3 if name == "autoencoder" else 10, x.shape[1:])
    loss = "mean_squared_error" if name == "autoencoder" else "softmax_cross_entropy"
    model = pn.Trainer(net, loss, pn.Adam(lr=0.002), backend="torch", dtype="float32", seed=0)
    history = model.fit(x, y, epochs=3, batch_size=20, verbose=False)
    # Without norms, and with half of its channels dropped, network in network needs more steps than 60 to leave chance.
    assert history["loss"][-1] < (1.0 if name == "network_in_network" else 0.8) * history["loss"][0]
    model.save(tmp_path / "net.safetensors")
    model = pn.load(tmp_path / "net.safetensors", backend="numpy")
    x = x[:8]
    goes_the_same_way(model, x, tmp_path)


@every_net
def test_five_steps_of_adamw_are_torchs(name):
    model = made(name, "float64", optimizer=pn.AdamW(lr=0.01, weight_decay=0.1))
    x, y = samples(name, 6)
    net = torch_module(model).train()
    kinds = torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d
    decayed = [m.weight for m in net.modules() if isinstance(m, kinds)]
    others = [p for p in net.parameters() if all(p is not w for w in decayed)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    target = in_torch(y) if name == "autoencoder" else torch.from_numpy(y)
    loss = torch.nn.functional.mse_loss if name == "autoencoder" else torch.nn.functional.cross_entropy
    for _ in range(5):
        optimizer.zero_grad()
        loss(net(in_torch(x)), target).backward()
        optimizer.step()
    model.fit(x, y, epochs=5, batch_size=6, shuffle=False, verbose=False)
    ours, theirs = state_dict(model), net.state_dict()
    for key, array in ours.items():
        if not key.endswith("num_batches_tracked"):
            assert np.abs(array - theirs[key].numpy()).max() <= 1e-10, key
