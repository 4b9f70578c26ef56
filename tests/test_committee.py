"""A committee: its networks are trained each on its own error, and it answers with their mean."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.engine.step import Step
from portanet.errors import ConfigError, ShapeError
from portanet.export import to_numpy_script


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_each_network_is_trained_as_it_would_be_alone(weighted, classes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    y = rng.integers(0, 2, 20) if classes else rng.normal(size=(20, 2))
    weight = rng.random(20) if weighted else None
    loss = pn.SoftmaxCrossEntropy() if classes else pn.MeanSquaredError()
    member = pn.Sequential([pn.Dense(5), pn.Tanh(), pn.Dense(2)])
    settings = {"dtype": "float64", "donate": False}
    step = Step(pn.Sequential([pn.Committee([member] * 3)]), loss, pn.Adam(lr=0.01), **settings)
    alone = Step(member, loss, pn.Adam(lr=0.01), **settings)
    params, buffers, state = step.init((3,))
    own = [{name[4:]: p for name, p in params.items() if name.startswith(f"0.{i}.")} for i in range(3)]
    states = [alone.optimizer.init(p) for p in own]
    for i in range(30):
        counters = {"lr": 0.01, "seed": 0, "step": i}
        params, buffers, state, value, _ = step(params, buffers, state, x, y, weight, counters)
        values = []
        for k in range(3):
            own[k], _, states[k], one, _ = alone(own[k], {}, states[k], x, y, weight, counters)
            values.append(float(one))
        assert float(value) == pytest.approx(np.mean(values), rel=1e-5)
    for k in range(3):
        for name, p in own[k].items():
            np.testing.assert_allclose(params[f"0.{k}.{name}"], p, rtol=0, atol=1e-5)  # Adam's epsilon weighs thrice
    answer, _ = step.net.forward(params, x)
    np.testing.assert_allclose(answer, np.mean([member.forward(p, x)[0] for p in own], axis=0), atol=1e-4)


def test_a_trainer_takes_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = pn.Sequential([pn.Committee([pn.Sequential([pn.Dense(16), pn.Tanh(), pn.Dense(2)])] * 4)])
    trainer = pn.Trainer(net, loss="softmax_cross_entropy", optimizer=pn.Adam(lr=0.02), metrics=["accuracy"], seed=0)
    history = trainer.fit(x, y, epochs=60, batch_size=32, validation_data=(x, y), verbose=False)
    assert trainer.evaluate(x, y)["accuracy"] > 0.9
    assert history[-1]["val_accuracy"] > 0.9
    assert trainer.predict(x).shape == (120, 2)


def test_what_it_refuses(tmp_path):
    with pytest.raises(ShapeError, match="expected networks with outputs of one shape"):
        pn.Committee([pn.Dense(2), pn.Dense(3)]).init(np.random.default_rng(0), (4,))
    trainer = pn.Trainer(pn.Sequential([pn.Committee([pn.Dense(2)], apart=True)]), loss="mean_squared_error")
    trainer.init((4,))
    with pytest.raises(ConfigError, match="answer apart"):
        to_numpy_script(trainer, tmp_path / "net.py")
