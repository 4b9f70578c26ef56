"""The classifier of images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from portanet.checks import COUNT, check
from portanet.data.batching.sparse import SparseRows
from portanet.data.pictures.form import resembles_channels_first
from portanet.errors import ConfigError
from portanet.layers import Augment, Conv2D, Flatten, Layer, MaxPool2D, Reshape
from portanet.layers.windows import SIZES, pair
from portanet.sklearn import inputs
from portanet.sklearn.classification import BaseClassifier
from portanet.sklearn.network import Network, build, each, followed
from portanet.sklearn.private import Interval

_WHOLE = Interval(Integral, 1, None, closed="left")
_SHAPES = (2, 3)  # axes of an image
_BYTES = 32  # larger pixels are bytes, not shares of white


@dataclass(eq=False, repr=False)
class CNNClassifier(BaseClassifier):
    """Convolutional network that classifies images.

    Blocks of a convolution (padded, so that it keeps the size), BatchNorm if asked for, activation and max-pooling;
    after them the layers of :class:`MLPClassifier`, whose arguments these are, too. Images are (n, height, width),
    (n, height, width, channels) or flat rows with `image_shape`. Scale them to about 0 … 1 first.

    Parameters
    ----------
    filters : array-like of int, default=(16, 32)
        Channels that the convolution of each block makes.
    hidden_layer_sizes : array-like of int, or int, default=(100,)
        Units of each dense hidden layer after the blocks; () for none.
    activation : str, Layer, or a list of these, default='relu'
        Activation of the blocks and of the hidden layers, as in MLPClassifier, or a list with one for each.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter : as in MLPClassifier
        Minimiser, L2 penalty, samples a step, learning rate and its course, and largest number of epochs.
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum : as in MLPClassifier
        Order, seed, least improvement, printing, start from the last weights, and momentum of 'sgd'.
    early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in MLPClassifier
        Validation part, decay rates and epsilon of 'adam', patience, and evaluations by 'lbfgs'.
    backend, dtype, dropout, batch_norm, optimizer, schedule, callbacks, class_weight, loss : as in MLPClassifier
        Where, precision, shares dropped, BatchNorm, what replaces `solver` and `learning_rate`, and what is called.
    kernel_size : int or (int, int), default=3
        Height and width of the convolutions' windows, at most 2 s - 1 along an axis of s pixels.
    pool_size : int or (int, int), default=2
        Height and width of the windows whose largest pixel is kept, at most those of the images; 1 for no pooling.
    image_shape : tuple of int or None, default=None
        Height, width and channels (1 if left out) of flat rows. None takes images as they come, and flat rows as
        signals, images of 1 x n_features x 1.
    shift : float, default=0.0
        Largest random shift of the images in training, in pixels along each axis.
    rotate : float, default=0.0
        Largest angle of their random rotation, in degrees each way.
    flip : bool, default=False
        Whether half of them are mirrored left to right.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_ : as in MLPClassifier
        The loss and the score of the epochs.
    coefs_, intercepts_ : list of arrays
        Weights, (height, width, channels in, channels out) or (inputs, outputs), and biases of each layer.
    image_shape_ : tuple of int
        Height, width and channels of the images.
    n_features_in_ : int
        Number of numbers in an image.
    classes_, t_, n_iter_, n_layers_, n_outputs_, out_activation_, feature_names_in_ : as in MLPClassifier
        Labels, samples seen, iterations, layers, outputs, the activation of these, and names of the features.

    See Also
    --------
    MLPClassifier : The same for rows of features.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from portanet.sklearn import CNNClassifier
    >>> digits = load_digits()
    >>> X, y = digits.images / 16, digits.target
    >>> model = CNNClassifier((8,), (32,), learning_rate_init=0.01, tol=0.01, random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseClassifier._parameter_constraints,
        "filters": ["array-like", _WHOLE],
        "kernel_size": ["array-like", _WHOLE],
        "pool_size": ["array-like", _WHOLE],
        "image_shape": ["array-like", None],
        "shift": [Interval(Real, 0, None, closed="left")],
        "rotate": [Interval(Real, 0, 180, closed="both")],
        "flip": ["boolean"],
    }

    filters: Any = (16, 32)
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    kernel_size: Any = 3
    pool_size: Any = 2
    image_shape: Any = None
    shift: float = 0.0
    rotate: float = 0.0
    flip: bool = False

    def _samples(self, X: Any, *, reset: bool) -> Any:
        """Return checked images as rows of numbers, as their pixels stand in memory; the network shapes them again."""
        if isinstance(X, list | tuple) and _axes(X) > 2:
            X = np.asarray(X)
        shape = tuple(getattr(X, "shape", ()))
        found = known = self._given_shape() if reset else self.image_shape_
        single = not reset and shape in (known, known[:2] if known and known[2] == 1 else known)
        if single and math.prod(shape[1:]) != self.n_features_in_:  # else a row of an image that is one row high
            message = f"expected images (n, {', '.join(map(str, shape))}), got one image; add the axis: X[None]"
            raise ValueError(message)
        if reset and len(shape) == 4 and resembles_channels_first(shape[1:]):
            words = f"images of {shape[1]} rows and {shape[3]} channels: are the channels first? "
            warnings.warn(words + "CNNClassifier takes them last: np.moveaxis(X, 1, -1)", stacklevel=4)
        if len(shape) - 1 in _SHAPES:
            height, width, channels = (*shape[1:], 1)[:3]
            found = height, width, channels
            if known not in (None, found):
                whose = "image_shape" if reset else "fit"
                wanted = f"images of shape {known} (height, width, channels), as {whose} had them"
                message = f"expected {wanted}, got {found}"
                raise ValueError(message)
            X = array_namespace(X).reshape(X, (shape[0], math.prod(found)))
        x = inputs.samples(self, X, reset=reset)
        if reset:
            self.image_shape_: tuple[int, int, int] = found or (1, self.n_features_in_, 1)
            if math.prod(self.image_shape_) != self.n_features_in_:
                message = f"image_shape: {self.image_shape_} is {math.prod(self.image_shape_)} numbers an image"
                has = f"the samples have {self.n_features_in_}; give (height, width, channels) of your images"
                raise ConfigError(f"{message}, " + has)
        self._check_range(x, reset=reset)
        return x

    def _check_range(self, x: Any, *, reset: bool) -> None:
        """Warn of pixels from 0 to 1 if fit had them from 0 to 255, and the reverse."""
        values = x.matrix.data if isinstance(x, SparseRows) else x
        xp = array_namespace(values)
        largest = float(xp.max(xp.abs(values))) if math.prod(values.shape) else 0.0
        if reset:
            self._largest = largest
        fitted = getattr(self, "_largest", 0.0)
        low, high = sorted((largest, fitted))
        if not reset and 0 < low <= 1 and high >= _BYTES:
            words = f"pixels up to {largest:.3g}, where fit had them up to {fitted:.3g}: scale them alike"
            warnings.warn(words, stacklevel=5)

    def _given_shape(self) -> tuple[int, int, int] | None:
        if self.image_shape is None:
            return None
        given = tuple(self.image_shape)
        if len(given) not in _SHAPES or any(not isinstance(n, Integral) or n < 1 for n in given):
            message = f"image_shape: expected (height, width) or (height, width, channels), got {self.image_shape!r}"
            raise ConfigError(message)
        height, width, channels = (*(int(n) for n in given), 1)[:3]
        return height, width, channels

    def _network_of(self, sizes: list[int], output: Layer | None) -> Network:
        given = self.filters if isinstance(self.filters, Iterable) else [self.filters]
        filters = [check("filters", _plain(n), COUNT) for n in given]
        activations = each(self.activation, len(filters) + len(sizes), "activation")
        front = self._blocks(filters, activations[: len(filters)])
        rest = activations[len(filters) :]
        return build(sizes, self.n_outputs_, rest, self.dropout, self.batch_norm, output, front)

    def _blocks(self, filters: Sequence[int], activations: Sequence[Any]) -> list[Layer]:
        """Return the layers from flat rows to the flat outputs of the last block."""
        layers: list[Layer] = [Reshape(self.image_shape_)]
        if self.shift or self.rotate or self.flip:
            layers.append(Augment(float(self.shift), float(self.rotate), bool(self.flip)))
        kernel, pool = (pair(check(name, _plain(getattr(self, name)), SIZES)) for name in ("kernel_size", "pool_size"))
        size = self.image_shape_[:2]
        for units, activation in zip(filters, activations, strict=True):
            # Taps that touch no pixel from any place would be weights that nothing trains.
            reach = tuple(min(k, 2 * s - 1) for k, s in zip(kernel, size, strict=True))
            layers += followed(Conv2D(units, (reach[0], reach[1]), padding="same"), self.batch_norm, activation)
            window = tuple(min(p, s) for p, s in zip(pool, size, strict=True))
            layers += [MaxPool2D((window[0], window[1]))] if max(window) > 1 else []
            size = size[0] // window[0], size[1] // window[1]
        return [*layers, Flatten()]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _axes(X: Any) -> int:
    """Return the number of axes of a list of images; raise ValueError if these differ in shape."""
    try:
        return np.ndim(X)
    except ValueError:
        one, other, *_ = [*sorted({np.shape(image) for image in X}, key=str), ()]
        message = f"expected images of one shape, got {one} and {other}"
        raise ValueError(message + "; resize them first") from None


def _plain(value: Any) -> Any:
    """Return a size, or two of them, as Python's numbers."""
    return np.asarray(value).tolist()
