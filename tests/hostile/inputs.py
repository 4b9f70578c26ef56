"""What is given to a trainer as samples, targets, weights and arguments, and words of what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np

import portanet as pn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype("float32")
Y = np.arange(30) % 3
WORKS = ""


class Sparse:
    """Stands for SciPy's matrices, which NumPy makes an array of one object of."""

    def toarray(self):
        return X


READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False

SAMPLES: dict[str, tuple[Any, Any]] = {
    "a list": (X.tolist(), WORKS),
    "float16": (X.astype("f2"), WORKS),
    "byte-swapped": (X.astype(">f4"), WORKS),
    "column by column": (np.asfortranarray(X), WORKS),
    "strided": (np.repeat(X, 2, axis=1)[:, ::2], WORKS),
    "read-only": (READ_ONLY, WORKS),
    "nothing masked": (np.ma.masked_array(X), WORKS),
    "bool": (X > 0, WORKS),
    "constant": (np.ones_like(X), WORKS),
    "long double": (X.astype("g"), WORKS),
    "masked": (np.ma.masked_array(X, X > 1), "masked entries; fill them"),
    "objects": (X.astype(object), "an array of objects, the first a float; convert it first"),
    "objects of a kind each": (
        np.array([[1, "a", None, 2.0]] * 30, dtype=object),
        "an array of objects, among them 'a'",
    ),
    "complex": (X * 1j, "complex numbers (complex64); take their real parts"),
    "text": (X.astype(str), "read it as numbers first, x.astype('float32') say"),
    "bytes": (X.astype("S"), "got an array of |S"),
    "dates": (X.astype("M8[s]"), "got an array of datetime64[s]"),
    "records": (np.zeros(30, [("a", "f4")]), "expected real numbers"),
    "no samples": (X[:0], "at least one sample, got an array of shape (0, 4); look where its rows were chosen"),
    "no features": (X[:, :0], "one feature, got an array of shape (30, 0); look where its columns were chosen"),
    "one axis": (X[:, 0], "expected rows of samples"),
    "three axes": (X[:, :, None], {"fit": "(30, 4, 3), as the network has outputs", "": "samples of shape (4,"}),
    "a number": (3, "expected rows of samples"),
    "None": (None, "got None; give an array"),
    "a word": ("digits", "got the text 'digits'; load it first: portanet.data.load('digits')"),
    "1e300": (np.full(X.shape, 1e300), "expected finite numbers in float32, got 1e+300 at index (0, 0)"),
    "NaN": (np.where(X > 1, np.nan, X), "got nan at index"),
    "infinity": (np.where(X > 1, np.inf, X), "got inf at index"),
    "sparse": (Sparse(), "got a sparse Sparse; make it dense first: x.toarray()"),
    "ragged": ([[1, 2], [3]], "got a ragged list; make all rows of one length"),
    "a generator": ((row for row in X), "got generator"),
    "a dict": ({"a": X}, "got dict"),
    "numbers of 30 digits": ([[10**30] * 4] * 30, "an array of objects"),
}

TARGETS = {
    "a list": (Y.tolist(), WORKS),
    "whole floats": (Y.astype(float), WORKS),
    "bool": (Y > 0, WORKS),
    "one class": (Y * 0, WORKS),
    "a class missing": (Y % 2, WORKS),
    "one-hot": (np.eye(3)[Y], WORKS),
    "byte-swapped": (Y.astype(">i4"), WORKS),
    "uint8": (Y.astype("u1"), WORKS),
    "halves": (Y + 0.5, "got 0.5 at row 0; for a regression"),
    "negative": (Y - 1, "got -1 at row 0; number the classes from 0"),
    "beyond the classes": (Y + 1, "got 3 at row 2; number the classes from 0"),
    "text": (Y.astype(str), "got text such as '0'"),
    "too few": (Y[:5], "one target for each of the"),
    "a column": (Y[:, None], "y.reshape(-1) makes class indices of a column"),
    "objects": (Y.astype(object), "an array of objects, the first a int"),
    "NaN": (np.where(Y > 1, np.nan, Y), "got nan at row 2"),
    "complex": (Y * 1j, "complex numbers"),
    "None": (None, "expected targets, got None"),
    "2^63": (Y.astype("u8") + np.uint64(2**63), "got 9223372036854775810 at row 2"),
    "1e38": (Y * 1e38, "got 2e+38 at row 2"),
    "a number": (1, "one target for each of the"),
    "masked": (np.ma.masked_array(Y, Y > 1), "masked entries"),
    "rows that do not sum to 1": (np.full((30, 3), 0.7), "rows of shares that sum to 1, got 2.1 at row 0"),
    "negative rows": (-np.eye(3)[Y], "expects targets from 0 to 1, got -1 to 0; fix them, or use a loss"),
    "sparse": (Sparse(), "make it dense first"),
}

WEIGHTS = {
    "ones": (np.ones(30), WORKS),
    "a list": ([1] * 30, WORKS),
    "negative": (-np.ones(30), "expected weights of 0 or more, got -1 at row 0; give 0 to a sample"),
    "nothing": (np.zeros(30), "at least one sample, got 0 for all 30; give the samples that are to count 1"),
    "1e38": (np.full(30, 1e38), "expected weights whose sum float32 can hold"),
    "NaN": (np.full(30, np.nan), "expected finite numbers in float32, got nan at index (0,)"),
    "too few": (np.ones(29), "got an array of shape (29,); give one number a sample"),
    "rows": (np.ones((30, 3)), "got an array of shape (30, 3); give one number a sample, in an array of shape (30,)"),
    "text": (["1"] * 30, "got text such as '1'"),
}


def trainer(**options):
    options = {"backend": "numpy", **options}
    return pn.Trainer([pn.Dense(5), pn.ReLU(), pn.Dense(3)], **options)


def begun():
    model = trainer()
    model.init((4,))
    return model


def fit(x=X, y=Y, **options):
    return trainer().fit(x, y, **{"epochs": 1, "verbose": False, **options})


ARGUMENTS = {
    "lr NaN": (lambda: pn.SGD(lr=float("nan")), "SGD: lr must be a finite number of 0 or more, got nan"),
    "lr negative": (lambda: pn.Adam(lr=-1), "Adam: lr must be a finite number of 0 or more, got -1"),
    "lr as text": (lambda: pn.Adam(lr="0.1"), "Adam: lr must be a finite number of 0 or more, got '0.1'"),
    "decay of infinity": (lambda: pn.AdamW(weight_decay=np.inf), "weight_decay must be a finite number"),
    "momentum as text": (
        lambda: pn.SGD(momentum="x"),
        "SGD: momentum must be a number from 0 to 1 (1 excluded), got 'x'",
    ),
    "eps NaN": (lambda: pn.BatchNorm(eps=np.nan), "BatchNorm: eps must be a finite number above 0, got nan"),
    "slope as a list": (lambda: pn.LeakyReLU([1]), "LeakyReLU: slope must be a number from 0 to 1, got [1]"),
    "slope of 1.5": (lambda: pn.LeakyReLU(1.5), "LeakyReLU: slope must be a number from 0 to 1, got 1.5"),
    "eps of 0": (lambda: pn.Adam(eps=0), "Adam: eps must be a finite number above 0, got 0"),
    "eps that float32 takes for 0": (
        lambda: pn.BatchNorm(eps=1e-300),
        "BatchNorm: eps must be a finite number above 0 in float32, got 1e-300",
    ),
    "several at once": (
        lambda: pn.Conv2D(0, stride=-1, padding="smae"),
        "Conv2D: units must be a whole number of 1 or more, got 0; stride must be a whole number of 1 or more, or 2 of "
        "them, got -1; padding must be 'valid' or 'same', or a whole number of 0 or more, or two of them (rows, "
        "columns), or ((top, bottom), (left, right)), got 'smae'",
    ),
    "bias as text": (lambda: pn.Dense(3, bias="no"), "Dense: bias must be True or False, got 'no'"),
    "units of 10^30": (lambda: pn.Dense(10**30), "Dense: units must be a whole number of 1 or more, and at most"),
    "smoothing None": (
        lambda: pn.SoftmaxCrossEntropy(None),
        "label_smoothing must be a number from 0 to 1 (1 excluded), got None",
    ),
    "a shape of 0": (
        lambda: pn.Reshape((0, 2)),
        "Reshape: shape must be one or more entries, each a whole number of 1 or more",
    ),
    "layers that are a number": (
        lambda: pn.Sequential(5),
        "Sequential: layers must be a list of at least one layer, as in [Dense(10)], got 5",
    ),
    "l1 NaN": (lambda: trainer(l1=np.nan), "Trainer: l1 must be a finite number of 0 or more, got nan"),
    "a negative seed": (lambda: trainer(seed=-1), "seed: expected a whole number of 0 or more, got -1"),
    "a seed of fractions": (lambda: trainer(seed=1.5), "seed: expected a whole number of 0 or more, got 1.5"),
    "an unknown dtype": (lambda: trainer(dtype="float16"), "dtype must be 'float32' or 'float64', got 'float16'"),
    "a loss in a list": (lambda: trainer(loss=["huber"]), "unknown loss"),
    "an optimizer in a list": (lambda: trainer(optimizer=["sgd"]), "unknown optimizer"),
    "negative epochs": (lambda: fit(epochs=-1), "fit: epochs must be a whole number of 0 or more, got -1"),
    "epochs of fractions": (lambda: fit(epochs=1.5), "fit: epochs must be a whole number of 0 or more, got 1.5"),
    "batches of 0": (lambda: fit(batch_size=0), "fit: batch_size must be a whole number of 1 or more, got 0"),
    "a fraction of 1": (lambda: fit(validation_fraction=1.0), "expected a number above 0 and below 1, got 1.0"),
    "a fraction NaN": (lambda: fit(validation_fraction=np.nan), "expected a number above 0 and below 1, got nan"),
    "a batch size in words": (
        lambda: fit(batch_size="all"),
        "fit: batch_size must be a whole number of 1 or more, 'auto', or None, got 'all'",
    ),
    "no policy for divergence": (lambda: fit(on_divergence="skip"), "unknown on_divergence 'skip'"),
    "callbacks that are none": (lambda: fit(callbacks=[print]), "fit: callbacks must be a list of Callback, got"),
    "a callback alone": (
        lambda: fit(callbacks=pn.EarlyStopping("loss")),
        "fit: callbacks must be a list of Callback, got a single EarlyStopping; put it into a list",
    ),
    "validation data alone": (
        lambda: fit(validation_data=X),
        "fit: validation_data must be (x, y) or (x, y, sample_weight)",
    ),
    "an order that is too short": (
        lambda: fit(shuffle=lambda n: np.arange(n - 1), batch_size=5),
        "fit: shuffle must give each of the 30 rows once, got an array of shape (29,)",
    ),
    "metrics as a word": (lambda: trainer(metrics="accuracy"), "Trainer: metrics must be a list, got 'accuracy'"),
    "metrics as a function": (lambda: trainer(metrics=max), "Trainer: metrics must be a list, got max; write [max]"),
    "a class instead of a layer": (
        lambda: pn.Trainer([pn.ReLU], backend="numpy"),  # type: ignore[list-item]
        "make one of it: ReLU(...)",
    ),
    "no layers": (
        lambda: pn.Trainer([], backend="numpy"),
        "Sequential: layers must be a list of at least one layer, as in [Dense(10)], got ()",
    ),
    "patience NaN": (
        lambda: pn.EarlyStopping(patience=np.nan),
        "EarlyStopping: patience must be a whole number of 1 or more, got nan",
    ),
    "min_delta as text": (
        lambda: pn.EarlyStopping(min_delta="x"),
        "EarlyStopping: min_delta must be a finite number of 0 or more, got 'x'",
    ),
    "a time limit NaN": (lambda: pn.TimeLimit(np.nan), "TimeLimit: seconds must be a finite number of 0 or more"),
    "a path that is none": (lambda: pn.Checkpoint(3), "Checkpoint: path must be the path of a file, got 3"),
    "a factor of 2": (lambda: pn.LowerRate(2.0), "LowerRate: factor must be above 0 and below 1, got 2.0"),
    "k of 0": (lambda: pn.metrics.TopK(0), "TopK: k must be a whole number of 1 or more, got 0"),
    "a class weight NaN": (
        lambda: trainer(class_weight={0: np.nan}).fit(X, Y, verbose=False),
        "class_weight: expected finite weights of 0 or more, got [nan, 1.0, 1.0]",
    ),
    "weights of too few classes": (
        lambda: trainer(class_weight=[1, 2]).fit(X, Y, verbose=False),
        "class_weight: expected a weight for each of the 3 classes, got [1, 2]",
    ),
    "to evaluate before it is trained": (lambda: trainer().evaluate(X, Y), "this network has no weights yet"),
    "activations in a list": (
        lambda: pn.Sequential.from_config([{"output_dim": 3, "activation": ["relu"]}]),
        "unknown activation",
    ),
}
