"""The module ``portanet.agree`` is the function ``pn.agree``, with its constants and helpers as attributes."""

from __future__ import annotations

import sys

from portanet.verify.agreement import (
    RUN_TOLERANCE,
    TOLERANCE,
    Agreement,
    agree,
    run_layer,
    run_loss,
    run_optimizer,
    run_training,
)

__all__ = ["RUN_TOLERANCE", "TOLERANCE", "Agreement", "agree", "run_layer", "run_loss", "run_optimizer", "run_training"]

# A submodule takes its name in the package, whenever it is imported: only so pn.agree(...) is always a function.
vars(agree).update({name: globals()[name] for name in __all__}, __all__=__all__)
sys.modules[__name__] = agree  # type: ignore[assignment]
