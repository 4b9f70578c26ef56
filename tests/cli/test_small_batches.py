"""One sample left over, with BatchNorm: joined to the batch before it, in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.small import blobs

NET = '[[layers]]\noutput_dim = 6\n[[layers]]\ntype = "BatchNorm"\n[[layers]]\noutput_dim = 3\n'


@pytest.mark.parametrize(
    ("n", "size", "said"), [(41, "8", "last 1 of 41 samples join the batch of 8"), (40, "8", ""), (33, "auto", "16")]
)
def test_the_last_sample_is_joined(cli, tmp_path, caplog, n, size, said):
    x, y = blobs(n)
    np.savez(tmp_path / "d.npz", X=x, y=y)
    (tmp_path / "net.toml").write_text(NET)
    done = cli("train", "d.npz", "--config", "net.toml", "--batch-size", size, "--epochs", "2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["epochs"] == 2
    text = done.err + caplog.text
    assert ("join the batch" in text) == bool(said)
    assert said in text


def test_a_single_sample_cannot_be_trained_on(cli, tmp_path):
    x, y = blobs(41)
    np.savez(tmp_path / "d.npz", X=x, y=y)
    (tmp_path / "net.toml").write_text(NET)
    done = cli("train", "d.npz", "--config", "net.toml", "--batch-size", "1", "--out", "run")
    assert done.code == 2
    assert "use batch_size=3" in done.err
