"""Files of networks that are damaged or something else, and files that cannot be written."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
from safetensors.numpy import load, save

import portanet as pn
from portanet.errors import BackendError, ConfigError, DataError
from portanet.files import atomic as writing
from tests.small import blobs, mlp, trainer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def trained(net=None):
    x, y = blobs()
    model = trainer(net)
    model.fit(x, y, epochs=1, verbose=False)
    return model


def edited(content, change):
    """Return the file's bytes with its description changed by a function."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about = json.loads(header["__metadata__"]["portanet"])
    about = change(about) or about
    return save(load(content), metadata={"portanet": json.dumps(about)})


def without(*keys):
    def change(about):
        for key in keys[:-1]:
            about = about[key]
        del about[keys[-1]]

    return lambda content: edited(content, change)


def with_(value, *keys):
    def change(about):
        for key in keys[:-1]:
            about = about[key]
        about[keys[-1]] = value

    return lambda content: edited(content, change)


def arrays(change):
    def changed(content):
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return save(change(load(content)), metadata=header["__metadata__"])

    return changed


def dropped(name):
    return arrays(lambda tensors: {n: a for n, a in tensors.items() if n != name})


def put(name, array):
    return arrays(lambda tensors: {**tensors, name: array})


DAMAGED = {
    "empty": (lambda content: b"", "damaged or another"),
    "truncated": (lambda content: content[:-20], "damaged or another"),
    "header alone": (lambda content: content[:40], "damaged or another"),
    "text": (lambda content: b"epoch,loss\n1,0.5\n", "damaged or another"),
    "pickle": (lambda content: pickle.dumps({"weight": [1.0]}), "damaged or another"),
    "zeros": (lambda content: bytes(100), "damaged or another"),
    "other safetensors": (lambda content: save(load(content)), "got a safetensors file of another program's"),
    "no JSON": (lambda content: save(load(content), metadata={"portanet": "{"}), "damaged or another"),
    "a list": (lambda content: edited(content, lambda about: [1]), "expected format 1, got [1]"),
    "an empty description": (lambda content: edited(content, lambda about: {"x": 1}), "expected format 1, got None"),
    "a later format": (with_(2, "format"), "expected format 1, got 2; load it with the version of portanet that wrote"),
    **{
        f"no {key}": (without(key), "description is incomplete or of another kind")
        for key in ("net", "loss", "optimizer", "metrics", "dtype", "seed", "l1", "input_shape", "classes", "buffers")
    },
    "an unknown loss": (with_("hinge", "loss", "name"), "unknown loss 'hinge'"),
    "a loss's unknown option": (with_(1, "loss", "options", "x"), "unknown option 'x'"),
    "options in options": (with_({"name": "huber"}, "loss", "options"), "unknown option 'name'"),
    "an epoch beyond all counts": (with_(2**63, "epoch"), "expected a whole number from 0 to 2^53"),
    "a shape of words": (with_(["a"], "input_shape"), "description is incomplete or of another kind"),
    "another shape": (
        with_([5, 5], "input_shape"),
        "array '0.inverse_std': expected shape (5, 5), got (5,); the file was edited",
    ),
    "more units": (with_(9, "net", "layers", 1, "units"), "array '1.bias': expected shape (9,), got (8,)"),
    "an array missing": (dropped("1.weight"), "array '1.weight': expected shape (5, 8), got none"),
    "an array too many": (put("9.weight", np.zeros(2)), "array '9.weight': expected no such array, got (2,)"),
    "an array of another shape": (put("3.bias", np.zeros(2)), "array '3.bias': expected shape (3,), got (2,)"),
    "a buffer missing": (dropped("0.mean"), "array '0.mean': expected shape (5,), got none"),
    "a buffer of another shape": (put("0.mean", np.zeros(4)), "array '0.mean': expected shape (5,), got (4,)"),
    "no buffers at all": (
        lambda content: dropped("0.mean")(dropped("0.inverse_std")(with_([], "buffers")(content))),
        "array '0.inverse_std': expected shape (5,), got none",
    ),
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a good file."""
    x, _ = blobs()
    path = tmp_path_factory.mktemp("saving") / "good"
    trained([pn.Standardize.of(x), *mlp()]).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(path, content, name):
    damage, said = DAMAGED[name]
    path.write_bytes(damage(content))
    with pytest.raises(DataError) as caught:
        pn.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (with_("Dens", "net", "layers", 1, "type"), "layer 1: unknown layer 'Dens'; did you mean 'Dense'?"),
        (with_(1, "net", "layers", 1, "size"), "layer 1 (Dense): unknown argument 'size'"),
        (with_("float16", "dtype"), "dtype must be 'float32' or 'float64', got 'float16'"),
        (with_("sgdd", "optimizer", "name"), "unknown optimizer 'sgdd'"),
        (with_(["f2"], "metrics"), "unknown metric 'f2'"),
    ],
)
def test_what_this_version_does_not_know(path, content, damage, said):
    path.write_bytes(damage(content))
    with pytest.raises(ConfigError) as caught:
        pn.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_not_there_and_a_folder(path):
    with pytest.raises(DataError, match=r"net\.safetensors: expected a file written by portanet, found nothing there"):
        pn.load(path)
    path.mkdir()
    with pytest.raises(DataError, match="found a folder there"):
        pn.load(path)


def test_a_backend_that_is_not_there(path, content, monkeypatch):
    path.write_bytes(content)

    def missing(name, **settings):
        message = "the backend 'cupy' cannot be used"
        raise BackendError(message)

    monkeypatch.setattr(pn.backends, "get", missing)
    with pytest.raises(BackendError, match=r"^the backend 'cupy' cannot be used"):  # the file is not to blame
        pn.load(path, backend="cupy")


# Writing: all or nothing.


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(path, monkeypatch, stage):
    path.write_bytes(b"before")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, stage, full)
    with pytest.raises(
        DataError, match=r"net\.safetensors: cannot be written \(No space left on device\); give a folder"
    ):
        trained().save(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupted_write_leaves_what_was_there(path, monkeypatch):
    path.write_bytes(b"before")

    def interrupted(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writing.write(path, "after")
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("where", ["missing/net", "a file/net", "a folder"])
def test_where_no_file_can_be(tmp_path, where):
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    with pytest.raises(DataError, match=f"{where}: cannot be written"):
        trained().save(tmp_path / where)
    assert sorted(os.listdir(tmp_path)) == ["a file", "a folder"]


def test_the_file_has_the_rights_of_any_other(path):
    before = os.umask(0o027)
    try:
        writing.write(path, "text")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text() == "text"
