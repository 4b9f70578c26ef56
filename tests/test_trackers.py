"""TensorBoard and MLflow: what their own readers find of a training."""

from __future__ import annotations

import sys
import warnings

import pytest

import portanet as pn
from portanet.errors import ConfigError, DataError
from tests.small import blobs, same, trainer
from tests.test_callbacks_files import killed_and_resumed


def read(folder):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its reader's
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tensorboard_reads_each_epochs_row(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    x, y = blobs()
    model, callback = trainer(metrics=["accuracy"]), pn.TensorBoard(tmp_path / "runs" / "one")
    for epochs in (2, 1):  # the second fit goes on in the same folder
        model.fit(x, y, epochs=epochs, validation_fraction=0.2, callbacks=[callback], verbose=False)
    found = read(tmp_path / "runs" / "one")
    assert set(found.Tags()["scalars"]) == set(model.history[0]) - {"epoch"}
    for name in ("loss", "val_loss", "accuracy", "val_accuracy", "lr"):
        assert [event.step for event in found.Scalars(name)] == [1, 2, 3]
        assert [event.value for event in found.Scalars(name)] == pytest.approx(model.history[name], rel=1e-6)


def test_tensorboard_shows_no_epoch_of_a_resumed_training_twice(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    model = killed_and_resumed(lambda: pn.TensorBoard(tmp_path / "runs"), tmp_path)
    found = read(tmp_path / "runs").Scalars("loss")
    assert [event.step for event in found] == [1, 2, 3, 4, 5]
    assert [event.value for event in found] == pytest.approx(model.history["loss"], rel=1e-6)


def test_tensorboard_knows_the_hyper_parameters(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    x, y = blobs()
    trainer().fit(x, y, epochs=1, batch_size=32, callbacks=[pn.TensorBoard(tmp_path)], verbose=False)
    data = read(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(data).session_start_info.hparams
    assert hparams["optimizer"].string_value == "SGD"
    assert hparams["optimizer.lr"].number_value == 0.1
    assert hparams["batch_size"].number_value == 32
    assert hparams["net"].string_value == "Dense 8, Tanh, Dense 3"


def test_tensorboard_in_a_place_that_is_none(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    x, y = blobs()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"TensorBoard: .*file.* cannot be written"):
        trainer().fit(x, y, epochs=1, callbacks=[pn.TensorBoard(tmp_path / "file")], verbose=False)


@pytest.mark.parametrize(("callback", "package"), [(pn.TensorBoard("logs"), "tensorboard"), (pn.MLflow(), "mlflow")])
def test_a_package_that_is_absent_is_named_with_the_command(callback, package, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [package, *(n for n in sys.modules if n.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    x, y = blobs()
    with pytest.raises(ConfigError, match=rf'needs {package}.*pip install "portanet\[{package}\]"'):
        trainer().fit(x, y, epochs=1, callbacks=[callback], verbose=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return MLflow and where it keeps its runs: a SQLite file of this test alone."""
    why = "mlflow is not installed (850 MB, so it is not part of the test extra): pip install mlflow"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its own imports
        mlflow = pytest.importorskip("mlflow", reason=why)
    monkeypatch.chdir(tmp_path)  # artifacts go below the working folder
    yield mlflow, f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(None)


@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_parameters_metrics_and_the_network(store, tmp_path):
    mlflow, uri = store
    x, y = blobs()
    model = trainer(metrics=["accuracy"])
    callback = pn.MLflow(uri, "trees", "first", save_model=True)
    for epochs in (2, 1):  # the second fit goes on in the same run
        model.fit(x, y, epochs=epochs, validation_fraction=0.2, callbacks=[callback], verbose=False)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("trees").experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (callback.run_id, "first", "FINISHED")
    assert run.data.params["optimizer.lr"] == "0.1"
    assert run.data.params["net"] == "Dense 8, Tanh, Dense 3"
    for name in ("loss", "val_accuracy"):
        found = client.get_metric_history(run.info.run_id, name)
        assert [(m.step, m.value) for m in found] == list(enumerate(model.history[name], start=1))
    same(pn.load(client.download_artifacts(run.info.run_id, "model.safetensors", str(tmp_path))), model)


@pytest.mark.filterwarnings("ignore")
def test_mlflow_logs_to_the_active_run_and_leaves_it_open(store):
    mlflow, uri = store
    x, y = blobs()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mine")
    with mlflow.start_run() as run:
        callback = pn.MLflow()
        trainer().fit(x, y, epochs=1, callbacks=[callback], verbose=False)
        assert callback.run_id == run.info.run_id
        assert mlflow.MlflowClient().get_run(run.info.run_id).info.status == "RUNNING"


@pytest.mark.filterwarnings("ignore")
def test_mlflow_is_told_of_a_training_that_failed(store):
    mlflow, uri = store
    x, y = blobs()
    callback = pn.MLflow(uri, save_model=True)
    model = trainer([pn.Dense(1)], loss="mean_squared_error", optimizer=pn.SGD(lr=1e200))
    with pytest.raises(pn.DivergedError):
        model.fit(x, y + 0.5, epochs=3, callbacks=[callback], verbose=False)
    client = mlflow.MlflowClient(uri)
    assert client.get_run(callback.run_id).info.status == "FAILED"
    assert client.list_artifacts(callback.run_id) == []


@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_no_epoch_of_a_resumed_training_twice(store, tmp_path):
    mlflow, uri = store
    killed_and_resumed(lambda: pn.MLflow(uri), tmp_path)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs(["0"])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_training_goes_on_in_the_same_run(store, tmp_path):
    mlflow, uri = store
    x, y = blobs()

    def hooks():
        return [pn.MLflow(uri), pn.TrainingCheckpoint(tmp_path / "training.safetensors")]

    first = hooks()
    trainer().fit(x, y, epochs=2, callbacks=first, verbose=False)
    again, second = trainer(), hooks()
    again.resume(tmp_path / "training.safetensors")
    again.fit(x, y, epochs=1, callbacks=second, verbose=False)
    assert second[0].run_id == first[0].run_id
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs(["0"])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3]
