"""What ends or starts a training oddly: interrupts, failing hooks, output layers, splits, arguments that cannot be."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import portanet as pn
from portanet.training.fit_inputs import in_batches
from tests.small import blobs, trainer


@pytest.fixture
def pythons_own_handler():
    """Python's handler of Ctrl-C, which a process started in the background does not have: it ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("pythons_own_handler")
def test_an_interrupt_waits_for_the_step(backend):
    """Ctrl-C in the middle of an epoch: KeyboardInterrupt comes behind a whole step, and the trainer can go on."""
    x, y = blobs(n=40)
    model = trainer([pn.Dense(4), pn.ReLU(), pn.Dense(3)], backend=backend)

    class Press(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if batch == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, batch_size=10, callbacks=[Press()], verbose=False)
    assert model.history.stopped == "interrupted"
    assert (len(model.history), model.epoch, model.position) == (0, 0, 2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert all(np.isfinite(p).all() for p in model.snapshot()["params"].values())
    assert len(model.fit(x, y, epochs=1, batch_size=10, verbose=False)) == 1  # the rest of it


def test_hooks_end_whatever_happens():
    x, y = blobs(n=20)
    ended = []

    class Ends(pn.Callback):
        def on_fit_end(self, trainer):
            ended.append(self)
            raise ValueError

    class Fails(pn.Callback):
        def on_fit_begin(self, trainer, end):
            raise RuntimeError

    model = trainer()
    with pytest.raises(ValueError):  # noqa: PT011  # raised above, behind the other hook's error
        model.fit(x, y, epochs=1, callbacks=[Ends(), Ends(), Fails()], verbose=False)
    assert len(ended) == 2
    assert model.history.stopped == "error"


def test_a_binary_split_gives_each_class_its_share():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 2)), (np.arange(100) >= 90).astype(float)
    model = trainer([pn.Dense(1)], loss="binary_cross_entropy")
    train, validation = in_batches(model, x, y, None, None, 0.2, 10)
    assert float(validation.y.sum()) == 2
    assert float(train.y.sum()) == 8


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        (
            [pn.Dense(3), pn.Softmax(), pn.Softmax()],
            "softmax_cross_entropy",
            "the output of Softmax; leave that layer out",
        ),
        (
            [pn.Dense(3), pn.Softmax(), pn.Flatten()],
            "softmax_cross_entropy",
            "the output of Softmax, with Flatten after it; leave that layer out",
        ),
        (
            [pn.Dense(3), pn.Sequential([pn.Sigmoid(), pn.Dropout(0.1)]), pn.Reshape((3,))],
            "binary_cross_entropy",
            "the output of Sigmoid, with Reshape after it; leave that layer out",
        ),
        ([pn.Dense(3), pn.Softmax()], "binary_cross_entropy", "takes logits and contains the Sigmoid"),
        ([pn.Dense(3), pn.Sigmoid()], "softmax_cross_entropy", "takes logits and contains the Softmax"),
    ],
)
def test_an_output_layer_that_the_loss_does_not_expect_is_told(layers, loss, message):
    with pytest.raises(pn.ConfigError, match=message):
        pn.Trainer(layers, loss, backend="numpy")


def test_a_nested_output_layer_is_found():
    x, y = blobs()
    plain = trainer([pn.Dense(4), pn.Dense(3)]).fit(x, y, epochs=2, verbose=False)
    nested = [pn.Dense(4), pn.Sequential([pn.Dense(3), pn.Softmax()])]
    assert trainer(nested).fit(x, y, epochs=2, verbose=False)["loss"] == plain["loss"]


def test_several_yes_or_no_outputs_are_predicted_each():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = (x > 0).astype(int)
    model = trainer([pn.Dense(2)], loss="binary_cross_entropy", optimizer=pn.SGD(lr=1.0))
    model.fit(x, y, epochs=60, verbose=False)
    assert (model.predict_classes(x) == y).mean() > 0.97
    assert model.predict_classes(x).shape == (60, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callbacks": [pn.EarlyStopping]}, r"make one of it: EarlyStopping\(\.\.\.\)"),
        ({"validation_fraction": 0.5, "validation_data": ([[0.0] * 5], [0])}, "were both given; leave one of them out"),
    ],
)
def test_fit_arguments_that_cannot_be(options, message):
    x, y = blobs(n=20)
    with pytest.raises(pn.ConfigError, match=message):
        trainer().fit(x, y, epochs=1, verbose=False, **options)


@pytest.mark.parametrize(("shape", "warned"), [((3, 8, 8), True), ((8, 8, 3), False)])
def test_images_with_their_channels_first_are_warned_of(caplog, shape, warned):
    pn.Trainer([pn.Conv2D(2, padding="same"), pn.Flatten(), pn.Dense(2)], backend="numpy").init(shape)
    assert ("look like images with their channels first" in caplog.text) == warned


def test_a_schedule_that_learns_is_each_trainers_own():
    plateau = pn.Plateau("loss", patience=1)
    first, second = trainer(schedule=plateau), trainer(schedule=plateau)
    x, y = blobs(n=20)
    first.fit(x, y, epochs=3, verbose=False)
    assert first.schedule is not second.schedule
    assert second.schedule == plateau == pn.Plateau("loss", patience=1)
