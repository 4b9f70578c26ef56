"""The settings of a torch module, asked for one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from portanet.errors import ConfigError
from portanet.layers import Layer
from portanet.typing import Shape


class Asked:
    """A module whose settings are read one by one, some of which may only be what portanet does."""

    def __init__(self, module: Any, place: str, *, signals: bool = False) -> None:
        self.module, self.place, self.signals = module, place, signals

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def only(self, **wanted: Any) -> None:
        """Refuse other settings than these."""
        for name, value in wanted.items():
            got = getattr(self.module, name, value)
            if got != value:
                message = f"[{self.place}] from_torch: expected {name}={value!r}, all that portanet has, got {got!r}"
                raise ConfigError(message)

    def refuse(self, why: str) -> NoReturn:
        """Raise the error that says why the module is not taken over."""
        message = f"[{self.place}] from_torch: {why}"
        raise ConfigError(message)

    def front(self, shape: Shape) -> bool:
        """Return whether samples of this shape have their channels in front there."""
        return len(shape) == 3 or (len(shape) == 2 and self.signals)

    def takes_channels(self, shape: Shape) -> None:
        """Refuse samples whose channels are not where torch looks for them, in front."""
        if len(shape) == 2 and not self.signals:
            self.refuse("samples of two axes have their channels in front there, and last here; put Flatten first")

    def takes_last_axis(self, shape: Shape) -> None:
        """Refuse samples whose last axis is another one there."""
        if self.front(shape):
            self.refuse("it takes the last axis, which is the width of images there, and the channels here")


Make = Callable[[Asked, Shape], Layer]


def one(value: Any) -> Any:
    """Return a setting of both axes as one number where they are equal."""
    if isinstance(value, tuple | list):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def with_fields(layer: type[Layer], *fields: str, **only: Any) -> Make:
    """Return what makes a layer of these fields of a module, whose other settings may only be what portanet does."""

    def make(m: Asked, shape: Shape) -> Layer:
        m.only(**only)
        return layer(*(getattr(m, name) for name in fields))

    return make
