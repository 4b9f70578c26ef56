"""The callbacks of each member of a fleet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from portanet.callbacks.base import Callback, checked
from portanet.callbacks.learning_rate import on_divergence as answer
from portanet.errors import ConfigError

__all__ = ["member_callbacks"]


def member_callbacks(
    given: Sequence[Callback] | Callable[[int], Sequence[Callback]], on_divergence: str, k: int
) -> list[list[Callback]]:
    """Return the callbacks of each of `k` members, in the order in which they are called; see :meth:`Fleet.fit`.

    Raises
    ------
    ConfigError
        If one is not a Callback, or all members would write to one file.
    """
    if not callable(given):
        for hook in checked(given):
            place = getattr(hook, "path", getattr(hook, "log_dir", None))
            if hook.writes and place is not None and k > 1:
                name = type(hook).__name__
                message = (
                    f"fit: the {k} members would all write to {place} ({name}); give each a file, by a function of its "
                    f"number: callbacks=lambda i: [{name}(f'{{i}}.file')]"
                )
                raise ConfigError(message)
    found = [checked(given(i)) if callable(given) else copy.deepcopy(checked(given)) for i in range(k)]
    for own in found:
        own += answer(on_divergence, own)
        own.sort(key=lambda hook: hook.runs_last)
    return found
