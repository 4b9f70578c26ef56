"""The choice of a backend: names, what is told, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.backends import get, select, status
from portanet.backends.diagnosis.probe import probe
from portanet.errors import BackendError, ConfigError
from tests.backends import stand_in
from tests.backends.at_hand import require
from tests.backends.stand_in import CUDARuntimeError

pytestmark = pytest.mark.usefixtures("fresh_choice")


@pytest.mark.parametrize(
    ("devices", "name", "words"),
    [
        (1, "cupy:1", "there is one device, cupy:0, and number 1"),
        (2, "cupy:7", "there are 2 devices, cupy:0 to cupy:1"),
    ],
)
def test_a_device_beyond_those_there_are(monkeypatch, devices, name, words):
    stand_in.install(monkeypatch, devices=devices)
    with pytest.raises(BackendError, match=words):
        get(name)


def test_auto_tells_once_what_it_took_and_why(monkeypatch, caplog):
    stand_in.install(monkeypatch, count=CUDARuntimeError(803))
    with caplog.at_level(logging.INFO, logger="portanet"):
        get(quiet=True)
        assert not caplog.records
        get()
        get(None)
        get("auto")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name == "portanet.backends"
    assert record.getMessage() == (
        "portanet: running on numpy (the NVIDIA driver was updated and its kernel module is still the old one "
        "(CUDA status 803); see portanet doctor)"
    )


def test_the_line_of_auto_is_short_and_advises_nothing(monkeypatch, caplog):
    stand_in.install(monkeypatch, driver=0, count=CUDARuntimeError(35), hardware=False)
    get("auto")
    assert caplog.messages == [
        "portanet: running on numpy (no NVIDIA driver was found, and this machine has no NVIDIA GPU; "
        "see portanet doctor)"
    ]


def test_a_trainer_tells_when_it_computes_and_not_before_an_error(monkeypatch, caplog):
    stand_in.install(monkeypatch, count=CUDARuntimeError(803))
    x, y = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])
    trainer = pn.Trainer([pn.Dense(2)])
    trainer.init((3,))
    for wrong in (np.zeros((4, 2), np.float32), np.full((4, 3), np.nan)):
        with pytest.raises(pn.DataError):
            trainer.fit(wrong, y, verbose=False)
        with pytest.raises(pn.DataError):
            trainer.predict(wrong)
    assert not caplog.records
    trainer.predict(x)
    trainer.fit(x, y, epochs=1, verbose=False)
    assert [record.name for record in caplog.records] == ["portanet.backends"]
    select.forget()
    pn.Trainer([pn.Dense(2)], backend="numpy").fit(x, y, epochs=1, verbose=False)
    assert len(caplog.records) == 1


def test_the_environment_names_what_auto_takes(monkeypatch, caplog):
    stand_in.install(monkeypatch, count=CUDARuntimeError(803))
    monkeypatch.setenv("PORTANET_BACKEND", "strict")
    assert get("auto").name == get(None).name == "strict"
    assert get("numpy").name == "numpy"
    assert pn.Trainer([pn.Dense(2)]).backend.name == "strict"
    assert select.choose() == ("strict", "PORTANET_BACKEND=strict")
    monkeypatch.setenv("PORTANET_BACKEND", "nunpy")
    with pytest.raises(ConfigError, match="PORTANET_BACKEND: unknown backend 'nunpy'; did you mean 'numpy'"):
        get("auto")
    monkeypatch.setenv("PORTANET_BACKEND", "cupy")
    with pytest.raises(BackendError, match="PORTANET_BACKEND: the backend 'cupy' cannot be used"):
        get("auto")
    assert not caplog.records
    monkeypatch.setenv("PORTANET_BACKEND", "")
    assert get("auto").name == "numpy"


def test_auto_tells_of_a_gpu_as_information(monkeypatch, caplog):
    stand_in.install(monkeypatch)
    numpy = get("numpy")
    monkeypatch.setattr(select, "_make", lambda name: numpy)  # the stand-in has no namespace to build on
    with caplog.at_level(logging.INFO, logger="portanet"):
        get("auto")
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "portanet: running on cupy (CuPy 14.2.0 on cupy:0 (Stand-in))"


def test_auto_prints_one_line_to_stderr_where_logging_is_not_set_up(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("raise ImportError('broken on purpose')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from portanet.backends import get; get(); get()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    came = f"{tmp_path / 'cupy' / '__init__.py'}, which comes first on the path, cannot be imported"
    assert done.stderr == f"portanet: running on numpy ({came}; see portanet doctor)\n"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nunpy", "numpy"),
        ("cupi", "cupy"),
        ("torch:cuda:x", "torch:cuda:0"),
        ("cupy:-1", "cupy:1"),
        ("numpy:0", "numpy"),
        ("gpu", "cupy"),
        ("cuda", "cupy"),
        ("CUDA:1", "cupy:1"),
        ("cpu", "numpy"),
        ("torch:gpu", "torch:cuda"),
        ("Torch:GPU:1", "torch:cuda:1"),
        ("jax:cuda", "jax:gpu"),
        ("jax:cuda:2", "jax:gpu:2"),
        ("NumPy", "numpy"),
        ("CuPy:1", "cupy:1"),
        ("JAX", "jax"),
    ],
)
def test_an_unknown_name_answers_with_the_nearest(name, near):
    with pytest.raises(ConfigError, match=f"unknown backend '{name}'; did you mean '{near}'") as caught:
        get(name)
    assert caught.value.exit_code == 2


def test_a_backend_passes_through():
    backend = get("numpy")
    assert get(backend) is backend
    assert get("numpy") is backend


@pytest.mark.parametrize(("library", "use"), [("torch", "torch.ones(2000, 2000)"), ("jax", "jax.numpy.ones(3) + 1")])
def test_a_forked_child_is_refused_in_words(library, use):
    require(library)
    code = f"""
import os, signal, warnings
warnings.simplefilter("ignore")
import {library}
from portanet.backends import get
backend = get("{library}")
if "{library}" == "torch":
    torch.set_num_threads(2)
x = {use}
float((x @ x).sum() if x.ndim == 2 else x.sum())
if os.fork() == 0:
    signal.alarm(20)  # a child that hangs is ended
    try:
        backend.asarray([1.0])
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    if "{library}" == "torch":
        torch.set_num_threads(1)
        print(backend.asarray([1.0]).tolist(), flush=True)
    os._exit(0)
assert os.wait()[1] == 0
print(backend.to_numpy(backend.asarray([2.0])).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, *rest = done.stdout.splitlines()
    assert f"BackendError [{library}:cpu" in said
    assert "this process was forked from one that had loaded" in said
    assert "start it by spawn (multiprocessing.get_context('spawn'))" in said
    assert rest == (["[1.0]", "[2.0]"] if library == "torch" else ["[2.0]"])


def test_status_does_not_let_jax_take_the_gpus_memory(monkeypatch):
    require("jax")
    import jax

    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    seen = []
    devices = jax.devices

    def watched(*arguments):
        seen.append(os.environ.get(name))
        return devices(*arguments)

    monkeypatch.setattr(jax, "devices", watched)
    monkeypatch.delenv(name, raising=False)
    select.forget()
    status()
    assert set(seen) == {"false"}
    assert name not in os.environ
    seen.clear()
    select.forget()
    monkeypatch.setenv(name, "true")  # the user's own choice stands
    status()
    assert set(seen) == {"true"}
    seen.clear()
    select.forget()
    monkeypatch.delenv(name)
    get("jax")
    assert set(seen) == {None}


def test_status_is_frozen_and_names_every_library():
    found = status()
    assert [one.name for one in found] == ["numpy", "cupy", "torch", "jax"]
    assert all(one.usable == (one.stage == "ready") == (one.reason == "") for one in found)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].usable = False  # type: ignore[misc]


@pytest.mark.parametrize(("name", "package"), [("torch", "torch"), ("jax", "jax"), ("strict", "array-api-strict")])
def test_a_library_that_is_not_installed(monkeypatch, name, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = probe(name)
    assert found.stage == "installed"
    assert "is not installed" in found.reason
    assert found.fix == f"pip install {package}"
    with pytest.raises(BackendError, match="is not installed"):
        get(name)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_library_that_cannot_be_imported(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # Python's own way of refusing an import
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert probe(name).stage == "import"


@pytest.mark.parametrize("name", ["torch:cuda:99", "jax:cpu:99"])
def test_a_device_that_torch_or_jax_lacks(name):
    require(name.partition(":")[0])
    with pytest.raises(BackendError, match=f"'{name}' cannot be used"):
        get(name)
    assert probe(name).stage == "devices"


def test_a_missing_backend_skips_its_tests_unless_it_is_required(monkeypatch):
    stand_in.install(monkeypatch, driver=0)
    monkeypatch.delenv("PORTANET_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no NVIDIA driver"):
        require("cupy")
    monkeypatch.setenv("PORTANET_REQUIRE", "torch,cupy")
    with pytest.raises(pytest.fail.Exception, match="no NVIDIA driver"):
        require("cupy")
