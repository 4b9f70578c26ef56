"""``--import``: the classes of a module that the user names, known by their names while the command runs.

Nothing else imports a module by name: no file, no configuration, no run folder.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from functools import partial
from typing import Any

import click

from portanet.errors import ConfigError
from portanet.registry import Registry

__all__ = ["import_option"]


def _enter(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> None:
    """Import the modules and enter their classes into the registries, until the command has ended."""
    if not names:
        return
    from portanet.layers.config import LAYERS
    from portanet.losses import LOSSES
    from portanet.metrics import METRICS
    from portanet.optimizers import OPTIMIZERS
    from portanet.schedules import SCHEDULES

    registries: list[Registry[Any]] = [LAYERS, LOSSES, OPTIMIZERS, METRICS, SCHEDULES]
    for registry in registries:
        ctx.find_root().call_on_close(partial(_reset, registry, dict(registry)))
    for name in names:
        module = _imported(name)
        public = getattr(module, "__all__", [word for word in vars(module) if not word.startswith("_")])
        for kind in (getattr(module, word, None) for word in public):
            if not isinstance(kind, type) or kind.__module__.startswith("portanet."):
                continue
            for registry in registries:
                if issubclass(kind, registry.base) and registry.setdefault(kind.__name__, kind) is not kind:
                    message = f"--import {name}: a {registry.kind} {kind.__name__} is known already; rename the class"
                    raise ConfigError(message)


def _reset(registry: Registry[Any], own: dict[str, Any]) -> None:
    registry.clear()
    registry.update(own)


def _imported(name: str) -> Any:
    """Return a module that Python finds as usual, or in the folder in which the command runs.

    Raises
    ------
    ConfigError
        If there is none of that name, or it fails when it is imported.
    """
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        message = f"--import {name}: expected the name of a module, such as my.module for the file my/module.py"
        raise ConfigError(message)
    sys.path.append(os.getcwd())  # last, so that no file there takes the place of an installed module
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error
        message = f"--import {name}: no module {error.name!r} in {os.getcwd()} or on Python's path; check the name"
        raise ConfigError(message) from None
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error
    finally:
        sys.path.pop()


def _failed(name: str, error: BaseException) -> ConfigError:
    return ConfigError(f"--import {name}: the module raises {type(error).__name__} when it is imported: {error}")


def import_option() -> click.Option:
    """Return the option."""
    return click.Option(
        ["--import", "modules"],
        multiple=True,
        metavar="MODULE",
        expose_value=False,
        is_eager=True,
        callback=_enter,
        help="Import MODULE, to use its layers, losses, optimizers, metrics and schedules by name.",
    )
