"""Outputs at several places of a sample: tokens and pixels, in steps, trainings, evaluations, files and fleets."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portanet as pn
from portanet import metrics
from portanet.cli.main import run
from portanet.data.batching import prepare
from portanet.engine.penalties import sample_share
from portanet.engine.step import Step
from portanet.errors import DataError, ShapeError
from portanet.export import load_state_dict, onnx_model, state_dict, to_numpy_script, torch_module
from portanet.losses.places import folded
from portanet.random import Part
from tests.small import near, same, trainer

RNG = np.random.default_rng(0)
TOKENS, LABELS = RNG.normal(size=(20, 6, 4)), RNG.integers(0, 3, (20, 6))
PADDING = (RNG.random((20, 6)) < 0.7) * RNG.uniform(0.5, 2, (20, 6))  # a weight a place: 0 for what is no token
IMAGES = RNG.uniform(size=(18, 5, 4, 2))
TAGGER = [pn.Dense(8), pn.ReLU(), pn.LayerNorm(), pn.Dropout(0.3), pn.Dense(3)]
CODER = [pn.Conv2D(4, padding="same"), pn.Tanh(), pn.Conv2D(2, padding="same")]
WEIGHTS = {"none": None, "samples": PADDING[:, 0] + 0.1, "places": PADDING}
COUNTERS = {"lr": 1.0, "seed": 77, "step": 3}


def tagger(**options):
    return trainer(TAGGER, optimizer=pn.Adam(lr=0.01), metrics=["accuracy", "top_2"], **options)


def coder(loss="mean_squared_error", **options):
    return trainer(CODER, loss=loss, optimizer=pn.Adam(lr=0.01), metrics=["mae"], **options)


def gradients(backend, step, x, y, weight, part=None, start=None):
    """Return a step's gradients, its loss and its metrics on a backend, as host arrays."""
    start = start or step.net.init(np.random.default_rng(0), x.shape[1:])[0]
    with backend.activate("float64"):
        params = {name: backend.asarray(a, "float64") for name, a in start.items()}
        y = backend.asarray(y, "int32" if y.dtype.kind == "i" else "float64")
        w = None if weight is None else backend.asarray(weight, "float64")
        counters = {**COUNTERS, **({} if part is None else {"part": part})}
        run = backend.compile(step.before_update)
        grads, _, loss, measured = run(params, {}, backend.asarray(x, "float64"), y, w, counters)
        found = {name: backend.to_numpy(g) for name, g in grads.items()}
        return found, float(loss), [float(m) for m in measured]


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_tokens_beside_torch(backend, weighted):
    torch = pytest.importorskip("torch", reason="torch is the oracle of these tests: pip install torch")
    net, weight = pn.Sequential([pn.Dense(8), pn.ReLU(), pn.LayerNorm(), pn.Dense(3)]), WEIGHTS[weighted]
    step = Step(net, pn.SoftmaxCrossEntropy(), pn.SGD(), (metrics.Accuracy(),), "float64")
    grads, loss, (accuracy,) = gradients(backend, step, TOKENS, LABELS, weight)
    leaves = {n: torch.tensor(p, requires_grad=True) for n, p in net.init(np.random.default_rng(0), (6, 4))[0].items()}
    x, t = torch.tensor(TOKENS), torch.tensor(LABELS)
    h = torch.relu(x @ leaves["0.weight"] + leaves["0.bias"])
    h = torch.nn.functional.layer_norm(h, (8,), leaves["2.gamma"], leaves["2.beta"])
    z = h @ leaves["3.weight"] + leaves["3.bias"]
    each = torch.nn.functional.cross_entropy(z.permute(0, 2, 1), t, reduction="none")
    w = np.ones((20, 6)) if weight is None else np.broadcast_to(weight.reshape(20, -1), (20, 6)).copy()
    w = torch.tensor(w)
    expected = (w * each).sum() / w.sum()
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert accuracy == pytest.approx(float((w * (z.argmax(-1) == t)).sum() / w.sum()), rel=1e-12)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(grads[name], leaf.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("weighted", ["none", "samples", "places"])
@pytest.mark.parametrize("kind", ["mean_squared_error", "binary_cross_entropy"])
def test_pixels_beside_torch(backend, kind, weighted):
    torch = pytest.importorskip("torch", reason="torch is the oracle of these tests: pip install torch")
    net, loss = pn.Sequential(CODER), {"mean_squared_error": pn.MeanSquaredError()}.get(kind, pn.BinaryCrossEntropy())
    w = RNG.uniform(size=(18, 5, 4) if weighted == "places" else (18,)) if weighted != "none" else None
    grads, value, _ = gradients(backend, Step(net, loss, pn.SGD(), (), "float64"), IMAGES, IMAGES, w)
    leaves = {
        n: torch.tensor(p, requires_grad=True) for n, p in net.init(np.random.default_rng(0), (5, 4, 2))[0].items()
    }
    x = torch.tensor(IMAGES).permute(0, 3, 1, 2)
    f = torch.nn.functional
    h = torch.tanh(f.conv2d(x, leaves["0.weight"].permute(3, 2, 0, 1), leaves["0.bias"], padding=1))
    z = f.conv2d(h, leaves["2.weight"].permute(3, 2, 0, 1), leaves["2.bias"], padding=1)
    if kind == "mean_squared_error":
        each = ((z - x) ** 2).mean(1)
    else:  # summed over the outputs, as for rows
        each = f.binary_cross_entropy_with_logits(z, x, reduction="none").sum(1)
    share = torch.ones(18, 5, 4, dtype=torch.float64)
    if w is not None:
        share = share * torch.tensor(w.reshape(18, -1, 1) if w.ndim == 1 else w)
    expected = (share * each).sum() / share.sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(grads[name], leaf.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_loss_sees_rows():
    seen = []

    class Noted(pn.MeanSquaredError):
        def forward(self, prediction, target, weight=None):
            seen.append((prediction.shape, target.shape, weight.shape))
            return super().forward(prediction, target, weight)

    step = Step(pn.Sequential(CODER), Noted(), pn.SGD(), (), "float64")
    gradients(pn.backends.get("numpy"), step, IMAGES, IMAGES, np.ones(18))
    gradients(pn.backends.get("numpy"), step, IMAGES, IMAGES, np.ones((18, 5, 4)))
    assert seen == [((360, 2), (360, 2), (360,))] * 2


def test_folding():
    z, t, w = RNG.normal(size=(2, 3, 4, 5)), RNG.integers(0, 5, (2, 3, 4)), RNG.random((2, 3))
    rows, targets, weights = folded(z, t, w, stack=1)  # two networks, three samples of four tokens
    np.testing.assert_array_equal(rows[1, 7], z[1, 1, 3])
    assert targets[1, 7] == t[1, 1, 3]
    assert weights[1, 7] == w[1, 1]
    rows, targets, weights = folded(z, t, None)  # two samples of three by four pixels
    np.testing.assert_array_equal(rows[19], z[1, 1, 3])
    assert (targets[19], weights) == (t[1, 1, 3], None)
    unfolded = (z[0, 0], t[0, 0], w[0])
    assert all(a is b for a, b in zip(folded(*unfolded), unfolded, strict=True))
    of_a_stack = (z[0], t[0], w)
    assert all(a is b for a, b in zip(folded(*of_a_stack, stack=1), of_a_stack, strict=True))
    with pytest.raises(
        ShapeError, match=r"each place of predictions of shape \(2, 3, 4, 5\), got targets of shape \(2"
    ):
        folded(z, t[:, :2], None)


@pytest.mark.parametrize("layer", [pn.Dense(3), pn.Dense(1, bias=False)])
def test_dense_on_places_in_a_stack(layer):
    members = [layer.init(np.random.default_rng(i), (6, 4))[0] for i in range(3)]
    assert layer.init(np.random.default_rng(0), (6, 4))[1] == (6, layer.units)
    stack = {name: np.stack([m[name] for m in members]) for name in members[0]}
    x, dy = RNG.normal(size=(3, 5, 6, 4)), RNG.normal(size=(3, 5, 6, layer.units))
    y, cache = layer.forward(stack, x)
    dx, grads = layer.backward(stack, dy, cache)
    assert (y.shape, dx.shape) == (dy.shape, x.shape)
    assert layer.backward(stack, dy, cache, need_dx=False)[0] is None
    for k, params in enumerate(members):
        np.testing.assert_allclose(y[k], x[k] @ params["weight"] + params.get("bias", 0.0), rtol=1e-12)
        np.testing.assert_allclose(dx[k], dy[k] @ params["weight"].T, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(grads["weight"][k], np.einsum("ntf,ntu->fu", x[k], dy[k]), rtol=1e-12)
        alone, of_own = layer.backward(params, dy[k], layer.forward(params, x[k])[1])
        np.testing.assert_allclose(alone, dx[k], rtol=1e-12, atol=1e-14)
        for name, g in of_own.items():
            assert g.shape == params[name].shape
            np.testing.assert_allclose(grads[name][k], g, rtol=1e-12)


@pytest.mark.parametrize(("net", "shape"), [(TAGGER, (6, 4)), (CODER, (5, 4, 2))])
def test_gradients_by_differences(net, shape):
    assert max(check.error for check in pn.gradcheck(pn.Sequential(net), shape)) < 1e-6


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_pieces_and_parts_give_what_the_whole_gives(backend, weighted):
    net, weight = pn.Sequential(TAGGER), WEIGHTS[weighted]
    options = (pn.SoftmaxCrossEntropy(), pn.SGD(), (metrics.Accuracy(),), "float64", 0.01, 0.02, True)
    data = (TOKENS, LABELS, weight)
    grads, loss, measured = gradients(backend, Step(net, *options), *data)
    for rows in (20, 7, 1):
        other, value, found = gradients(backend, Step(net, *options, rows), *data)
        assert (value, *found) == pytest.approx((loss, *measured), rel=1e-12)
        for name, g in grads.items():
            np.testing.assert_allclose(other[name], g, rtol=1e-9, atol=1e-13, err_msg=name)
    each = np.ones(20) if weight is None else weight.reshape(20, -1).mean(axis=1)
    sums, mean = dict.fromkeys(grads, 0.0), 0.0
    for a, b in ((0, 7), (7, 8), (8, 20)):
        own = float(each[a:b].sum() / each.sum())
        part = Part(a, 20, own, float(1 / each.sum()))
        w = None if weight is None else weight[a:b]
        found, value, _ = gradients(backend, Step(net, *options), TOKENS[a:b], LABELS[a:b], w, part)
        sums = {name: sums[name] + g for name, g in found.items()}
        mean += own * value
    assert mean == pytest.approx(loss, rel=1e-12)
    for name, g in grads.items():
        np.testing.assert_allclose(sums[name], g, rtol=1e-9, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("make", [tagger, coder])
def test_one_training_on_all_backends(backend, make):
    data = (TOKENS, LABELS, PADDING) if make is tagger else (IMAGES, IMAGES, None)
    found = []
    for place in ("numpy", backend):
        model = make(backend=place)
        history = model.fit(
            *data[:2], sample_weight=data[2], epochs=4, batch_size=8, validation_data=data, verbose=False
        )
        found.append((model, history))
    (host, expected), (model, history) = found
    near(model, host)
    for column in ("loss", "val_loss", f"val_{model.metrics[0].name}"):
        np.testing.assert_allclose(history[column], expected[column], rtol=1e-9)
    np.testing.assert_allclose(model.predict(data[0]), host.predict(data[0]), rtol=1e-8, atol=1e-10)


def test_both_learn():
    x = RNG.normal(size=(200, 6, 3))
    model = trainer([pn.Dense(16), pn.ReLU(), pn.Dense(3)], optimizer=pn.Adam(lr=0.02), metrics=["accuracy"])
    assert model.fit(x, x.argmax(-1), epochs=15, batch_size=20, verbose=False)[-1]["accuracy"] > 0.95
    assert (model.outputs, model.places, model.predict(x).shape) == (3, (6,), (200, 6, 3))
    np.testing.assert_allclose(model.predict(x).sum(axis=-1), 1.0)
    np.testing.assert_array_equal(model.predict_classes(x), model.predict(x).argmax(axis=-1))
    for loss in ("mean_squared_error", "binary_cross_entropy"):
        model = coder(loss)
        history = model.fit(IMAGES, IMAGES, epochs=60, batch_size=6, verbose=False)
        assert model.predict(IMAGES).shape == IMAGES.shape
        assert history[-1]["mae"] < 0.5 * history[0]["mae"]


def test_a_yes_or_no_a_pixel():
    x = RNG.normal(size=(60, 4, 3, 2))
    y = (x.sum(axis=-1) > 0).astype(int)  # (n, h, w), for one output
    model = trainer(
        [pn.Conv2D(1, kernel=1)], loss="binary_cross_entropy", optimizer=pn.Adam(lr=0.1), metrics=["accuracy"]
    )
    model.fit(x, y, epochs=20, batch_size=20, verbose=False)
    assert model.evaluate(x, y)["accuracy"] > 0.95
    assert model.evaluate(x, y[..., None]) == model.evaluate(x, y)
    np.testing.assert_array_equal(model.predict_classes(x), model.predict(x)[..., 0] > 0.5)


def test_what_weighs_nothing_is_ignored():
    other, masked = LABELS.copy(), PADDING == 0
    other[masked] = (other[masked] + 1) % 3
    found = []
    for y in (LABELS, other):
        model = tagger()
        model.fit(TOKENS, y, sample_weight=PADDING, epochs=3, batch_size=8, verbose=False)
        found.append(model)
    same(*found)
    assert found[0].evaluate(TOKENS, LABELS, sample_weight=PADDING) == found[1].evaluate(
        TOKENS, other, sample_weight=PADDING
    )


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_weight_a_sample_is_that_of_its_places(per_sample):
    options = {"l2": 0.05, "penalty_per_sample": per_sample}
    weight = PADDING[:, 0] + 0.1
    pairs = [(None, np.ones((20, 6))), (weight, np.repeat(weight[:, None], 6, axis=1))]
    for each, of_places in pairs:
        models = [tagger(**options) for _ in range(2)]
        for model, w in zip(models, (each, of_places), strict=True):
            model.fit(
                TOKENS,
                LABELS,
                sample_weight=w,
                epochs=3,
                batch_size=7,
                validation_data=(TOKENS, LABELS, w),
                verbose=False,
            )
        near(models[0], models[1], rtol=1e-7)
        for column in ("loss", "accuracy", "val_loss", "val_top_2"):
            np.testing.assert_allclose(models[0].history[column], models[1].history[column], rtol=1e-9)


def test_a_sample_weighs_the_mean_of_its_places():
    found = sample_share(3, np.stack([PADDING[:3], PADDING[3:6]]), stack=1)  # of two networks
    np.testing.assert_allclose(found, [6 / PADDING[:3].sum(), 6 / PADDING[3:6].sum()], rtol=1e-12)
    assert sample_share(20, np.full((20, 6), 2.0)) == pytest.approx(1 / 40)


def test_the_mean_is_over_all_places():
    model = tagger()
    model.init((6, 4))
    p = model.predict(TOKENS)
    each = -np.log(np.take_along_axis(p, LABELS[..., None], axis=-1)[..., 0])
    found = model.evaluate(TOKENS, LABELS, sample_weight=PADDING)
    assert found["loss"] == pytest.approx((PADDING * each).sum() / PADDING.sum(), rel=1e-12)
    right = p.argmax(-1) == LABELS
    assert found["accuracy"] == pytest.approx((PADDING * right).sum() / PADDING.sum(), rel=1e-12)
    assert model.evaluate(TOKENS, LABELS)["loss"] == pytest.approx(each.mean(), rel=1e-12)


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_metrics_of_scikit_learn(weighted):
    sk = pytest.importorskip("sklearn.metrics")
    model, weight = trainer(TAGGER, metrics=["f1_score", "roc_auc_score"]), WEIGHTS[weighted]
    model.init((6, 4))
    found, p = model.evaluate(TOKENS, LABELS, sample_weight=weight), model.predict(TOKENS).reshape(-1, 3)
    w = None if weight is None else np.broadcast_to(weight.reshape(20, -1), (20, 6)).ravel()
    y = LABELS.ravel()
    assert found["f1_score"] == pytest.approx(sk.f1_score(y, p.argmax(1), average="macro", sample_weight=w))
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=w))


def test_weights_of_classes_are_of_places():
    model = trainer(TAGGER, class_weight={0: 3.0, 2: 0.5})
    weight = np.choose(LABELS, [3.0, 1.0, 0.5]) * PADDING
    plain = trainer(TAGGER)
    for each, w in ((model, PADDING), (plain, weight)):
        each.fit(TOKENS, LABELS, sample_weight=w, epochs=2, batch_size=8, verbose=False)
    same(model, plain)
    balanced = trainer(TAGGER, class_weight="balanced")
    counts = np.bincount(LABELS.ravel())
    by_hand = trainer(TAGGER)
    for each, w in ((balanced, PADDING[:, 0]), (by_hand, PADDING[:, :1] * (120 / (3 * counts))[LABELS])):
        each.fit(TOKENS, LABELS, sample_weight=w, epochs=2, batch_size=8, verbose=False)
    same(balanced, by_hand)


def test_shares_of_classes_for_each_place():
    shares = RNG.dirichlet([1.0] * 3, (20, 6))
    onehot = np.eye(3)[LABELS]
    models = [tagger() for _ in range(2)]
    for model, y in zip(models, (LABELS, onehot), strict=True):
        model.fit(TOKENS, y, epochs=2, batch_size=8, verbose=False)
    near(*models)
    shares[3, 4] /= 2
    with pytest.raises(DataError, match=r"rows of shares that sum to 1, got 0.5 at row 3, place \(4,\)"):
        models[0].fit(TOKENS, shares, verbose=False)


@pytest.mark.parametrize("weighted", ["none", "places"])
def test_a_fleet_is_each_of_its_members(backend, weighted):
    net, weight = [pn.Dense(8), pn.ReLU(), pn.Dropout(0.3), pn.Dense(3)], WEIGHTS[weighted]
    options = {
        "optimizer": pn.Adam(lr=0.01),
        "metrics": ["accuracy"],
        "backend": backend,
        "dtype": "float64",
        "l2": 0.01,
    }
    found = pn.Fleet(net, 3, **options)
    held = (TOKENS, LABELS) if weight is None else (TOKENS, LABELS, weight)
    found.fit(TOKENS, LABELS, epochs=3, batch_size=7, sample_weight=weight, validation_data=held)
    for i, member in enumerate(found):
        alone = trainer(net, seed=i, **options)
        history = alone.fit(
            TOKENS, LABELS, epochs=3, batch_size=7, sample_weight=weight, validation_data=held, verbose=False
        )
        near(member, alone, rtol=1e-8)
        for column in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(member.history[column], history[column], rtol=1e-9)
    assert found.predict(TOKENS).shape == (3, 20, 6, 3)


@pytest.mark.parametrize("make", [tagger, coder])
def test_saved_and_loaded(backend, make, tmp_path):
    x, y = (TOKENS, LABELS) if make is tagger else (IMAGES, IMAGES)
    model = make(backend=backend, classes=["a", "b", "c"] if make is tagger else ())
    model.fit(x, y, epochs=1, batch_size=8, verbose=False)
    model.save(tmp_path / "net")
    found = pn.load(tmp_path / "net")
    same(found, model)
    assert (found.outputs, found.places, found.classes) == (model.outputs, x.shape[1:-1], model.classes)
    np.testing.assert_allclose(found.predict(x), model.predict(x), rtol=1e-12)
    assert found.evaluate(x, y) == pytest.approx(model.evaluate(x, y), rel=1e-12)


def test_resumed_within_an_epoch(tmp_path):
    class Stop(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if trainer.epoch == 1 and batch == 2:
                trainer.stop("now")

    whole, first, second = tagger(), tagger(), tagger()
    options = {"sample_weight": PADDING, "batch_size": 6, "verbose": False}
    whole.fit(TOKENS, LABELS, epochs=3, **options)
    file = pn.TrainingCheckpoint(tmp_path / "training")
    first.fit(TOKENS, LABELS, epochs=3, callbacks=[file, Stop()], **options)
    left = second.resume(tmp_path / "training")
    second.fit(TOKENS, LABELS, epochs=left, callbacks=[pn.TrainingCheckpoint(tmp_path / "training")], **options)
    same(second, whole)
    assert second.history["loss"] == whole.history["loss"]


def test_a_part_is_held_out_whatever_the_targets():
    model = tagger()
    history = model.fit(TOKENS, LABELS, sample_weight=PADDING, validation_fraction=0.25, epochs=1, verbose=False)
    rows = prepare.split(LABELS, 0.25, 0, stratify=False)
    again = tagger()
    pair = [(TOKENS[r], LABELS[r], PADDING[r]) for r in rows]
    expected = again.fit(*pair[0][:2], sample_weight=pair[0][2], validation_data=pair[1], epochs=1, verbose=False)
    same(model, again)
    assert history[0]["val_loss"] == expected[0]["val_loss"]


@pytest.mark.parametrize("brings_targets", [True, False])
def test_read_from_disk(brings_targets):
    class Rows:
        blocks = 20  # one block: the order of the rows is that of data in memory

        def __len__(self):
            return 20

        def read(self, start, stop):
            return TOKENS[start:stop], LABELS[start:stop]

    models = [tagger(), tagger()]
    weight = PADDING if brings_targets else None
    models[0].fit(TOKENS, LABELS, sample_weight=weight, epochs=2, batch_size=8, shuffle=False, verbose=False)
    models[1].fit(Rows(), sample_weight=weight, epochs=2, batch_size=8, shuffle=False, verbose=False)
    same(*models)
    assert models[0].history["loss"] == models[1].history["loss"]


MISTAKES = [
    ({"y": LABELS[:, 0]}, ShapeError, r"y: expected targets of shape \(20, 6\) or \(20, 6, 3\), .*add Flatten\(\)"),
    ({"y": LABELS[:, :5]}, ShapeError, r"got shape \(20, 5\)"),
    ({"y": np.zeros((20, 6, 2))}, ShapeError, r"got shape \(20, 6, 2\)"),
    ({"y": LABELS + (np.arange(120).reshape(20, 6) == 50) * 7}, DataError, r"got \d+ at row 8, place \(2,\)"),
    ({"y": LABELS + 0.5}, DataError, r"got \d.5 at row 0, place \(0,\)"),
    (
        {"sample_weight": np.ones((20, 5))},
        ShapeError,
        r"shape \(20, 5\).*or one a place, in an array of shape \(20, 6\)",
    ),
    ({"sample_weight": np.ones((20, 6, 3))}, ShapeError, r"got an array of shape \(20, 6, 3\)"),
    ({"sample_weight": np.where(np.arange(120).reshape(20, 6) == 50, -1, 1)}, DataError, r"got -1 at row 8;"),
    ({"sample_weight": np.zeros((20, 6))}, DataError, "expected a weight above 0"),
]


@pytest.mark.parametrize(("change", "kind", "said"), MISTAKES)
def test_mistakes(change, kind, said):
    arguments = {"y": LABELS, "epochs": 1, "verbose": False, **change}
    model = tagger()
    with pytest.raises(kind, match=said):
        model.fit(TOKENS, **arguments)
    assert len(model.history) == 0


def test_weights_of_places_need_places():
    model = trainer()
    with pytest.raises(ShapeError, match=r"sample_weight: expected a weight for each of the 20 samples.*\(20,\)$"):
        model.fit(TOKENS[:, 0], LABELS[:, 0], sample_weight=PADDING, verbose=False)


def exported():
    """Return networks with outputs at places, and samples for them."""
    model = trainer([pn.Embedding(5, 4), *TAGGER], dtype="float32", classes=["a", "b", "c"])
    x = RNG.integers(0, 5, (20, 6)).astype("float32")
    model.fit(x, LABELS, epochs=1, verbose=False)
    pictures = coder("binary_cross_entropy", dtype="float32")
    pictures.fit(IMAGES, IMAGES, epochs=1, verbose=False)
    return [(model, x), (pictures, IMAGES.astype("float32"))]


def test_onnx():
    pytest.importorskip("onnx", reason="ONNX files are written by the package onnx: pip install onnx onnxruntime")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime: pip install onnxruntime")
    for model, x in exported():
        session = runtime.InferenceSession(onnx_model(model).SerializeToString())
        expected = model.predict(x)
        assert session.get_outputs()[0].shape == ["batch", *expected.shape[1:]]
        np.testing.assert_allclose(session.run(None, {"input": x})[0], expected, rtol=1e-4, atol=1e-6)


def test_torch_module():
    torch = pytest.importorskip("torch")
    (model, x), (pictures, images) = exported()
    found = torch_module(model)(torch.tensor(x).to(torch.int64)).detach().numpy()
    np.testing.assert_allclose(found, model.predict(x, raw=True), rtol=1e-4, atol=1e-6)
    found = torch_module(pictures)(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
    np.testing.assert_allclose(found, pictures.predict(images, raw=True), rtol=1e-4, atol=1e-6)
    again = coder("binary_cross_entropy", dtype="float32", seed=5)
    again.init((5, 4, 2))
    load_state_dict(again, state_dict(pictures))
    np.testing.assert_array_equal(again.predict(images), pictures.predict(images))
    pixels = trainer([pn.Conv2D(3, kernel=1), pn.Dense(2)])
    pixels.init((5, 4, 2))
    with pytest.raises(
        pn.ConfigError, match=r"\[Dense 1\] it cannot be exported to torch: .*Conv2D\(units, kernel=1\)"
    ):
        state_dict(pixels)


def test_numpy_script(tmp_path):
    for model, x in exported():
        to_numpy_script(model, tmp_path / "net.py")
        np.save(tmp_path / "x.npy", x)
        words = [sys.executable, str(tmp_path / "net.py"), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        expected = model.predict(x)
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-6)
        printed = np.asarray([[float(v) for v in line.split(",")] for line in done.stdout.splitlines()])
        np.testing.assert_allclose(printed, expected.reshape(len(x), -1), rtol=1e-4, atol=1e-6)


def test_no_line_of_a_table(tmp_path, capsys):
    model = tagger()
    model.init((6, 4))
    model.save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "data.npz", x=TOKENS, y=LABELS[:, 0])
    words = ["predict", str(tmp_path / "net.safetensors"), str(tmp_path / "data.npz")]
    assert run(words) == 2
    assert "got outputs of shape (6, 3); use portanet.load" in " ".join(capsys.readouterr().err.split())
