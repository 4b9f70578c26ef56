"""Export networks to ONNX, torch, NumPy scripts and plain arrays; import them from torch and scikit-learn.

All take a :class:`portanet.Trainer`, or a fitted MLPClassifier or MLPRegressor of :mod:`portanet.sklearn` or
scikit-learn. Nothing is ever pickled. What each needs beyond NumPy is imported when it is called.
"""

from __future__ import annotations

from portanet.export.npz import to_npz
from portanet.export.numpy_script import to_numpy_script
from portanet.export.onnx_file import onnx_model, to_onnx
from portanet.export.sklearn_import import from_sklearn
from portanet.export.torch_import import from_torch
from portanet.export.torch_state import load_state_dict, state_dict, to_torch, torch_code, torch_module

__all__ = [
    "from_sklearn",
    "from_torch",
    "load_state_dict",
    "onnx_model",
    "state_dict",
    "to_npz",
    "to_numpy_script",
    "to_onnx",
    "to_torch",
    "torch_code",
    "torch_module",
]
