"""What the estimators' arguments and attributes are, told once: a decorator puts it into their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type)
Method = TypeVar("Method", bound=Callable[..., Any])

PARAMETERS = """
hidden_layer_sizes : array-like of shape (n_layers - 2,) or int, default=(100,)
    Units of each hidden layer.
CNNClassifier.hidden_layer_sizes : array-like of int, or int, default=(100,)
    Units of each dense hidden layer behind the blocks; () for none.
activation : {'identity', 'logistic', 'tanh', 'relu'}, any of portanet's, Layer, or a list of these, default='relu'
    Activation of the hidden layers; a list has one for each. One's own comes from
    :func:`portanet.custom_activation`.
CNNClassifier.activation : str, Layer, or a list of these, default='relu'
    Activation of the blocks and of the hidden layers, as in :class:`MLPClassifier`; a list has one for each.
filters : array-like of int, default=(16, 32)
    Channels that the convolution of each block makes.
kernel_size : int or (int, int), default=3
    Height and width of the convolutions' windows, at most 2 s - 1 along an axis of s pixels.
pool_size : int or (int, int), default=2
    Height and width of which each block takes the largest pixel; along a shorter axis, all of it. 1 for no pooling.
image_shape : tuple of int or None, default=None
    Height, width and channels (1 if left out) of rows that are flat. None takes images as they come, and flat rows as
    signals, images of 1 x n_features x 1.
shift : float, default=0.0
    Largest shift in pixels, each way along each axis, of the images that are trained on.
rotate : float, default=0.0
    Largest angle in degrees, each way, by which they are turned.
flip : bool, default=False
    Whether half of them are mirrored left to right.
solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
    What minimises the loss. 'lbfgs' is SciPy's L-BFGS-B over all samples at once.
alpha : float, default=0.0001
    Strength of the L2 penalty on the weights, alpha/2 Σ W², divided by the number of samples of the batch.
batch_size : int or 'auto', default='auto'
    Samples a step; 'auto' is min(200, n_samples). 'lbfgs' always takes all.
learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    How the rate of 'sgd' goes: not at all; as learning_rate_init / t^power_t; or divided by 5 whenever nothing
    improves, until it is 1e-6.
learning_rate_init : float, default=0.001
    The learning rate at the start, of 'sgd', 'adam' and an `optimizer` that is named.
power_t : float, default=0.5
    Exponent of 'invscaling'.
max_iter : int, default=200
    Largest number of epochs, or of iterations of 'lbfgs'.
shuffle : bool, default=True
    Whether each epoch has an order of its own.
random_state : int, RandomState instance or None, default=None
    Draws initial weights, the validation split and the epochs' orders, the same as scikit-learn does.
tol : float, default=1e-4
    Improvements smaller than this count as none; of 'lbfgs' the largest gradient at which it ends.
verbose : bool, default=False
    Whether to print the loss of each iteration.
warm_start : bool or 'exact', default=False
    Whether `fit` goes on from the weights of the last one. 'exact' also keeps the optimizer's state, its learning
    rate and the random numbers: two fits of 10 epochs are then one of 20.
momentum : float, default=0.9
    Momentum of 'sgd'.
nesterovs_momentum : bool, default=True
    Whether that momentum is Nesterov's.
early_stopping : bool, default=False
    Whether to split a validation part off, end when its score no longer improves, and return to the best weights.
validation_fraction : float, default=0.1
    Share of that part.
beta_1 : float, default=0.9
    Decay rate of the first moment in 'adam'.
beta_2 : float, default=0.999
    Decay rate of the second moment in 'adam'.
epsilon : float, default=1e-8
    Number that 'adam' adds to the denominator.
n_iter_no_change : int, default=10
    Number of epochs without an improvement after which training ends.
max_fun : int, default=15000
    Largest number of evaluations of the loss by 'lbfgs'.
backend : str, Backend or None, default=None
    Where to train and predict: 'numpy', 'cupy', 'torch:cuda:0', 'jax', 'auto' … None is where the samples live.
    Answers come back to where the samples live, whichever it is.
dtype : {'float32', 'float64'} or None, default=None
    Precision of the arithmetic; None is that of the samples, float64 where these are no floats.
class_weight : dict, 'balanced', list of dict or None, default=None
    Weights of the classes in the loss, {label: weight}; 'balanced' gives each class the same total weight.
loss : str or Loss, default='log_loss'
    'log_loss' is the cross-entropy that the labels ask for; else a loss of portanet's, such as
    ``portanet.SoftmaxCrossEntropy(label_smoothing=0.1)``.
MLPRegressor.loss : {'squared_error', 'poisson'}, a name of portanet's, or Loss, default='squared_error'
    'squared_error' is half the squared error, 'poisson' half the Poisson deviance, by the logarithm of the rate;
    else a loss of portanet's, such as 'huber' or 'mean_absolute_error'.
dropout : float or list of float, default=0.0
    Share of each hidden layer's outputs that is dropped while training; a list has one for each.
batch_norm : bool, default=False
    Whether a BatchNorm stands between each hidden layer's product and its activation.
optimizer : str, Optimizer or None, default=None
    Takes the place of `solver`, for example 'adamw', 'lion' or ``portanet.SGD(lr=0.1, clip_norm=1)``.
schedule : str, Schedule or None, default=None
    Multiplies the learning rate, in the place of `learning_rate`, for example 'cosine' or ``portanet.OneCycle()``.
callbacks : list of portanet.Callback or None, default=None
    Called while it trains by epochs.
categorical_features : array-like of bool, int or str, 'from_dtype' or None, default=None
    Which features are categories: a mask, their numbers, their names, or those that pandas or polars calls categorical.
    Each category becomes a vector that is learned. Missing values are a category; one that the first fit did not see
    has the vector 0.
"""

ATTRIBUTES = """
classes_ : ndarray of shape (n_classes,)
    The labels, in the order of the probabilities.
loss_ : float
    The loss at the end of training, penalty included.
best_loss_ : float or None
    The smallest loss of an epoch; None with `early_stopping`. Not there for 'lbfgs', nor are the next three.
loss_curve_ : list of float
    The loss of each epoch.
validation_scores_ : list of float or None
    The score of each epoch on the validation part, where there is one.
best_validation_score_ : float or None
    The best of these.
t_ : int
    Number of samples seen so far.
coefs_ : list of arrays
    Weights (inputs, outputs) of each layer, where the samples of the fit lived.
CNNClassifier.coefs_ : list of arrays
    Weights of each layer, (height, width, channels in, channels out) of a convolution and (inputs, outputs) of a dense
    layer, where the samples of the fit lived.
intercepts_ : list of arrays
    Biases of each layer, in the same place.
embeddings_ : list of arrays
    The vectors (categories, width) of each categorical feature; not there where there is none.
is_categorical_ : ndarray of shape (n_features_in_,) or None
    Which features are categories; None where none is.
categories_ : list of arrays
    The categories of each categorical feature, a missing value last; not there where there is none.
image_shape_ : tuple of int
    Height, width and channels of the images.
n_features_in_ : int
    Number of features seen during fit.
CNNClassifier.n_features_in_ : int
    Number of numbers in an image.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, where the samples had names that are strings.
n_iter_ : int
    Number of iterations of the last fit.
n_layers_ : int
    Number of layers, the input and the output counted.
n_outputs_ : int
    Number of outputs.
out_activation_ : str
    Name of the output activation.
"""

ABSENT: dict[str, set[str]] = {
    "MLPClassifier": {"image_shape_"},
    "MLPRegressor": {"image_shape_", "classes_"},
    "CNNClassifier": {"embeddings_", "is_categorical_", "categories_"},
}
"""The attributes that an estimator has not."""


ARGUMENTS = """
X : {array-like, sparse matrix} of shape (n_samples, n_features)
    The samples.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Their labels or targets.
sample_weight : array-like of shape (n_samples,), default=None
    Weights of the samples.
classes : array-like of shape (n_classes,), default=None
    All labels that will ever come; needed in the first call.
"""
"""The arguments that methods have in common."""


def with_arguments(method: Method) -> Method:
    """Put the section on parameters, in the signature's order, in front of a method's section on what it returns."""
    if method.__doc__:
        told = _entries(ARGUMENTS, "")
        arguments = list(inspect.signature(method).parameters)[1:]
        section = f"Parameters\n----------\n{''.join(told[name] for name in arguments)}\n"
        method.__doc__ = inspect.cleandoc(method.__doc__).replace("Returns\n", f"{section}Returns\n", 1) + "\n"
    return method


def documented(kind: Kind) -> Kind:
    """Put the sections on parameters, in the signature's order, and on attributes into a class's docstring."""
    if kind.__doc__:  # python -OO leaves none
        name = kind.__name__
        told, kept = _entries(PARAMETERS, name), _entries(ATTRIBUTES, name)
        parameters = [told[argument] for argument in inspect.signature(kind).parameters]
        attributes = [text for attribute, text in kept.items() if attribute not in ABSENT[name]]
        sections = f"Parameters\n----------\n{''.join(parameters)}\nAttributes\n----------\n{''.join(attributes)}\n"
        kind.__doc__ = inspect.cleandoc(kind.__doc__).replace("See Also\n", f"{sections}See Also\n", 1) + "\n"
    return kind


def documented_as(base: type) -> Callable[[Kind], Kind]:
    """Put a base's sections on parameters and attributes into a class's docstring, in front of its examples.

    What the class tells itself, under Parameters and Attributes, takes the place of the base's entry, or is added.
    """

    def told(kind: Kind) -> Kind:
        if kind.__doc__ and base.__doc__:
            own, theirs = inspect.cleandoc(kind.__doc__), inspect.cleandoc(base.__doc__)
            for name in ("Parameters", "Attributes"):
                entries = _entries(_section(theirs, name), "") | _entries(_section(own, name), "")
                own = own.replace(_section(own, name), "".join(entries.values()) + "\n")
            kind.__doc__ = own + "\n"
        return kind

    return told


def _section(text: str, name: str) -> str:
    """Return what stands in a section of a docstring, up to the next heading."""
    _, _, behind = text.partition(f"{name}\n{'-' * len(name)}\n")
    return re.split(r"(?m)^(?=[A-Z][A-Za-z ]*\n-{3,}$)", behind)[0]


def _entries(text: str, name: str) -> dict[str, str]:
    """Return the entries of a section by what they tell of; those that name a class are for that one alone."""
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    target, argument = found, ""
    for line in text.strip().splitlines(keepends=True):
        if not line.startswith(" "):
            owner, _, argument = line.partition(" ")[0].rpartition(".")
            target = found if not owner else own if owner == name else {}
            target[argument] = ""
            line = line.removeprefix(f"{owner}.")
        target[argument] += line if line.endswith("\n") else f"{line}\n"
    return {**found, **own}
