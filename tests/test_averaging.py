"""The moving average of the weights: by hand, put in place at the end, and over a resume."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.callbacks import AverageWeights
from tests.small import blobs, same, trainer

X, Y = blobs()


class Noted(pn.Callback):
    def on_fit_begin(self, trainer, end):
        self.steps = []

    def on_batch_end(self, trainer, batch, batches):
        self.steps.append(trainer.snapshot()["params"])


def test_it_is_the_average_by_hand():
    noted = Noted()
    model = trainer([pn.Dense(4), pn.Tanh(), pn.Dense(3)])
    model.fit(X, Y, epochs=2, batch_size=8, callbacks=[AverageWeights(0.7), noted], verbose=False)
    expected = noted.steps[0]
    for step in noted.steps[1:]:
        expected = {name: 0.7 * a + 0.3 * step[name] for name, a in expected.items()}
    for name, a in model.snapshot()["params"].items():
        np.testing.assert_allclose(a, expected[name], rtol=1e-12)
        assert not np.allclose(a, noted.steps[-1][name], rtol=1e-6)


def test_it_continues_after_a_resume(tmp_path):
    def fit(epochs, *hooks, resume=None):
        model = trainer([pn.Dense(4), pn.Tanh(), pn.Dense(3)])
        if resume:
            model.resume(resume)
        model.fit(X, Y, epochs=epochs, batch_size=8, callbacks=[AverageWeights(0.9), *hooks], verbose=False)
        return model

    whole = fit(4)
    fit(2, pn.TrainingCheckpoint(tmp_path / "half"))
    same(whole, fit(2, resume=tmp_path / "half"))


@pytest.mark.parametrize("decay", [1.0, -0.1, "a", None, True])
def test_decays_that_are_refused(decay):
    with pytest.raises(pn.ConfigError, match=r"AverageWeights: decay must be a number from 0 to 1 \(1 excluded\)"):
        AverageWeights(decay)
