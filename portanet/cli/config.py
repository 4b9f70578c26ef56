"""Options from a TOML file: they become the defaults of the command, so that flags go before them."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from portanet.errors import ConfigError, DataError, ModelFileError, unknown
from portanet.files.regular import own_file, read

_NOT_IN_FILES = ("config", "resume", "print_config", "json_wanted", "quiet", "debug", "help", "modules")
"""What concerns how a command is run, and not what it does; and what a file, perhaps from a stranger, must not do."""


_LARGEST = 1 << 20  # bytes of a file of options


class ConfigurableCommand(click.Command):
    """A command whose messages on a wrong value say so where it came from a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name and ctx.get_parameter_source(name) == ParameterSource.DEFAULT_MAP:
                message = f"{error.message} (in {ctx.meta['portanet.config']})"
                if "portanet.resumes" in ctx.meta:
                    message = f"{name}: {message}"
                    raise DataError(message) from None
                raise click.BadParameter(message, error.ctx, error.param) from None
            raise


def _read(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Take the values in the file as the defaults of this command."""
    if value is None:
        return
    ctx.meta["portanet.config"] = str(value)
    known = [p.name for p in ctx.command.params if p.name and p.name not in _NOT_IN_FILES]
    defaults: dict[str, Any] = {}
    try:
        for key, entry in read_toml(value).items():
            if key not in known:
                raise ConfigError(f"{value}: " + unknown("key", key, known))
            defaults[key] = _as_option(value, key, entry)
    except ConfigError as error:
        if "portanet.resumes" in ctx.meta:
            raise DataError(str(error)) from None
        raise
    ctx.default_map = defaults


def _resume(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Take the run's own configuration as the defaults of this command."""
    if value is not None:
        if "portanet.config" in ctx.meta:
            message = "--resume: the run has a configuration of its own; leave --config out"
            raise ConfigError(message)
        if not own_file(value, "config.toml").is_file():
            message = f"--resume {value}: expected a run folder with its config.toml, found none there"
            raise DataError(message)
        of_run(ctx)
        _read(ctx, param, value / "config.toml")
    return value


def of_run(ctx: click.Context) -> None:
    """Let what is wrong in the file of options be a DataError: it is a run's own, and none that the user wrote."""
    ctx.meta["portanet.resumes"] = True


@contextlib.contextmanager
def from_file(ctx: click.Context, run: Path | None) -> Iterator[None]:
    """Raise what is wrong in the block as that of a resumed run's file, if its options come from there alone."""
    others = [name for name in ctx.params if name not in (*_NOT_IN_FILES, "epochs")]
    by_hand = any(ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE for name in others)
    try:
        yield
    except ConfigError as error:
        if run is None or by_hand or isinstance(error, DataError):
            raise
        message = f"{run / 'config.toml'}: {error}"
        raise ModelFileError(message, missing=error.missing) from None


def read_toml(
    path: Path, what: str = "a TOML file such as a run's config.toml", *, follow: bool = True
) -> dict[str, Any]:
    """Return what a TOML file holds, which is `what` for the messages.

    Raises
    ------
    ConfigError
        If it cannot be read, is no TOML, or is far larger than options are.
    """
    try:
        return tomllib.loads(read(path, _LARGEST, follow=follow).decode())
    except RecursionError:
        message = f"{path}: expected {what}: its values are nested too deeply"
        raise ConfigError(message) from None
    except (ValueError, OSError) as error:
        message = f"{path}: expected {what}: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(message) from None


def as_toml(values: Mapping[str, Any]) -> str:
    """Return `values` as TOML that :func:`read_toml` reads back as it was; what is None is left out."""
    import tomli_w

    text = tomli_w.dumps(_without_none(values))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        bad = text.count("\n", 0, error.start)
        message = f"{text.splitlines()[bad]}: it cannot be written into config.toml: it is not UTF-8; rename it"
        raise ConfigError(message) from None
    return text


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list | tuple) else value


def _as_option(path: Path, key: str, entry: Any) -> Any:
    """Return a file's value as it would stand on the command line, so that both are read and checked by the same code.

    Click's own conversion from numbers would cut 2.5 epochs down to 2.
    """
    if isinstance(entry, str | int | float):
        if "\0" in str(entry):  # no command line holds one, and no path
            message = f"{path}: {key}: expected a text without zero bytes, got {entry!r:.60}"
            raise ConfigError(message)
        return str(entry)
    if key == "layers" and isinstance(entry, list):
        if all(isinstance(layer, dict) for layer in entry) and entry:
            return entry
        if all(isinstance(size, int) for size in entry):
            return ",".join(map(str, entry))
    expected = "sizes such as [500, 150], or tables [[layers]]" if key == "layers" else "a single value"
    message = f"{path}: {key}: expected {expected}, got {entry!r:.100}"
    raise ConfigError(message)


config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,  # before all other options look up their defaults
    expose_value=False,
    callback=_read,
    help="TOML file of options (underscores for hyphens) and [[layers]]; flags override it.",
)

resume_option = click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    is_eager=True,
    callback=_resume,
    help="Resume a stopped run; it ends as if it had not been stopped. Options such as --epochs override its own.",
)
