"""From options and data to a network: what is put in front of it, its hidden layers, its output and its loss."""

from __future__ import annotations

import dataclasses
import math

from portanet import layers, losses
from portanet.backends.namespace import namespace
from portanet.cli.recipe import REALMLP, made
from portanet.cli.train_options import Options
from portanet.data import Dataset, Plan
from portanet.data.front import front
from portanet.errors import ConfigError, DataError
from portanet.layers import Committee, Dense, Dropout, Flatten, Layer, Parallel, Rescale, Sequential, Standardize
from portanet.layers.config import activation, layers_from
from portanet.losses import LOSSES, Loss
from portanet.recipes import Recipe
from portanet.recipes.images import MODELS

_LEAST = {"cnn": 6, "lenet": 4, "vgg": 8}
"""Pixels along a side that are left something of by the pools of a model."""

_IN_FRONT = (Rescale, Standardize, layers.Augment)  # they leave the shape as it is
_LIKE_RELU = (
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "swish",
    "softplus",
    "mish",
    "celu",
    "relu6",
    "hardswish",
)  # they lose about half of the signal


def choose_loss(options: Options, dataset: Dataset) -> Loss:
    """Return the loss that was asked for, or the one that suits the targets.

    Raises
    ------
    ConfigError
        If the name is unknown, or the loss is not made for such targets.
    DataError
        If there is a single class.
    """
    classes = len(dataset.classes)
    if classes == 1:
        got = f"{dataset.name}: expected two classes or more, got {dataset.classes[0]!r} alone"
        fix = "choose another target, or --task regression"
        fix = fix if dataset.pictures is None else "add a folder of pictures for each other class"
        message = f"{got}; {fix}"
        raise DataError(message)
    suited = "binary_cross_entropy" if dataset.labels else "mean_squared_error"
    if classes:
        single = classes == 2 and _listed_outputs(options) != 2 and options.recipe != REALMLP
        suited = "binary_cross_entropy" if single else "softmax_cross_entropy"
    name = LOSSES.full(options.loss or suited)
    LOSSES.find(name, at="--loss")
    wrong = ""
    if name == "poisson" and classes:
        wrong = f"expected counts, got targets of {classes} classes; take {suited}, or --task regression"
    if name in ("softmax_cross_entropy", "focal_cross_entropy") and not classes and dataset.y.ndim == 1:
        wrong = f"expected classes, got targets that are numbers; take {suited}, or --task classification"
    if name == "quantile" and (classes or dataset.y.ndim > 1):
        wrong = f"expected one target of numbers, got {'classes' if classes else 'several'}; take {suited}"
    if name == "gaussian_likelihood" and classes:
        wrong = f"expected numbers, got classes; take {suited}"
    if name == "negative_log_likelihood" and (not classes or options.output_activation != "log_softmax"):
        wrong = f"expected classes and --output-activation log_softmax; take {suited}"
    if wrong:
        raise ConfigError(f"--loss {name}: " + wrong)
    if options.label_smoothing is None:
        return _in_units(losses.get(name), options, dataset)
    smooth = [other for other, kind in LOSSES.items() if hasattr(kind, "label_smoothing")]
    if name not in smooth:
        message = f"--label-smoothing: {name} has none; it belongs to {' and '.join(smooth)}"
        raise ConfigError(message)
    return LOSSES.make(name, {"label_smoothing": options.label_smoothing})


def _in_units(loss: Loss, options: Options, dataset: Dataset) -> Loss:
    """Return a loss of errors in units of the targets' standard deviation, if these are to be standardised."""
    if dataset.classes or dataset.labels or not options.standardize_target or not hasattr(loss, "unit"):
        return loss
    layers_end = isinstance(options.layers, list) and not isinstance(layers_from(options.layers)[-1], Dense)
    if layers_end or activation(options.output_activation or "linear") is not None:
        return loss  # the outputs have a range of their own
    units = [float(unit) or 1.0 for unit in dataset.y.reshape(len(dataset.y), -1).std(axis=0, dtype="float64")]
    return dataclasses.replace(loss, unit=units[0] if len(units) == 1 else tuple(units))  # type: ignore[type-var]


def metrics(dataset: Dataset, loss: Loss) -> list[str]:
    """Return the metrics that are shown beside the loss."""
    if isinstance(loss, losses.Quantile | losses.GaussianLikelihood):
        return []
    return ["accuracy"] if dataset.classes or dataset.labels else ["mae", "r2"]


def designed(options: Options, dataset: Dataset, loss: Loss, plan: Plan | None) -> tuple[Sequential, Recipe | None]:
    """Return the network for the training part of a data set, and the recipe that it is trained by if there is one."""
    found = made(options, dataset, loss, _outputs(dataset, loss), _last(dataset, loss), plan)
    if found is not None:
        return found.net, found
    net = build(options, dataset, loss, plan)
    return (Sequential((Committee([net] * options.n_ens),)) if (options.n_ens or 1) > 1 else net), None


def build(options: Options, dataset: Dataset, loss: Loss, plan: Plan | None = None) -> Sequential:
    """Return the plain network for the training part of a data set, with its preprocessing in front.

    That brings the training part to mean 0 and standard deviation 1: pixels all together, columns of a table one by
    one. If the loss is in units of the targets' deviation, a last layer brings the outputs to the targets' scale.
    """
    x = dataset.x
    before, last = _preprocessing(dataset, plan), _last(dataset, loss)
    if isinstance(options.layers, list):
        own = list(layers_from(options.layers))
        first: list[Layer] = [] if isinstance(own[0], Rescale | Standardize) else [before]
        if isinstance(own[0], Standardize):  # its numbers are in no configuration: they are the data's
            own[0] = Standardize.of(x) if plan is None else before
        place = next((i for i, layer in enumerate(own) if not isinstance(layer, (*_IN_FRONT, Parallel))), len(own))
        if x.ndim > 2 and place < len(own) and isinstance(own[place], Dense):
            own.insert(place, Flatten())
        if x.ndim == 3 and place < len(own) and isinstance(own[place], layers.Conv2D):
            own.insert(place, layers.Reshape((*x.shape[1:], 1)))
        return Sequential((*first, *own, *last))
    start = [before, *_images(options, dataset)]
    if options.model in MODELS:
        shape = next((layer.shape for layer in start if isinstance(layer, layers.Reshape)), x.shape[1:])
        return Sequential((*start, *MODELS[options.model](_outputs(dataset, loss), shape), *last))
    hidden, init = activation(options.activation), _init(options, options.activation)
    after = [hidden] if hidden else []
    if options.model == "cnn":  # the convolutions of Keras's MNIST example of 2015
        one, two = (layers.Conv2D(units, 3, bias=options.bias, weight_init=init) for units in (32, 64))
        start += [one, *after, two, *after, layers.MaxPool2D(2), Dropout(0.25)]
    if options.model == "cnn" or x.ndim > 2 or len(start) > 1:
        start.append(Flatten())
    after += [Dropout(options.dropout)] if options.dropout else []
    dense = [layer for size in options.layers for layer in (Dense(size, options.bias, init), *after)]
    # Without an activation of the output where the loss takes logits; else classes lie between 0 and 1.
    ending = options.output_activation or ("sigmoid" if dataset.classes and loss.output is None else "linear")
    output, link = Dense(_outputs(dataset, loss), options.bias, _init(options, ending)), activation(ending)
    return Sequential((*start, *dense, output, *([link] if link else []), *last))


def _last(dataset: Dataset, loss: Loss) -> list[Layer]:
    """Return what brings outputs to the scale of the targets, if the loss is in units of their deviation."""
    if getattr(loss, "unit", 1.0) == 1.0:
        return []
    y = dataset.y.reshape(len(dataset.y), -1)
    if isinstance(loss, losses.GaussianLikelihood):  # the logarithms of the variances are in units already
        own, xp = Standardize.back_to(y), namespace(y)
        zeros = xp.zeros_like(own.mean)
        return [Standardize(xp.concat([own.mean, zeros]), xp.concat([own.inverse_std, zeros + 1.0]))]
    return [Standardize.back_to(y[:, [0] * _outputs(dataset, loss)] if isinstance(loss, losses.Quantile) else y)]


def _images(options: Options, dataset: Dataset) -> list[Layer]:
    """Return what brings samples into the form of images and augments them, where that is asked for.

    Raises
    ------
    DataError
        If the samples are no images.
    """
    asked = [name for name in ("shift", "rotate", "flip") if getattr(options, name)]
    if options.model == "mlp" and not asked:
        return []
    shape = dataset.x.shape[1:]
    side = math.isqrt(shape[0])
    if len(shape) == 1 and dataset.scale is not None and side * side == shape[0]:
        shape = (side, side)  # pixels in a row, as in MNIST's CSV
    if len(shape) == 1:
        named = options.model != "mlp"
        place, hint = (f"--model {options.model}", "take --model mlp") if named else (f"--{asked[0]}", "leave it out")
        message = f"{place}: expected images, got {dataset.name} with rows of {shape[0]} features; {hint}"
        raise DataError(message)
    if min(shape[:2]) < (least := _LEAST.get(options.model, 1)):
        came = f"{shape[1]}×{shape[0]}"
        message = f"--model {options.model}: expected images of at least {least}×{least} pixels, got {came}; "
        raise DataError(message + "take a larger --image-size, or --model resnet")
    shape = shape if len(shape) == 3 else (*shape, 1)
    reshape: list[Layer] = [layers.Reshape(shape)] if shape != dataset.x.shape[1:] else []
    return [*reshape, layers.Augment(options.shift, options.rotate, options.flip)] if asked else reshape


def check_outputs(outputs: int, dataset: Dataset, loss: Loss) -> None:
    """Raise ConfigError, with both numbers, if a custom network has not as many outputs as the targets need."""
    expected = {_outputs(dataset, loss)}
    if len(dataset.classes) == 2:  # one output parts two classes as well as two do, but a softmax of one is always 1
        expected |= {2} if loss.output is layers.Softmax else {1, 2}
    if outputs not in expected:
        what = f"{len(dataset.classes)} classes" if dataset.classes else "such targets"
        numbers = " or ".join(map(str, sorted(expected)))
        message = f"[[layers]]: expected {numbers} outputs for {what} and {type(loss).__name__}, got {outputs}"
        raise ConfigError(message + "; change the size of the last layer")


def _listed_outputs(options: Options) -> int | None:
    """Return the size of the last dense layer in a list of layers."""
    listed = layers_from(options.layers) if isinstance(options.layers, list) else ()
    return next((layer.units for layer in reversed(listed) if isinstance(layer, Dense)), None)


def _init(options: Options, after: str) -> str:
    """Return the initializer of a layer, from the activation after it."""
    return options.init if options.init != "auto" else "he_normal" if after in _LIKE_RELU else "glorot_uniform"


def _preprocessing(dataset: Dataset, plan: Plan | None) -> Layer:
    if dataset.scale is not None:
        return Rescale.of(dataset.x)
    return Standardize.of(dataset.x) if plan is None else front(plan, dataset.x)


def _outputs(dataset: Dataset, loss: Loss) -> int:
    if isinstance(loss, losses.Quantile):
        return len(loss.taus)
    if not dataset.classes:
        targets = int(dataset.y.shape[1]) if dataset.y.ndim > 1 else 1
        return 2 * targets if isinstance(loss, losses.GaussianLikelihood) else targets
    single = len(dataset.classes) == 2 and isinstance(loss, losses.BinaryCrossEntropy)
    return 1 if single else len(dataset.classes)
