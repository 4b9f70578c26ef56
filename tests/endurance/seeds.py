"""Small valid files of every form that is read, from which damaged ones are made; they are committed in ``seeds/``.

usage: python -m tests.endurance.seeds    (writes them anew)
"""

from __future__ import annotations

import gzip
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import portanet as pn
from portanet.cli.main import run
from tests.data.make import digit, idx, text, zipped

SEEDS = Path(__file__).with_name("seeds")

X = np.arange(24.0).reshape(8, 3) % 7
Y = np.arange(8) % 2
IMAGES = (np.arange(6 * 16).reshape(6, 4, 4) * 37 % 256).astype(np.uint8)
TABLE = 'kind,"a, or b",b\n' + "".join(f"{'xy'[i % 2]},{i / 3:.3f},{-i}\n" for i in range(12))
FORMATS = {"png": "L", "jpg": "RGB", "bmp": "RGB", "gif": "P", "ppm": "RGB", "tif": "L", "webp": "RGB"}


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def npz(save: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def parquet(columns: dict[str, Any], **how: Any) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, row_group_size=4, **how)
    return file.getvalue()


def put(name: str, **files: bytes | str) -> None:
    """Write files; a double underscore in a name stands for a dot."""
    folder = SEEDS / name
    folder.mkdir(parents=True)
    for key, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / key.replace("__", ".").replace("$", "-")).write_bytes(data)


def data() -> None:
    labels = idx(Y[:6].astype(np.uint8))
    names = ("train$images$idx3$ubyte", "train$labels$idx1$ubyte", "t10k$images$idx3$ubyte", "t10k$labels$idx1$ubyte")
    put("idx/plain", **dict(zip(names, (idx(IMAGES), labels) * 2, strict=True)))
    put("idx/packed", **{f"{name}__gz": packed(idx(IMAGES) if "images" in name else labels) for name in names[:2]})
    put("idx/floats", **{names[0]: idx(IMAGES.astype("f4")), names[1]: labels})
    put("table/header", a__csv=TABLE)
    put("table/tabs", a__tsv="".join(f"{i % 3}\t{i}\t{i * i}\n" for i in range(9)))
    put("table/semicolons", a__csv="".join(f"{i}.5;{2 * i};{i % 2}\r\n" for i in range(9)))
    put("table/utf16", a__csv=TABLE.encode("utf-16"))
    put("table/packed", a__csv__gz=packed(TABLE.encode()))
    split = {"x_train": X[:6], "y_train": Y[:6], "x_test": X[6:], "y_test": Y[6:]}
    put("npz/split", a__npz=npz(np.savez_compressed, **split))
    put("npz/plain", a__npz=npz(np.savez, X=X.astype("f4"), y=np.array(list("abababab"))))
    put("npy/pair", X__npy=npy(X), y__npy=npy(Y))
    put("npy/fortran", X__npy=npy(np.asfortranarray(X.astype(">f4"))), y__npy=npy(Y.astype("i2")))
    put("stream/pair", X__npy=npy(X), y__npy=npy(Y))
    columns = {"a": X[:, 0], "b": X[:, 1].astype("f4")}
    put("parquet/packed", a__parquet=parquet({**columns, "label": np.array(list("abababab"))}))
    put("parquet/plain", a__parquet=parquet({**columns, "label": Y}, compression="none", use_dictionary=False))
    members = {f"trainingDigits/{i % 3}_{i}.txt": text(digit(i)) for i in range(4)}
    (SEEDS / "digits/zip").mkdir(parents=True)
    zipped(SEEDS / "digits/zip/a.zip", members | {"testDigits/1_9.txt": text(digit(9))})
    from PIL import Image

    for suffix, mode in FORMATS.items():
        for i in range(2):
            folder = SEEDS / "images" / suffix / "ab"[i]
            folder.mkdir(parents=True)
            Image.fromarray(np.kron(IMAGES[i], np.ones((2, 2), np.uint8))).convert(mode).save(folder / f"{i}.{suffix}")


def trained() -> None:
    layers = [pn.Standardize.of(X), pn.Dense(4), pn.BatchNorm(), pn.ReLU(), pn.Dropout(0.1), pn.Dense(2)]
    images = [pn.Rescale(255.0), pn.Reshape((4, 4, 1)), pn.Conv2D(2), pn.MaxPool2D(2), pn.Flatten(), pn.Dense(2)]
    for name, net, shape in (("dense", layers, (3,)), ("images", images, (4, 4))):
        (SEEDS / "network" / name).mkdir(parents=True)
        model = pn.Trainer(net, backend="numpy", classes=["a", "b"], metrics=["accuracy"])
        model.init(shape)
        model.save(SEEDS / "network" / name / "net.safetensors")
    words = ["train", "moons", "--layers", "3", "--epochs", "2", "--checkpoint-every", "3", "--early-stop", "9"]
    out = SEEDS / "checkpoint" / "run"
    run([*words, "--backend", "numpy", "--quiet", "--schedule", "plateau", "--out", str(out)])
    for name in ("config", "metrics"):
        (SEEDS / name / "run").mkdir(parents=True)
    shutil.copy(out / "metrics.jsonl", SEEDS / "metrics" / "run")
    shutil.copy(out / "config.toml", SEEDS / "config" / "run")
    layers_ = ('type = "Dense"\nunits = 4', 'type = "ReLU"', 'type = "Dense"\nunits = 1')
    listed = "".join(f"[[layers]]\n{words}\n" for words in layers_)
    put("config/layers", run__toml=f"epochs = 2\n{listed}")
    for name in (".lock", "last.safetensors", "environment.json", "report.json", "metrics.jsonl"):
        (out / name).unlink()


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    data()
    trained()
