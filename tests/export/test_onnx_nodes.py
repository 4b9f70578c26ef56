"""ONNX's own cases of single nodes: what our layers can express they compute as ONNX's reference does."""

from __future__ import annotations

import pytest

from tests import onnx_nodes

pytest.importorskip("onnx", reason="its cases are those of the package onnx: pip install onnx")


@pytest.mark.slow
def test_nodes_are_onnxs_own():
    found = onnx_nodes.outcomes()
    different = {name for name, outcome in found.items() if outcome == "different"}
    # ONNX keeps the batch's own variance as the running one, and we the unbiased one, as torch does.
    assert different <= {"test_batchnorm_example_training_mode", "test_batchnorm_epsilon_training_mode"}
    assert sum(outcome == "equal" for outcome in found.values()) >= 271
