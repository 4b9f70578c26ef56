"""Files whose samples stay on disk: the same numbers as read whole, and what is said of those that are broken."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import portanet as pn
from portanet.data import Samples, sizes
from portanet.data.lazy.moments import moments
from portanet.errors import ConfigError, DataError
from tests.data.make import load, refused


def pair(folder, x, y=None, name="X.npy"):
    np.save(folder / name, x)
    np.save(folder / "y.npy", np.arange(len(x)) % 2 if y is None else y)
    return folder / name


def images(folder, sizes, mode="RGB"):
    pillow = pytest.importorskip("PIL.Image", reason='Pillow is not installed: pip install "portanet[data]"')
    rng = np.random.default_rng(0)
    for i, size in enumerate(sizes):
        place = folder / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8), "RGB").convert(mode).save(
            place / f"{i:02}.png"
        )
    return folder


def parquet(path, columns, rows):
    arrow = pytest.importorskip("pyarrow", reason='pyarrow is not installed: pip install "portanet[data]"')
    writer = pytest.importorskip("pyarrow.parquet")
    writer.write_table(arrow.table(columns), path, row_group_size=rows)
    return path


def alike(whole, disk):
    assert isinstance(disk.x, Samples)
    n = len(whole.x)
    assert (disk.x.shape, disk.x.dtype, len(disk)) == (whole.x.shape, whole.x.dtype, n)
    np.testing.assert_array_equal(disk.x.read(0, n), whole.x)
    np.testing.assert_array_equal(disk.x.read(n // 3, n - 1), whole.x[n // 3 : n - 1])
    rows = np.arange(1, n, 3)
    np.testing.assert_array_equal(disk.x.take(rows).read(1, 4), whole.x[rows[1:4]])
    np.testing.assert_array_equal(disk.x.take(rows).take(np.asarray([0, 2])).read(0, 2), whole.x[rows[[0, 2]]])
    np.testing.assert_array_equal(disk.y, whole.y)
    assert (disk.classes, disk.features, disk.scale) == (whole.classes, whole.features, whole.scale)
    np.testing.assert_allclose(disk.x.mean(axis=0), whole.x.mean(axis=0, dtype="float64"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(disk.x.std(axis=0), whole.x.std(axis=0, dtype="float64"), rtol=1e-12, atol=1e-12)
    assert disk.x.mean() == pytest.approx(whole.x.mean(dtype="float64"), rel=1e-12)
    assert disk.x.std() == pytest.approx(whole.x.std(dtype="float64"), rel=1e-12)
    assert pn.data.fingerprint(disk) == pn.data.fingerprint(disk)


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4", "float32", ">f8", "bool"])
@pytest.mark.parametrize("shape", [(23, 5), (23, 4, 6), (23, 3, 8, 8), (23, 8, 8, 3)])
def test_npy(dtype, shape, tmp_path):
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 200, shape).astype(dtype)
    path = pair(tmp_path, x)
    alike(load(path), load(path, stream=True))


def test_npy_with_a_test_part(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 4))
    for part, n in (("train", 30), ("test", 9)):
        np.save(tmp_path / f"x_{part}.npy", x[:n])
        np.save(tmp_path / f"y_{part}.npy", np.asarray(["no", "yes"])[np.arange(n) % 2])
    disk = load(tmp_path, stream=True)
    alike(load(tmp_path), disk)
    np.testing.assert_array_equal(disk.x_test.read(2, 9), x[2:9])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.asarray([[1, None]]), "refused: it holds Python objects (pickle)"),
        (np.asarray([["a", "b"]]), "expected real numbers, got the type <U1"),
        (np.ones((3, 2), complex), "expected real numbers, got the type complex128"),
        (np.ones(3), "expected samples of the shape (n, features)"),
        (np.asfortranarray(np.ones((3, 2))), "Fortran order"),
    ],
)
def test_npy_that_is_refused(x, words, tmp_path):
    refused(pair(tmp_path, x), "X.npy", words, stream=True)


def test_npy_that_is_cut_off_or_packed(tmp_path):
    path = pair(tmp_path, np.ones((30, 4)))
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    refused(path, "expected 960 bytes of data, as its header says, got 952", stream=True)
    path.write_bytes(content + b"1")
    refused(path, "expected 960 bytes of data", stream=True)
    import gzip

    path.unlink()
    (tmp_path / "X.npy.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / "X.npy.gz", "rows cannot be read out of a compressed file", stream=True)


def test_npy_that_shrinks_while_it_is_read(tmp_path):
    path = pair(tmp_path, np.random.default_rng(0).normal(size=(4000, 4)))
    data = load(path, stream=True)
    data.x.blocks = 100
    os.truncate(path, path.stat().st_size - 800)
    trainer = pn.Trainer([pn.Dense(2)], backend="numpy")
    with pytest.raises(DataError, match=r"X.npy, rows 3900 to 3999: the file ends before them; it has shrunk"):
        trainer.fit(data, epochs=1, verbose=False)
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        trainer.fit(data, epochs=1, verbose=False)


def test_npy_with_a_number_that_is_not_finite(tmp_path):
    x = np.ones((50, 3))
    x[33, 1] = np.nan
    data = load(pair(tmp_path, x), stream=True)
    data.x.blocks = 10
    with pytest.raises(DataError, match=r"X.npy, rows 30 to 39: x: expected finite numbers"):
        pn.Trainer([pn.Dense(2)], backend="numpy").fit(data, epochs=1, verbose=False)
    with pytest.raises(DataError, match=r"X.npy, rows 30 to 39: expected finite numbers"):
        pn.Standardize.of(data.x)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.floats(-1e6, 1e6), st.integers(0, 99))
def test_moments_of_any_blocks(n, block, offset, seed):
    x = np.random.default_rng(seed).normal(size=(n, 3)) + offset

    class Own(Samples):
        name, shape, dtype, blocks = "own", x.shape, x.dtype, block

        def _read(self, start, stop):
            return x[start:stop]

    mean, std = moments(Own(), 0)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, x.std(axis=0), rtol=1e-6, atol=1e-9 * abs(offset) + 1e-12)


def test_images(tmp_path):
    path = images(tmp_path / "all", [(5, 4)] * 20)
    alike(load(path), load(path, stream=True))


def test_images_that_cannot_be_decoded_or_are_of_another_size(tmp_path):
    path = images(tmp_path / "all", [(5, 4)] * 20)
    data = load(path, stream=True)
    (path / "b" / "11.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    trainer = pn.Trainer([pn.Rescale(1 / 255), pn.Flatten(), pn.Dense(2)], backend="numpy")
    with pytest.raises(DataError, match=r"11.png: expected an image that can be decoded"):
        trainer.fit(data, epochs=1, verbose=False)
    images(tmp_path / "other", [(5, 4)] * 11 + [(4, 4)])
    os.replace(tmp_path / "other" / "b" / "11.png", path / "b" / "11.png")
    with pytest.raises(
        DataError,
        match=r"1 of 20 is not of 4×5 pixels, such as .*11.png of 4×4; bring them to one form by --image-size 4x5",
    ):
        trainer.fit(data, epochs=1, verbose=False)


def test_parquet(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 3))
    y = np.asarray(["no", "yes"])[(x[:, 0] > 0).astype(int)]
    path = parquet(tmp_path / "a.parquet", {"p": x[:, 0], "label": y, "q": x[:, 1], "r": x[:, 2]}, 30)
    whole, disk = load(path), load(path, stream=True)
    np.testing.assert_array_equal(whole.x, x)
    assert (whole.classes, whole.features) == (("no", "yes"), ("p", "q", "r"))
    assert disk.x.blocks.tolist() == [0, 30, 60, 90, 100]
    alike(whole, disk)
    trained = []
    for data in (whole, disk):
        trainer = pn.Trainer([pn.Dense(2)], backend="numpy")
        trainer.fit(data, epochs=2, batch_size=8, shuffle=False, verbose=False)
        trained.append(trainer.snapshot()["params"]["0.weight"])
    np.testing.assert_array_equal(*trained)


def test_parquet_of_bytes_and_chosen_targets(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 18), dtype=np.uint8)
    path = parquet(tmp_path / "a.parquet", {f"c{i}": x[:, i] for i in range(18)}, 16)
    disk = load(path, stream=True, target="c3", task="regression")
    assert (disk.x.dtype, disk.scale, disk.x.shape) == (np.uint8, 255.0, (40, 17))
    np.testing.assert_array_equal(disk.y, x[:, 3])
    assert load(path, target="first").features[0] == "c1"
    refused(path, "unknown column 'd'", target="d")


def test_parquet_that_is_broken(tmp_path):
    pytest.importorskip("pyarrow", reason='pyarrow is not installed: pip install "portanet[data]"')
    x = np.arange(20.0)
    path = parquet(tmp_path / "a.parquet", {"p": [*x[:19], None], "label": x % 2}, 7)
    with pytest.raises(DataError, match="row group 2, column 'p': a value is missing"):
        load(path, stream=True).x.read(0, 20)
    refused(
        parquet(tmp_path / "b.parquet", {"p": ["a"] * 4, "q": ["b"] * 4, "label": [0, 1, 0, 1]}, 2),
        "column 'p': expected numbers",
        stream=True,
    )
    refused(parquet(tmp_path / "c.parquet", {"label": [0, 1]}, 2), "got 1; write features and target into one file")
    pa = importlib.import_module("pyarrow")
    twice = pa.Table.from_arrays([pa.array(x), pa.array(x), pa.array(x % 2)], names=["p", "p", "label"])
    importlib.import_module("pyarrow.parquet").write_table(twice, tmp_path / "e.parquet")
    refused(tmp_path / "e.parquet", "expected one column 'p', got 2")
    path = parquet(tmp_path / "d.parquet", {"p": x, "label": x % 2}, 7)
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, "expected a Parquet file that can be read", stream=True)


def test_it_is_streamed_where_memory_is_scarce(tmp_path, monkeypatch, caplog):
    path = pair(tmp_path, np.ones((100, 4)))
    caplog.set_level("INFO")
    assert not isinstance(load(path, stream=None).x, Samples)
    monkeypatch.setattr(sizes, "host_memory", lambda: (5000, 10000))
    assert isinstance(load(path, stream=None).x, Samples)
    assert "read from disk as it is needed, since" in caplog.text
    assert not isinstance(load(path, stream=False).x, Samples)
    assert not isinstance(load(path).x, Samples)


def test_what_is_read_whole(tmp_path):
    with pytest.raises(ConfigError, match="it is read whole"):
        pn.data.load("digits", stream=True)
    np.savez(tmp_path / "a.npz", X=np.ones((3, 2)), y=np.arange(3))
    with pytest.raises(ConfigError, match="it is read whole"):
        load(tmp_path / "a.npz", stream=True)
