"""Load a saved network as a trainer that is ready to predict, to be evaluated and to be trained further."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from portanet import backends, losses, metrics, optimizers, schedules
from portanet.data.pictures.form import Pictures
from portanet.data.plan import Plan
from portanet.errors import ConfigError, DataError, Gathered, ModelFileError
from portanet.files import weights
from portanet.files.description import check_shapes, named_right
from portanet.files.sample_size import check_sample_size
from portanet.layers import Layer
from portanet.layers.config import layers_from
from portanet.registry import Custom, Registry
from portanet.training.trainer import Trainer

__all__ = ["load"]

logger = logging.getLogger("portanet")


def load(
    path: str | os.PathLike[str],
    *,
    backend: str | backends.Backend = "numpy",
    custom: Custom | None = None,
    any_size: bool = False,
) -> Trainer:
    """Return the network in `path`, ready to predict, to be evaluated and to be trained further.

    Parameters
    ----------
    path : str or path
        A file of :func:`save`.
    backend : str or Backend
        Where it runs, whatever it was trained on.
    custom : dict, optional
        Custom layers, losses, optimizers, metrics and schedules by their names, ``{"MyLoss": MyLoss}``: classes,
        functions that make one, or ready ones. Nothing is ever imported or run from the file.
    any_size : bool
        Load a network also if its layers make more numbers of a sample than is plausible for its size: more than 2^25
        and more than 8 times its parameters.

    Raises
    ------
    DataError
        If the file is missing, no safetensors file of portanet's, or holds other arrays than its description says, or
        its layers make implausibly many numbers of a sample.
    ModelFileError
        If it holds classes that are not known here, with the `custom` for all of them, or invalid arguments. A schedule
        alone that is not known is left out, with a warning.
    """
    backends.get(backend, quiet=True)  # before the file is read
    with weights.opened(path) as file, _reworded(path):
        about = file.about
        net, loss, optimizer, schedule, found = _parts(about, custom or {})
        trainer = Trainer(
            net,
            loss,
            optimizer,
            found,
            backend=backend,
            dtype=about["dtype"],
            seed=about["seed"],
            schedule=schedule,
            l1=about["l1"],
            l2=about["l2"],
            penalty_per_sample=about.get("penalty_per_sample", False),  # files of 0.1.0 lack it
            classes=_names(about["classes"]),
        )
        trainer.columns = None if "columns" not in about else Plan.from_dict(about["columns"])
        trainer.pictures = None if "pictures" not in about else Pictures.from_dict(about["pictures"])
        input_shape = tuple(_whole(n, 1) for n in about["input_shape"])
        epoch = _whole(about["epoch"], 0)
        buffers = _names(about["buffers"])
        out_shape = check_shapes(net, dict(file.shapes), buffers, input_shape)
        if not named_right(trainer.classes, out_shape[-1]):
            message = f"expected names of classes for {out_shape[-1]} outputs, got {len(trainer.classes)}"
            raise DataError(message)
        if not any_size:
            check_sample_size(net, input_shape, sum(map(math.prod, file.shapes.values())))
        # Now that all sizes are known to be those of the network, the arrays may take memory.
        arrays = file.arrays()
        trainer.adopt(arrays, {name: arrays.pop(name) for name in buffers}, input_shape, out_shape)
    trainer.epoch = epoch
    return trainer


@contextlib.contextmanager
def _reworded(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise what a description leads to as an error of the file at `path`."""
    try:
        yield
    except ConfigError as error:
        message = f"{path}: {error}{_remedy(error.missing)}"
        raise ModelFileError(message) from None
    except DataError as error:
        message = str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}; the file was edited"
        raise DataError(message) from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        message = (
            f"{path}: its description is incomplete or of another kind ({error!r:.200}); "
            "save it again with this version"
        )
        raise DataError(message) from None


def _parts(about: dict[str, Any], custom: Custom) -> tuple[Layer, Any, Any, Any, list[Any]]:
    """Return network, loss, optimizer, schedule and metrics of a description.

    Raises
    ------
    ConfigError
        If classes are not known here, or arguments are invalid.
    """
    wrong, parts, measured = Gathered(), dict[str, Any](), list[Any]()
    with wrong:  # as a list of one layer, so that a network that is not a Sequential comes back as what it was
        parts["net"] = layers_from([about["net"]], custom)[0]
    kinds: dict[str, Registry[Any]] = {"loss": losses.LOSSES, "optimizer": optimizers.OPTIMIZERS}
    for key, known in kinds.items():
        with wrong:
            parts[key] = about[key] and known.make(about[key]["name"], about[key]["options"], custom)
    for own in about["metrics"]:
        with wrong:
            if isinstance(own, str):
                given = custom.get(own, own)
                measured.append(metrics.get(given() if isinstance(given, type) else given))
            else:
                name = own["column"] if own["column"] in custom and own["name"] not in custom else own["name"]
                measured.append(metrics.METRICS.make(name, own["options"], custom))
    rates, unknown_rates = about.get("schedule"), Gathered()  # files of 0.1.0 have none
    with unknown_rates:
        parts["schedule"] = rates and schedules.SCHEDULES.make(rates["name"], rates["options"], custom)
    if unknown_rates.missing and not wrong.texts:  # the network can be used without it
        text, remedy = unknown_rates.texts[0], _remedy(tuple(unknown_rates.missing))
        logger.warning("%s%s; until then its learning rate is constant", text, remedy)
    else:
        with wrong:
            unknown_rates.check()
    wrong.check()
    return parts["net"], parts["loss"], parts["optimizer"] or optimizers.SGD(), parts.get("schedule"), measured


def _remedy(missing: Sequence[str]) -> str:
    """Return how to load a file that holds classes of these names."""
    given = ", ".join(f'"{name:.60}": {name:.60}' for name in missing if name.isidentifier() and name[0] != "_")
    if not given:
        return ""
    return (
        f"; if they are classes of your own, give them: pn.load(path, custom={{{given}}}), or on the command line "
        "--import the module they are in"
    )


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**53:
        message = f"expected a whole number from {least} to 2^53, got {value!r:.60}"
        raise ValueError(message)
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value) or len(set(value)) < len(value):
        message = f"expected a list of different names, got {value!r:.60}"
        raise ValueError(message)
    return value
