"""A last batch that is too small for BatchNorm: found before the first step, avoided by "auto", or joined."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.random import epoch_word, generator
from portanet.training.fit_inputs import in_batches
from portanet.training.loop import TOGETHER
from tests.backends.at_hand import require
from tests.small import Recorder, blobs, same, trainer

NORM = [pn.Dense(6, bias=False), pn.BatchNorm(), pn.Tanh(), pn.Dense(3)]


class OnDisk:
    """Rows that come by blocks of 7, as those of a file do."""

    blocks = 7

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def read(self, start, stop):
        return self.x[start:stop], self.y[start:stop]


def by_hand(n, batch_size, epochs, *, weight=None, shuffle=True, net=NORM):
    """Return params and buffers after steps on these batches, the last joined to the one before it."""
    x, y = blobs(n)
    model = trainer(net, schedule="cosine")
    model.init((5,))
    params, buffers, state = model.params, model.buffers, model.opt_state
    starts = [*range(0, n - 1, batch_size), n]
    assert starts[-1] - starts[-2] == batch_size + 1
    steps = len(starts) - 1
    for epoch in range(epochs):
        order = generator(0, "shuffle", epoch).permutation(n) if shuffle else np.arange(n)
        for i, (start, stop) in enumerate(itertools.pairwise(starts)):
            rows = order[start:stop]
            lr = 0.1 * pn.Cosine().factor(epoch + (i + 0.5) / steps, epochs)
            counters = {"lr": lr, "seed": epoch_word(0, epoch), "step": i}
            w = None if weight is None else weight[rows]
            params, buffers, state, *_ = model.step(params, buffers, state, x[rows], y[rows], w, counters)
    return {**params, **buffers}


def arrays(model):
    return {**model.snapshot()["params"], **model.snapshot()["buffers"]}


@pytest.mark.parametrize(
    ("n", "batch_size", "fix"),
    [
        (121, 20, "use batch_size=19, or join_last=True"),
        (5, 1, "use batch_size=3"),
        (4, 1, "use batch_size=2"),
        (3, 2, "use batch_size=3, or join_last=True"),
        (1, None, "give more samples, or use LayerNorm"),
        (1, 20, "give more samples, or use LayerNorm"),
    ],
)
def test_found_before_the_first_step(n, batch_size, fix):
    recorder, model = Recorder(), trainer(NORM)
    model.init((5,))
    before = arrays(model)
    with pytest.raises(ConfigError, match=f"needs 2 samples or more to train BatchNorm.*{fix}"):
        model.fit(*blobs(n), epochs=2, batch_size=batch_size, callbacks=[recorder], verbose=False)
    assert recorder.calls == []
    assert (model.epoch, model.position, len(model.history), model.callbacks) == (0, 0, 0, ())
    for name, array in before.items():
        np.testing.assert_array_equal(arrays(model)[name], array)
    if "batch_size=" in fix:  # what it says is right
        size = int(fix.partition("batch_size=")[2].partition(",")[0])
        model.fit(*blobs(n), epochs=1, batch_size=size, verbose=False)
        assert model.epoch == 1


@pytest.mark.parametrize("n", [2, 3, 17, 33, 65, 129, 257, 1025, 1153, 2049])
@pytest.mark.parametrize("free", [None, 1])
def test_auto_leaves_no_single_sample(n, free, monkeypatch):
    if free is not None:  # as if memory sufficed for one sample alone
        monkeypatch.setattr("portanet.training.batch_size.auto_batch_size", lambda trainer, n: 1)
    x, y = blobs(n)
    model = trainer(NORM)
    train, _ = in_batches(model, x, y, batch_size="auto")
    rest = n % train.batch_size or train.batch_size
    assert min(rest, n) >= 2
    assert train.batch_size <= max(3, n // 64, 16)
    model.fit(x, y, epochs=1, batch_size="auto", verbose=False)
    plain, _ = in_batches(trainer(), x, y, batch_size="auto")
    assert plain.batch_size == (1 if free else min(max(16, 1 << (max(n // 64, 1).bit_length() - 1)), 256, n))


@pytest.mark.parametrize(("shuffle", "weighted"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("streamed", [False, True])
def test_joined_is_what_these_batches_give_by_hand(shuffle, weighted, streamed, caplog):
    n, batch_size = 41, 8
    x, y = blobs(n)
    weight = np.random.default_rng(0).uniform(0.5, 2, n) if weighted else None
    caplog.set_level(logging.WARNING, "portanet")
    options = {"epochs": 3, "batch_size": batch_size, "shuffle": shuffle, "sample_weight": weight, "verbose": False}
    model, recorder = trainer(NORM, schedule="cosine"), Recorder()
    model.fit(x, y, join_last=True, callbacks=[recorder], **options)
    assert "the last 1 of 41 samples join the batch of 8 before them" in caplog.text
    assert [call[1:] for call in recorder.calls if call[0] == "batch"] == 3 * [(i, 5) for i in range(1, 6)]
    expected = by_hand(n, batch_size, 3, weight=weight, shuffle=shuffle)
    if streamed:  # blocks of 7 rows; their own order is drawn by blocks
        model = trainer(NORM, schedule="cosine")
        model.fit(OnDisk(x, y), join_last=True, **{**options, "shuffle": False})
        expected = by_hand(n, batch_size, 3, weight=weight, shuffle=False)
    for name, array in arrays(model).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_streamed_and_shuffled_it_sees_each_row_once():
    x, y = blobs(41)

    class Sizes(pn.Callback):
        def on_epoch_end(self, trainer, row):
            self.sizes = trainer.meter.sizes

    sizes, model = Sizes(), trainer(NORM)
    model.fit(OnDisk(x, y), epochs=2, batch_size=8, join_last=True, callbacks=[sizes], verbose=False)
    assert sizes.sizes == [8, 8, 8, 8, 9]


@pytest.mark.parametrize("batches", [TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER])
@pytest.mark.parametrize("watched", [False, True])
def test_joined_where_several_steps_are_one_call(batches, watched):
    """JAX scans whole batches: the one that is larger is a step of its own."""
    n = 3 * batches + 1
    model = trainer(NORM, backend=require("jax"), schedule="cosine")
    assert model.engine.scans
    hooks = [Recorder()] if watched else []
    model.fit(*blobs(n), epochs=2, batch_size=3, join_last=True, callbacks=hooks, verbose=False)
    for name, array in by_hand(n, 3, 2).items():
        np.testing.assert_allclose(arrays(model)[name], array, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("batch", [2, 4])
def test_stopped_and_resumed_with_a_joined_batch(backend, batch, tmp_path):
    class Stop(pn.Callback):
        def on_batch_end(self, trainer, i, batches):
            if (trainer.epoch, i) == (1, batch):
                trainer.stop("asked")

    options = {"batch_size": 8, "join_last": True, "verbose": False}
    path, data, backend = tmp_path / "a.safetensors", blobs(41), require(backend)
    whole, first, second = (trainer(NORM, backend=backend) for _ in range(3))
    whole.fit(*data, epochs=3, callbacks=[Recorder()], **options)
    first.fit(*data, epochs=3, callbacks=[Stop(), pn.TrainingCheckpoint(path)], **options)
    left = second.resume(path)
    second.fit(*data, epochs=left, callbacks=[Recorder()], **options)
    same(whole, second)


def test_nothing_is_joined_where_nothing_must_be():
    plain = [pn.Dense(6), pn.LayerNorm(), pn.Dense(3)]
    for net, n in ((plain, 41), (NORM, 40), (NORM, 42)):
        models = [trainer(net) for _ in range(2)]
        for model, join in zip(models, (False, True), strict=True):
            model.fit(*blobs(n), epochs=2, batch_size=8, join_last=join, verbose=False)
        same(*models)


def test_one_image_is_enough():
    """A convolution's BatchNorm has the pixels of a single image; after a flattening it has one value a channel."""
    images, y = np.random.default_rng(0).normal(size=(9, 4, 4, 1)), np.arange(9) % 3
    net = [pn.Conv2D(2, 3), pn.BatchNorm(), pn.ReLU(), pn.Flatten(), pn.Dense(3)]
    model = trainer(net)
    assert model.net.least_batch((4, 4, 1)) == 1
    model.fit(images, y, epochs=1, batch_size=8, verbose=False)
    one = trainer(net)
    one.fit(images, y, epochs=1, batch_size=1, verbose=False)
    assert np.isfinite(one.history[-1]["loss"])
    flat = trainer([pn.Conv2D(2, 3), pn.Flatten(), pn.BatchNorm(), pn.Dense(3)])
    with pytest.raises(ConfigError, match="needs 2 samples or more"):
        flat.fit(images, y, epochs=1, batch_size=8, verbose=False)
    pooled = pn.Sequential([pn.MaxPool2D(4), pn.BatchNorm(), pn.Flatten(), pn.Dense(3)])
    assert pooled.least_batch((4, 4, 1)) == 2


@pytest.mark.parametrize(
    ("net", "least"),
    [
        ([pn.Residual([pn.Dense(5), pn.BatchNorm()]), pn.Dense(3)], 2),
        ([pn.Sequential([pn.BatchNorm()]), pn.Dense(3)], 2),
        ([pn.Parallel([pn.BatchNorm(), pn.Dense(2)], [3, 2]), pn.Dense(3)], 2),
        ([pn.Residual([pn.Dense(5), pn.LayerNorm()]), pn.Dense(3)], 1),
    ],
)
def test_found_wherever_it_stands(net, least):
    model = trainer(net)
    if least == 1:
        model.fit(*blobs(41), epochs=1, batch_size=8, verbose=False)
        return
    with pytest.raises(ConfigError, match="needs 2 samples or more"):
        model.fit(*blobs(41), epochs=1, batch_size=8, verbose=False)


def test_tokens_of_one_sample_are_enough():
    x, y = np.random.default_rng(0).normal(size=(9, 4, 5)), np.arange(36).reshape(9, 4) % 3
    model = trainer([pn.Dense(6), pn.BatchNorm(), pn.Dense(3)])
    model.fit(x, y, epochs=1, batch_size=8, verbose=False)
    assert model.epoch == 1


def test_two_fits_to_shared_batches_do_not_share_the_joining():
    """The batches that a fit is given may be another's too: they stay as they are."""
    from portanet.training.fit_inputs import check_least, to_batches

    model = trainer(NORM)
    model.init((5,))
    with model.backend.activate(model.dtype):
        x, y = blobs(41)
        train = to_batches(model, x, y, None, 8)
    joined = check_least(model, train, join=True)
    assert (len(train), len(joined), train.least, joined.least) == (6, 5, 1, 2)
    assert joined.x is train.x


def test_estimators_join_it():
    from portanet.sklearn import MLPClassifier, MLPRegressor

    x, y = blobs(41)
    for kind in (MLPClassifier, MLPRegressor):
        model = kind(
            hidden_layer_sizes=(4,),
            batch_norm=True,
            batch_size=8,
            max_iter=3,
            tol=0,
            n_iter_no_change=9,
            backend="numpy",
        )
        with pytest.warns(Warning, match="hasn't converged"):
            model.fit(x, y)
        assert np.isfinite(model.loss_curve_).all()
        assert model.t_ == 3 * 41


def test_estimators_in_cross_validation_join_it():
    from sklearn.model_selection import cross_val_score

    from portanet.sklearn import MLPClassifier

    x, y = blobs(51)  # folds of 51 / 5: 40 or 41 to train on
    model = MLPClassifier(
        hidden_layer_sizes=(4,), batch_norm=True, batch_size=8, max_iter=200, backend="numpy", random_state=0
    )
    assert np.isfinite(cross_val_score(model, x, y, cv=5, error_score="raise")).all()
