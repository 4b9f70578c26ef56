"""Arguments of layers that cannot be: each a ConfigError where it is written, naming layer, argument and what came."""

from __future__ import annotations

import pytest

import portanet as pn
from portanet.random import generator


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pn.Conv2D((3, 4)), "Conv2D: units must be a whole number of 1 or more, got (3, 4)"),
        (lambda: pn.Conv2D(0), "Conv2D: units must be a whole number of 1 or more, got 0"),
        (lambda: pn.Conv2D(4, groups=(1, 1)), "Conv2D: groups must be a whole number of 1 or more"),
        (lambda: pn.Conv2D(4, groups=3), "Conv2D: units must be a multiple of groups, got 4 and 3"),
        (
            lambda: pn.Conv2D(4, kernel=(3, 3, 3)),
            "Conv2D: kernel must be a whole number of 1 or more, or 2 of them, got (3, 3, 3)",
        ),
        (lambda: pn.Conv2D(4, stride=0), "Conv2D: stride must be a whole number of 1 or more"),
        (
            lambda: pn.Conv2D(4, padding=(1, 2, 3)),
            "Conv2D: padding must be 'valid' or 'same', or a whole number of 0 or more, or two of them (rows,",
        ),
        (
            lambda: pn.Conv2D(4, padding=-1),
            "Conv2D: padding must be 'valid' or 'same', or a whole number of 0 or more, or two of them (rows,",
        ),
        (
            lambda: pn.MaxPool2D(padding="smae"),
            "MaxPool2D: padding must be 'valid' or 'same', or a whole number of 0 or more",
        ),
        (lambda: pn.Conv2D(4, weight_init="he_norml"), "unknown initializer 'he_norml'; did you mean 'he_normal'?"),
        (lambda: pn.Conv2D(4, bias="yes"), "Conv2D: bias must be True or False, got 'yes'"),
        (lambda: pn.MaxPool2D(0), "MaxPool2D: kernel must be a whole number of 1 or more"),
        (lambda: pn.AvgPool2D(2, 0), "AvgPool2D: stride must be a whole number of 1 or more"),
        (
            lambda: pn.AvgPool2D(padding=(1, -1)),
            "AvgPool2D: padding must be 'valid' or 'same', or a whole number of 0 or more",
        ),
        (lambda: pn.Embedding(0, 3), "Embedding: categories must be a whole number of 1 or more, got 0"),
        (lambda: pn.BatchNorm(momentum=1.0), "BatchNorm: momentum must be a number from 0 to 1 (1 excluded), got 1.0"),
        (lambda: pn.MaxPool2D((3, 2), padding=2), "MaxPool2D: padding must be below 2, or windows hold"),
        (lambda: pn.Conv2D(4, padding=17), "Conv2D: padding must be below 17, or windows hold"),
        (lambda: pn.Conv2D(4, 20, padding=20), "Conv2D: padding must be below 20, or windows hold"),
        (lambda: pn.Conv2D(4, (1, 5), dilation=(1, 6), padding=25), "Conv2D: padding must be below 25, or windows"),
        (lambda: pn.Augment(shift=-1), "Augment: shift must be a finite number of 0 or more, got -1"),
        (lambda: pn.Augment(rotate=200), "Augment: rotate must be a number from 0 to 180, got 200"),
        (lambda: pn.Augment(shift=float("nan")), "Augment: shift must be a finite number of 0 or more, got nan"),
        (lambda: pn.Augment(rotate=181), "Augment: rotate must be a number from 0 to 180, got 181"),
        (lambda: pn.Augment(shift=float("inf")), "Augment: shift must be a finite number of 0 or more, got inf"),
        (lambda: pn.Augment(flip=1), "Augment: flip must be True or False, got 1"),
        (lambda: pn.Dense(3, in_features=0), "Dense: in_features must be a whole number of 1 or more, or None, got 0"),
        (
            lambda: pn.Reshape("ab"),
            "Reshape: shape must be one or more entries, each a whole number of 1 or more, got 'ab'",
        ),
        (lambda: pn.Reshape(()), "Reshape: shape must be one or more entries, each a whole number of 1 or more, got ("),
        (
            lambda: pn.Reshape((2, 0)),
            "Reshape: shape must be one or more entries, each a whole number of 1 or more, got (",
        ),
        (
            lambda: pn.Reshape((2, 1.5)),
            "Reshape: shape must be one or more entries, each a whole number of 1 or more, got (",
        ),
        (lambda: pn.Embedding(3, 2, "he_norml"), "unknown initializer 'he_norml'; did you mean 'he_normal'?"),
        (lambda: pn.Embedding(2**31, 3), "Embedding: categories must be a whole number of 1 or more, and at most"),
        (lambda: pn.Dropout(1.0), "Dropout: rate must be a number from 0 to 1 (1 excluded), got 1.0"),
        (lambda: pn.Dropout(False), "Dropout: rate must be a number from 0 to 1 (1 excluded), got False"),
        (lambda: pn.Dropout("half"), "Dropout: rate must be a number from 0 to 1 (1 excluded), got 'half'"),
    ],
)
def test_arguments_that_cannot_be(make, message):
    with pytest.raises(pn.ConfigError) as caught:
        make()
    assert message in str(caught.value)


def test_the_least_that_can_be():
    assert pn.Dense(1, in_features=1).in_features == 1
    assert pn.MaxPool2D(1, 1).axes(2, 3) == pn.Conv2D(1, 1).axes(2, 3)
    assert pn.Embedding(1, 1).init(generator(0), (2,))[1] == (2, 1)
    assert pn.Reshape([2, 1]) == pn.Reshape((2, 1))


@pytest.mark.parametrize(("kernel", "dilation", "padding"), [(1, 1, 16), (20, 1, 19), ((1, 5), (1, 6), 24)])
def test_largest_padding_of_a_convolution(kernel, dilation, padding):
    assert pn.Conv2D(4, kernel, dilation=dilation, padding=padding).padding == padding
