"""What every exporter reads: a trained network as a plain list of layers, each with its arrays and its shapes."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portanet import losses
from portanet.data.pictures.form import Pictures, form_for
from portanet.data.plan import Plan
from portanet.errors import ConfigError
from portanet.initializers import ShapesOnly
from portanet.layers import Layer, Sequential, Sigmoid, Softmax
from portanet.training.model import Model
from portanet.typing import Array, Params, Shape


@dataclass(frozen=True)
class _Exp(Layer):
    """What turns the outputs of a network with the Poisson loss into rates, y = exp(x); no layer of a network."""


Exp = _Exp


@dataclass(frozen=True)
class Step:
    """A layer in its place."""

    place: str  # in words: "Residual 3 > Dense 0"
    prefix: str  # of its arrays' names: "3.0."
    layer: Any
    arrays: Params  # its parameters and buffers on the host, under its own names
    in_shape: Shape
    out_shape: Shape
    inner: tuple[tuple[Step, ...], ...] = ()  # of each layer within, if it is a container that tells their shapes

    @property
    def chain(self) -> tuple[Step, ...]:
        """The steps within, one after the other."""
        return tuple(itertools.chain(*self.inner))


@dataclass(frozen=True)
class Source:
    """A trained network for an exporter; nested Sequentials are flattened, layers without effect at inference stay."""

    steps: tuple[Step, ...]  # all layers, and, unless raw outputs were asked for, the one that makes probabilities
    arrays: Params  # all parameters and buffers on the host, under portanet's names
    input_shape: Shape
    outputs: int
    classes: tuple[str, ...]
    dtype: str
    output: str  # "probabilities", "rates", "values" or "logits"
    columns: Plan | None = None  # of a table with more than numbers without gaps: the network's inputs are made of it
    pictures: str = ""  # what pictures are brought to before they are samples, in words
    form: Pictures | None = None  # the same, of a network that was trained on picture files

    @property
    def out_shape(self) -> Shape:
        """Shape of the outputs of one sample."""
        return self.steps[-1].out_shape if self.steps else self.input_shape


def read(model: Any, *, raw: bool = False, what: str = "export") -> Source:
    """Return what there is to export of a Trainer, or of a fitted MLP of portanet.sklearn or scikit-learn.

    With `raw`, outputs stay as the loss takes them (logits), as in ``predict(x, raw=True)``; `what` is the caller, for
    messages. Raise ConfigError if `model` is none of these, has no weights yet, or its loss has a link of its own.
    """
    if not isinstance(model, Model):
        from portanet.export.sklearn_import import from_sklearn

        model = from_sklearn(model, backend="numpy")
    model.check_weights(what)
    snapshot = model.snapshot()
    arrays = {**snapshot["params"], **snapshot["buffers"]}
    steps = list(_laid_flat(model.body, "", "", arrays, sorted(arrays), model.input_shape))
    link, output = (None, "logits") if raw else _link(model.loss, what)
    if raw and model.loss.output is None and not isinstance(model.loss, losses.Poisson):
        output = "values"
    if link is not None:
        shape = (*model.places, model.outputs)
        steps.append(Step(type(link).__name__.strip("_"), f"{len(steps)}.", link, {}, shape, shape))
    named = len(model.classes) in (model.outputs, max(model.outputs, 2))
    classes = tuple(model.classes) if named else ()
    shape = tuple(model.input_shape)
    columns = None if model.columns is None or model.columns.plain else model.columns
    pictures = "" if model.pictures is None else f"{model.pictures.in_words()}; values from 0 to 255"
    form = None if model.pictures is None else form_for(shape, model.pictures)
    return Source(tuple(steps), arrays, shape, model.outputs, classes, model.dtype, output, columns, pictures, form)


def _link(loss: losses.Loss, what: str) -> tuple[Layer | None, str]:
    """Return the layer that does what the loss's ``link`` does, and what comes out of it."""
    link = type(loss).link
    for kind, layer, output in (
        (losses.SoftmaxCrossEntropy, Softmax(), "probabilities"),
        (losses.FocalCrossEntropy, Softmax(), "probabilities"),
        (losses.BinaryCrossEntropy, Sigmoid(), "probabilities"),
        (losses.Poisson, Exp(), "rates"),
        (losses.NegativeLogLikelihood, Exp(), "probabilities"),
        (losses.Loss, None, "values"),
    ):
        if link is kind.link:
            return layer, output
    message = f"{what}: {type(loss).__name__} puts the outputs on a scale of its own, which no other library knows; "
    raise ConfigError(message + "export them as they are, raw=True, and bring them to that scale afterwards")


def _laid_flat(
    layer: Layer, prefix: str, place: str, arrays: Params, names: Sequence[str], shape: Shape
) -> Iterator[Step]:
    """Yield the steps of a layer; those of a Sequential one by one. `names` are those of all arrays, sorted."""
    shapes, children = layer.child_shapes(shape), layer.children()
    flat = type(layer) is Sequential
    front = f"{place} > " if place else "" if flat else f"{type(layer).__name__} > "
    inner = tuple(
        tuple(_laid_flat(own, f"{prefix}{name}.", f"{front}{type(own).__name__} {name}", arrays, names, shapes[name]))
        for name, own in (children.items() if shapes else ())
    )
    if flat:
        yield from itertools.chain(*inner)
        return
    own = {key.removeprefix(prefix): arrays[key] for key in _within(names, prefix)}
    own = {key: array for key, array in own.items() if not inner or key.partition(".")[0] not in children}
    out = layer.init(ShapesOnly(), shape)[1]
    yield Step(place or type(layer).__name__, prefix, layer, own, shape, tuple(out), inner)


def _within(names: Sequence[str], prefix: str) -> Sequence[str]:
    """Return those of the sorted names that begin with a prefix."""
    start = bisect.bisect_left(names, prefix)
    stop = bisect.bisect_right(names, prefix, start, key=lambda name: name[: len(prefix)])
    return names[start:stop]


def cannot(step: Step, to: str, why: str = "") -> ConfigError:
    """Return the error that says which layer cannot be exported, why, and what to do instead."""
    kind = type(step.layer)
    if why:
        return ConfigError(f"[{step.place}] it cannot be exported to {to}: {why}")
    name = f" {step.layer.name!r}" if hasattr(step.layer, "name") else ""
    message = (
        f"[{step.place}] it cannot be exported to {to}: {kind.__name__}{name} is a layer of your own, which nothing "
        "but your own code computes; put layers of portanet in its place, or keep to trainer.save and portanet.load"
    )
    return ConfigError(message)


def transposed(array: Array, axes: tuple[int, ...]) -> Array:
    """Return the array with its axes in another order, contiguous, as files hold it."""
    return array.transpose(axes).copy(order="C")
