"""Networks of torch as people have them: each is taken over exactly, or refused in words."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.export import from_torch, torch_module

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn: Any = torch.nn
modules = pytest.importorskip("portanet.export.torch_modules")


def twice():
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(4, 6), act, nn.Linear(6, 5), act, nn.Linear(5, 3))


def tied():
    inner = nn.Linear(4, 4)
    return nn.Sequential(inner, nn.Tanh(), inner)


def weight_norm():
    return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh())


def spectral_norm():
    return nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), nn.Tanh())


def frozen():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    net[0].requires_grad_(False)
    return net


def even_same():
    return nn.Sequential(nn.Conv2d(2, 3, (2, 4), padding="same"), nn.Flatten(), nn.Linear(3 * 5 * 6, 2))


def padded_before():
    return nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(2, 3, 3, stride=2), nn.Flatten(), nn.Linear(27, 2))


def unequal_padding():
    return nn.Sequential(nn.Conv2d(2, 3, (3, 1), padding=(1, 0)), nn.AvgPool2d((1, 3), 1, (0, 1)), nn.Flatten())


def one_pixel():
    return nn.Sequential(nn.MaxPool2d((5, 6)), nn.Conv2d(2, 4, 1), nn.Flatten(), nn.GroupNorm(2, 4))


def global_pool():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.PReLU(4), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(4, 2))


def squeezed():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1), nn.Hardswish(), nn.Flatten())


def other_pools():
    pools = nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(*pools, nn.Upsample(scale_factor=2), nn.Flatten(), nn.LogSoftmax(1))


def channels():
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.InstanceNorm2d(3), nn.Softmax(1), nn.ConvTranspose2d(3, 2, 2, 2))


def whole_blocks():
    path = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.GELU())
    sides = modules.Concat(nn.Sequential(nn.Conv2d(4, 2, 1)), nn.Sequential(nn.Conv2d(4, 3, 3, 1, 1), nn.ReLU6()))
    return nn.Sequential(modules.Projected(path, nn.Sequential(nn.Conv2d(2, 4, 1, 2))), sides)


def signals():
    front = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True)
    return nn.Sequential(*front, nn.Conv1d(4, 4, 2, groups=2), nn.PReLU(4), nn.Flatten(), nn.Linear(12, 2))


def enlarged():
    shuffled = nn.Conv2d(2, 8, 3), nn.LocalResponseNorm(3, 0.5, 0.6, 2.0), nn.PixelShuffle(2), nn.PixelUnshuffle(2)
    sizes = nn.Upsample((7, 5), mode="bicubic"), nn.Upsample((4, 9), mode="bilinear", align_corners=True)
    others = nn.Upsample(scale_factor=(1.5, 0.8), mode="bilinear"), nn.Upsample((3, 4), mode="nearest-exact")
    return nn.Sequential(*shuffled, *sizes, *others, nn.Upsample((5, 2)), nn.Flatten(), nn.Linear(80, 2))


def padded_by_itself():
    pads = nn.ReflectionPad2d((1, 2, 0, 1)), nn.ReplicationPad2d(2), nn.CircularPad2d((1, 0, 2, 3))
    pools = nn.ConstantPad2d((0, 1, 1, 0), 0.5), nn.LPPool2d(2, (3, 2), (2, 1)), nn.LPPool2d(4.0, 2)
    return nn.Sequential(*pads, *pools, nn.Hardtanh(-0.5, 1.5), nn.Threshold(0.2, 0.0), nn.Flatten())


ROWS, IMAGES, SIGNALS = (4,), (5, 6, 2), (7, 2)
TAKEN = [
    (twice, ROWS),
    (tied, ROWS),
    (weight_norm, ROWS),
    (spectral_norm, ROWS),
    (frozen, ROWS),
    (even_same, IMAGES),
    (padded_before, IMAGES),
    (unequal_padding, IMAGES),
    (one_pixel, IMAGES),
    (global_pool, IMAGES),
    (squeezed, IMAGES),
    (other_pools, IMAGES),
    (channels, IMAGES),
    (enlarged, IMAGES),
    (padded_by_itself, IMAGES),
    (whole_blocks, IMAGES),
    (signals, SIGNALS),
]


def computed(net, x):
    given = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1) if x.ndim > 2 else x))
    with torch.no_grad():
        y = net.eval()(given).numpy()
    return np.moveaxis(y, 1, -1) if y.ndim == 4 else y


def shaken(net):
    torch.manual_seed(1)
    with torch.no_grad():
        for array in (*net.parameters(), *net.buffers()):
            if array.is_floating_point():
                array += 0.1 * torch.rand_like(array)
    return net


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's own, of its speed
@pytest.mark.parametrize(("make", "shape"), [pytest.param(*case, id=case[0].__name__) for case in TAKEN])
def test_taken_over_exactly(make, shape):
    torch.manual_seed(0)
    net = make().double()
    net = shaken(net) if make is not spectral_norm else net  # its vectors are those of the weight
    x = np.random.default_rng(0).normal(size=(3, *shape))
    if make is unequal_padding:  # flattened images at the end: torch's order
        net.append(nn.Linear(90, 2).double())
    if make is other_pools:
        net.append(nn.Linear(32, 2).double())
    if make is padded_by_itself:
        net.append(nn.Linear(42, 2).double())
    if make is squeezed:
        net.append(nn.Linear(3, 2).double())
    got = from_torch(net, "mean_squared_error", shape, backend="numpy")
    np.testing.assert_allclose(got.predict(x), computed(net, x), rtol=1e-12, atol=1e-12)
    back = from_torch(torch_module(got), "mean_squared_error", shape, backend="numpy")
    np.testing.assert_array_equal(back.predict(x), got.predict(x))
    mine, theirs = (model.net.config()["layers"] for model in (got, back))
    assert [layer["type"] for layer in mine] == [layer["type"] for layer in theirs]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_become_float32(dtype):
    torch.manual_seed(0)
    net = twice().to(dtype)
    got = from_torch(net, "mean_squared_error", backend="numpy")
    assert got.dtype == "float32"
    for i in (0, 2, 4):
        np.testing.assert_array_equal(got.snapshot()["params"][f"{i}.weight"], net[i].weight.detach().float().numpy().T)


def test_frozen_parameters_stay_frozen_and_shared_ones_are_told(caplog):
    got = from_torch(frozen(), "mean_squared_error", backend="numpy")
    assert [layer["rate"] for layer in got.net.config()["layers"] if "rate" in layer] == [0]
    with caplog.at_level(logging.WARNING, "portanet"):
        from_torch(tied(), "mean_squared_error", backend="numpy")
    assert "0.weight, 2.weight are one parameter in torch; here each is a copy" in caplog.text


def test_the_module_stays_as_it_was():
    net = spectral_norm().train()
    before = {name: a.clone() for name, a in net.state_dict().items()}
    from_torch(net, "mean_squared_error", backend="numpy")
    assert net.training
    for name, a in net.state_dict().items():
        assert torch.equal(a, before[name]), name
        assert a.dtype == torch.float32


def doubled():
    def forward(self, x):
        return 2 * nn.Linear.forward(self, x)

    return nn.Sequential(type("Doubled", (nn.Linear,), {"forward": forward})(4, 3))


def hooked():
    net = nn.Sequential(nn.Linear(4, 3))
    net[0].register_forward_hook(lambda module, x, y: 2 * y)
    return net


def hooked_whole():
    net = nn.Sequential(nn.Linear(4, 3))
    net.register_forward_pre_hook(lambda module, x: (2 * x[0],))
    return net


def old_weight_norm():
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(4, 3)))


def pruned():
    net = nn.Sequential(nn.Linear(4, 3))
    importlib.import_module("torch.nn.utils.prune").l1_unstructured(net[0], "weight", 0.5)
    return net


def replaced():
    net = nn.Sequential(nn.Linear(4, 3))
    net[0].forward = lambda x: x[:, :3]
    return net


def partly_frozen():
    net = nn.Sequential(nn.Linear(4, 3))
    net[0].bias.requires_grad_(False)
    return net


def written_over():
    return nn.Sequential(modules.Residual(nn.ReLU(inplace=True), nn.Linear(4, 4)))


REFUSED = [
    (hooked, ROWS, r"\[Linear 0\] from_torch: it has hooks \(<lambda>\).*remove"),
    (hooked_whole, ROWS, r"\[Sequential\] from_torch: it has hooks"),
    (old_weight_norm, ROWS, r"hooks \(WeightNorm\).*remove_weight_norm"),
    (pruned, ROWS, r"hooks \(L1Unstructured\).*prune\.remove"),
    (replaced, ROWS, r"\[Linear 0\] from_torch: its forward was replaced"),
    (doubled, ROWS, r"\[Doubled 0\] from_torch: portanet has no counterpart"),
    (partly_frozen, ROWS, r"\[Linear 0\].*some of its parameters are frozen"),
    (written_over, ROWS, r"the outputs would differ from torch's by"),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(0)), ROWS, r"\[Softmax 1\].*expected dim=-1"),
    (lambda: nn.Sequential(nn.Conv2d(2, 3, 1), nn.Softmax(-1)), IMAGES, r"\[Softmax 1\].*expected dim=1"),
    (
        lambda: nn.Sequential(nn.BatchNorm1d(4, momentum=None)),
        ROWS,
        r"\[BatchNorm1d 0\].*momentum=None.*momentum = 0\.1",
    ),
    (lambda: nn.Sequential(nn.BatchNorm1d(4)), (4, 4), r"\[BatchNorm1d 0\].*channels in front"),
    (lambda: nn.Sequential(nn.LayerNorm(6)), (5, 6, 6), r"\[LayerNorm 0\].*width of images"),
    (lambda: nn.Sequential(nn.Linear(6, 6)), (5, 6, 6), r"\[Linear 0\].*width of images"),
    (lambda: nn.Sequential(nn.Embedding(5, 3, padding_idx=0)), ROWS, r"\[Embedding 0\].*padding_idx=None"),
    (lambda: nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), IMAGES, r"\[AvgPool2d 0\].*divisor_override=None"),
    (lambda: nn.Sequential(nn.ZeroPad2d((-1, 0, 0, 0))), IMAGES, r"\[ZeroPad2d 0\].*padding must be"),
    (lambda: nn.Sequential(nn.InstanceNorm2d(2, track_running_stats=True)), IMAGES, r"track_running_stats=False"),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 2)), ROWS, r"\[Linear 1\].*expected samples with 4 features"),
    (lambda: nn.Sequential(nn.Conv1d(2, 3, 1), nn.Linear(7, 4)), SIGNALS, r"\[Linear 1\].*the channels here"),
    (lambda: nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten()), IMAGES, r"\[Flatten 1\] from_torch: it cannot be taken"),
    (lambda: nn.Sequential(nn.Identity()), ROWS, "expected modules with something to compute"),
]


@pytest.mark.parametrize(("make", "shape", "words"), REFUSED)
def test_refused_in_words(make, shape, words):
    with pytest.raises((ConfigError, pn.PortanetError), match=words) as caught:
        from_torch(make(), "mean_squared_error", shape, backend="numpy")
    assert "\n" not in str(caught.value)
