"""Networks, trainers and data sets in words and tables."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ShapeError
from portanet.inspection.text import brief, bytes_in_words
from portanet.layers import tree
from portanet.random import generator
from portanet.training.model import Model
from tests.small import blobs, trainer

NET = pn.Sequential(
    [pn.Conv2D(8), pn.ReLU(), pn.MaxPool2D(), pn.Flatten(), pn.Residual([pn.Dense(32), pn.Tanh()]), pn.Dense(10)]
)

SAID = """\
#      layer       output  parameters  memory per sample
-----  ----------  ------  ----------  -----------------
       input       6×6×1
0      Conv2D 8    4×4×8           80              944 B
1      ReLU        4×4×8            0              512 B
2      MaxPool2D   2×2×8            0            1.15 kB
3      Flatten     32               0              128 B
4      Residual    32           1,056              128 B
  4.0    Dense 32  32           1,056              128 B
  4.1    Tanh      32               0              128 B
5      Dense 10    10             330               40 B
1,466 parameters, 5.86 kB"""


def test_a_summary_is_a_table():
    assert str(NET.summary((6, 6, 1))) == SAID
    assert repr(NET.summary((6, 6, 1))) == SAID
    assert str(pn.Sequential([pn.Dense(2)]).summary(3)) == str(pn.Sequential([pn.Dense(2)]).summary((3,)))


def test_the_numbers_are_those_of_the_arrays():
    found = NET.summary((6, 6, 1))
    params, out_shape = NET.init(generator(0), (6, 6, 1))
    assert found.parameters == sum(p.size for p in params.values())
    assert found.rows[-1].output_shape == out_shape
    for row in found.rows:
        assert row.parameters == sum(p.size for name, p in params.items() if name.startswith(f"{row.path}."))
    scratch = dict(tree.scratches(NET, (6, 6, 1)))
    assert sum(row.numbers for row in found.rows) == sum(scratch.values()) + sum(
        int(np.prod(shape)) for shape in tree.output_shapes(NET, (6, 6, 1))
    )


def test_a_notebook_shows_the_same_cells():
    page = NET.summary((6, 6, 1))._repr_html_()
    assert page.count("<tr>") == 1 + 1 + len(NET.summary((6, 6, 1)).rows)
    for cell in ("Conv2D 8", "4×4×8", "944 B", "  4.0", "1,466 parameters, 5.86 kB"):
        assert cell in page


def test_samples_that_the_network_cannot_take_are_refused():
    with pytest.raises(ShapeError, match=r"\[Conv2D 0\] "):
        NET.summary((6,))


def test_a_trainer_says_what_a_step_takes():
    model = trainer([pn.Dense(8), pn.ReLU(), pn.Dense(3)], optimizer="adam")
    with pytest.raises(pn.ConfigError, match="summary: this network has no weights yet"):
        model.summary()
    model.init((5,))
    # 75 parameters of 8 bytes; a step on 4 samples: gradients, and each sample's numbers, outputs twice.
    lines = str(model.summary(4)).splitlines()
    assert lines[-4] == "75 parameters, 600 B"
    assert lines[-3].startswith("SoftmaxCrossEntropy, Adam(lr=0.001), ")
    assert lines[-3].endswith("float64 on numpy")
    assert lines[-2] == "state of the optimizer: 1.2 kB"
    assert lines[-1] == f"a training step on 4 samples takes about {bytes_in_words(600 + 4 * 8 * (5 + 2 * 19))} more"


def test_a_model_that_does_not_train_is_described_too():
    trained = trainer()
    trained.init((5,))
    model = Model(trained.program, trained.backend)
    model.adopt(trained.params, trained.buffers, (5,), (3,))
    assert repr(model) == repr(trained).replace("Trainer", "Model")
    assert str(model.summary()) == str(trained.summary())


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1555555, "1.56 MB"), (10**9, "1 GB"), (10**16, "1e+04 TB")],
)
def test_bytes(size, said):
    assert bytes_in_words(size) == said


def test_an_optimizer_shows_what_is_not_at_its_default():
    assert brief(pn.SGD(lr=0.01)) == "SGD(lr=0.01)"
    assert brief(pn.Adam(beta2=0.99, clip_norm=1.0)) == "Adam(lr=0.001, clip_norm=1.0, beta2=0.99)"
    assert brief(object()) == "object()"


def test_a_trainer_and_a_data_set_are_one_line():
    x, y = blobs()
    model = trainer(optimizer=pn.SGD(lr=0.5))
    assert repr(model).startswith(
        "<Trainer: Dense 8, Tanh, Dense 3; no weights yet; SoftmaxCrossEntropy; SGD(lr=0.5); "
    )
    model.fit(x, y, epochs=2, verbose=False)
    assert repr(model).endswith("float64 on numpy; epoch 2>")
    assert "; 75 parameters; " in repr(model)
    assert repr(pn.data.load("digits")) == (
        "<Dataset digits: x (1438, 8, 8) uint8, y (1438,) int64, x_test (359, 8, 8) uint8, 10 classes>"
    )
    assert repr(pn.data.Dataset("own", x, x[:, 0])) == (
        "<Dataset own: x (120, 5) float64, y (120,) float64, regression>"
    )
