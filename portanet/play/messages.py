"""What a page may ask, as messages: the same ones reach Python through a server and within the browser."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from portanet.errors import ConfigError, PortanetError, unknown
from portanet.play.session import KINDS, Session
from portanet.play.settings import described

if TYPE_CHECKING:
    from portanet.training.model import Model

__all__ = ["Page", "answer"]

METHODS = (
    *("about", "step", "score", "boundary", "maps", "weights", "gradients"),
    *("activations", "predict", "trace", "source"),
)
"""The methods of a session that a page may call."""


class Page:
    """The sessions of one page: at most one of each kind.

    Parameters
    ----------
    network : Model, optional
        The network of the digits; by default the one that is installed with portanet.
    """

    def __init__(self, network: Model | None = None) -> None:
        self.network = network
        self.sessions: dict[str, Session] = {}

    def call(self, method: Any, arguments: Any) -> Any:
        """Return the answer to one message, as plain values.

        Parameters
        ----------
        method : str
            ``"described"``, ``"open"``, ``"frame"``, or a method of a session; ``kind`` in the arguments says which.
        arguments : dict

        Raises
        ------
        PortanetError
            If the method, an argument or a value is invalid.
        """
        if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
            message = f"arguments: expected names and values, got {arguments!r:.60}"
            raise ConfigError(message)
        if method == "described":
            return self._with(described, method, arguments)
        kind, rest = arguments.get("kind"), {name: value for name, value in arguments.items() if name != "kind"}
        if kind not in KINDS:
            raise ConfigError(unknown("kind", kind, KINDS))
        if method == "open":
            return self._with(self._open, method, {"kind": kind, **rest})
        if method not in (*METHODS, "frame"):
            raise ConfigError(unknown("method", method, ("described", "open", "frame", *METHODS)))
        if kind not in self.sessions:
            message = f"{method}: there is no session of kind {kind!r} yet; open one"
            raise ConfigError(message)
        session = self.sessions[kind]
        if method == "frame":
            return self._with(self._frame, method, rest)
        return self._with(getattr(session, method), method, rest)

    def _open(self, kind: str, settings: Any = None) -> dict[str, Any]:
        self.sessions[kind] = Session(kind, settings, network=self.network if kind == "digit" else None)
        return self.sessions[kind].about()

    def _frame(self, steps: int = 1, side: int = 40) -> dict[str, Any]:
        """Take steps and return what is drawn after them: losses, boundary and weights."""
        session = self.sessions["points"]
        return {**session.step(steps), "boundary": session.boundary(side), "weights": session.weights()}

    def _with(self, function: Callable[..., Any], method: str, arguments: Mapping[str, Any]) -> Any:
        known = inspect.signature(function).parameters
        for name in arguments:
            if name not in known:
                raise ConfigError(f"{method}: " + unknown("argument", name, known))
        for name, parameter in known.items():
            if parameter.default is parameter.empty and name not in arguments:
                message = f"{method}: expected the argument {name!r}"
                raise ConfigError(message)
        return function(**arguments)


def answer(page: Page, method: Any, arguments: Any) -> str:
    """Return the answer to a message as JSON: ``{"result": ...}``, or ``{"error": "..."}`` for people to read."""
    try:
        return json.dumps({"result": page.call(method, arguments)}, allow_nan=False)
    except PortanetError as error:
        return json.dumps({"error": str(error)})
    except (ValueError, TypeError, OverflowError, FloatingPointError) as error:  # inf and NaN are no JSON
        return json.dumps({"error": f"{method}: the numbers are no longer finite, or invalid ({error!s:.200})"})
    except Exception as error:  # the page says so and goes on
        return json.dumps({"error": f"internal error, {type(error).__name__}: {error!s:.200}"})
