"""Losses, optimizers, metrics and schedules of the user's own: saved, loaded by custom=, and resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import portanet as pn
from portanet import losses, metrics, optimizers, schedules
from portanet.errors import ConfigError, ModelFileError
from portanet.layers.config import LAYERS, layers_from
from portanet.training.resume import save as checkpoint
from tests.own import Fading, Gate, Noted, Paired, Quartic, Share, Slowing, Twice
from tests.small import blobs, same, trainer
from tests.test_resume import StopAt

CUSTOM = {"Quartic": Quartic, "Slowing": Slowing, "Share": Share, "Fading": Fading, "Twice": Twice}


def data():
    x, _ = blobs()
    return x, x[:, 0] * x[:, 1]


def made(**options):
    given = {
        "loss": Quartic(np.float64(2.0)),
        "optimizer": Slowing(lr=0.02, fade=0.3),
        "metrics": ["mae", Share(0.25), Share(2.0, "most")],
        "schedule": Fading(0.5),
    }
    return trainer([pn.Dense(5), pn.Tanh(), Twice(), pn.Dense(1)], **{**given, **options})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def about(path):
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["portanet"])


def test_all_kinds_come_back(path):
    x, y = data()
    model = made()
    model.fit(x, y, epochs=2, verbose=False)
    model.save(path)
    found: Any = pn.load(path, custom=CUSTOM)
    assert (found.net, found.loss, found.optimizer, found.metrics) == (
        model.net,
        model.loss,
        model.optimizer,
        model.metrics,
    )
    assert type(found.schedule) is Fading
    assert found.schedule.gamma == 0.5
    assert type(found.loss.scale) is float
    assert found.evaluate(x, y) == model.evaluate(x, y)


def test_a_loaded_training_goes_on_as_the_one_that_was_saved(path):
    x, y = data()
    model = made(optimizer=pn.SGD(lr=0.02))  # without a state, which a saved network does not hold
    model.fit(x, y, epochs=2, verbose=False)
    model.save(path)
    found = pn.load(path, custom=CUSTOM)
    rates = [each.fit(x, y, epochs=2, verbose=False)["lr"][-2:] for each in (model, found)]
    assert rates[0] == rates[1]
    assert rates[0] == pytest.approx([0.02 * 0.5**2.5, 0.02 * 0.5**3.5], rel=0.1)
    same(found, model)


def test_one_error_names_all_that_are_not_known_and_the_remedy(path):
    model = made(metrics=[Share()])
    model.init((5,))
    model.save(path)
    with pytest.raises(ModelFileError) as caught:
        pn.load(path)
    said = str(caught.value)
    for part in (
        "layer 2: unknown layer 'Twice'",
        "unknown loss 'Quartic'",
        "unknown optimizer 'Slowing'",
        "unknown schedule 'Fading'",
        "unknown metric 'Share'",
    ):
        assert part in said
    given = '{"Twice": Twice, "Quartic": Quartic, "Slowing": Slowing, "Share": Share, "Fading": Fading}'
    assert f"pn.load(path, custom={given}), or on the command line --import" in said
    given = said.partition("custom=")[2].partition(")")[0]
    assert pn.load(path, custom=eval(given)).loss == model.loss  # the remedy is code that works


def test_a_schedule_alone_that_is_not_known_is_left_out_with_a_warning(path, caplog):
    for schedule in (Fading(0.5), pn.WarmUp(2.0, Fading(0.5))):
        model = trainer(schedule=schedule)
        model.init((5,))
        model.save(path)
        caplog.clear()
        assert pn.load(path).schedule == pn.Constant()
        (said,) = (record.getMessage() for record in caplog.records)
        assert "unknown schedule 'Fading'" in said
        assert 'custom={"Fading": Fading})' in said
        assert said.endswith("its learning rate is constant")
        assert type(pn.load(path, custom={"Fading": Fading}).schedule) is type(schedule)
        assert len(caplog.records) == 1


def test_a_name_of_many_layers_is_said_once(path):
    net = [Gate(pn.Dense(2), Twice()), *[Twice() for _ in range(30)], pn.Dense(3)]
    model = trainer(net)
    model.init((2,))
    model.save(path)
    with pytest.raises(ModelFileError) as caught:
        pn.load(path)
    assert str(caught.value).count("unknown layer 'Twice'") == 1
    assert "layer 0: unknown layer 'Gate'" in str(caught.value)
    assert str(caught.value).count("(known: ") == 1


@pytest.mark.parametrize(
    "make", [Quartic, lambda scale: Quartic(scale), Quartic(4.0)], ids=["class", "function", "ready"]
)
def test_what_custom_may_hold(make, path):
    model = made()
    model.init((5,))
    model.save(path)
    found = pn.load(path, custom={**CUSTOM, "Quartic": make})
    assert found.loss == (make if isinstance(make, pn.Loss) else Quartic(2.0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict, "loss 'Quartic': expected custom= to give a Loss, got <class 'dict'>"),
        (Slowing, "expected custom= to give a Loss, got <class 'tests.own.Slowing'>"),
        (7, "expected custom= to give a Loss, got 7"),
        (lambda scale: scale, "expected custom= to give a Loss, got 2.0"),
        (lambda: Quartic(), "loss 'Quartic': unknown option 'scale'"),
        (lambda *, scale, more: Quartic(scale), "loss 'Quartic': missing 1 required keyword-only argument: 'more'"),
    ],
)
def test_what_custom_may_not_hold(wrong, said, path):
    model = made()
    model.init((5,))
    model.save(path)
    with pytest.raises(ModelFileError) as caught:
        pn.load(path, custom={**CUSTOM, "Quartic": wrong})
    assert said in str(caught.value)


def test_things_within_things(path):
    model = made(
        loss=Paired(pn.Huber(0.5), (Quartic(3.0), pn.MeanAbsoluteError())), schedule=pn.WarmUp(2.0, then=Fading(0.8))
    )
    model.init((5,))
    model.save(path)
    found: Any = pn.load(path, custom={**CUSTOM, "Paired": Paired})
    assert found.loss.first == pn.Huber(0.5)
    assert list(found.loss.others) == [Quartic(3.0), pn.MeanAbsoluteError()]
    assert type(found.schedule.then) is Fading
    assert found.schedule.then.gamma == 0.8
    with pytest.raises(ModelFileError, match=r'custom=\{"Paired": Paired, "Fading": Fading\}') as caught:
        pn.load(path, custom={name: CUSTOM[name] for name in ("Twice", "Slowing", "Share", "Quartic")})
    assert "unknown loss 'Paired'" in str(caught.value)


@pytest.mark.parametrize(
    "schedule",
    [None, *schedules.SCHEDULES, pn.WarmUp(3.0, pn.Plateau("loss", gamma=0.5)), pn.OneCycle(rise=0.1)],
    ids=repr,
)
def test_the_librarys_schedules_come_back(schedule, path):
    model = trainer(schedule=schedule)
    model.init((5,))
    model.save(path)
    assert pn.load(path).schedule == model.schedule


def test_a_schedule_that_no_file_can_describe_does_not_keep_a_network_from_being_saved(path):
    class Given(pn.Schedule):
        def __init__(self, function):
            self.function = function

    model = trainer(schedule=Given(lambda epoch: 1.0))
    model.init((5,))
    model.save(path)
    assert pn.load(path).schedule == pn.Constant()


def test_a_file_of_before_without_a_schedule_is_loaded(path):
    from tests.test_saving_files import without

    model = trainer(metrics=["accuracy"])
    model.init((5,))
    model.save(path)
    path.write_bytes(without("schedule")(path.read_bytes()))
    assert pn.load(path).schedule == pn.Constant()


# Metrics.


def test_metrics_in_the_file(path):
    model = trainer(metrics=["accuracy", "top_2", "f1_score", "r2", pn.Accuracy(name="right"), Share()])
    model.init((5,))
    model.save(path)
    assert about(path)["metrics"] == [
        "accuracy",
        "top_2",
        "f1_score",
        "r2",
        {"name": "accuracy", "options": {"name": "right"}, "column": "right"},
        {"name": "Share", "options": {"most": 0.5, "name": "share"}, "column": "share"},
    ]
    assert pn.load(path, custom={"Share": Share}).metrics == model.metrics
    assert pn.load(path, custom={"share": Share(0.1)}).metrics[-1] == Share(0.1)


def test_a_metric_by_the_name_of_its_column_as_files_of_before_have_it(path):
    from tests.test_saving_files import with_

    model = trainer(metrics=[Share()])
    model.init((5,))
    model.save(path)
    path.write_bytes(with_(["share"], "metrics")(path.read_bytes()))
    assert list(pn.load(path, custom={"share": Share}).metrics) == [Share()]
    with pytest.raises(ModelFileError, match=r'unknown metric .share.*custom=\{"share": share\}'):
        pn.load(path)


# Checkpoints.


def test_a_checkpoint_of_custom_things_is_resumed_bit_for_bit(tmp_path):
    x, y = data()
    net = [Gate(pn.Sequential([pn.Dense(4), pn.BatchNorm()]), pn.Dense(4)), pn.Dropout(0.2), pn.Dense(1)]

    def make():
        rates = pn.WarmUp(2.0, then=Noted())
        return trainer(net, loss=Quartic(2.0), optimizer=Slowing(lr=0.02), metrics=[Share(0.3)], schedule=rates)

    whole = make()
    whole.fit(x, y, epochs=4, batch_size=16, verbose=False)
    first, second = make(), make()
    saved = pn.TrainingCheckpoint(tmp_path / "a")
    first.fit(x, y, epochs=4, batch_size=16, callbacks=[StopAt(3, 2), saved], verbose=False)
    assert second.resume(tmp_path / "a") == 2
    second.fit(x, y, epochs=2, batch_size=16, verbose=False)
    same(second, whole)
    assert second.schedule.then.seen == whole.schedule.then.seen == 5
    assert [row["lr"] for row in second.history] == [row["lr"] for row in whole.history]


def test_what_a_plateau_within_a_warm_up_has_learned_is_resumed(tmp_path):
    x, y = blobs()
    make = partial(trainer, schedule=pn.WarmUp(1.0, pn.Plateau("loss", patience=1, min_delta=10.0)))
    model = make()
    model.fit(x, y, epochs=3, callbacks=[pn.TrainingCheckpoint(tmp_path / "a")], verbose=False)
    assert model.schedule.then.current < 0.02
    again = make()
    again.resume(tmp_path / "a")
    again.fit(x, y, epochs=0, verbose=False)
    assert again.schedule == model.schedule


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": Quartic(3.0)}, r'loss was .*"scale": 2.0.*, is .*"scale": 3.0'),
        ({"optimizer": pn.SGD(lr=0.02)}, r'optimizer was \{"name": "Slowing"'),
    ],
)
def test_a_checkpoint_of_other_custom_things_is_refused(options, said, tmp_path):
    model = made()
    model.init((5,))
    checkpoint(model, tmp_path / "a")
    with pytest.raises(pn.DataError, match=said):
        made(**options).resume(tmp_path / "a")
    made(schedule=Fading(0.7)).resume(tmp_path / "a")  # another schedule may go on


def test_a_checkpoint_holds_numpys_numbers_as_plain_ones(tmp_path):
    model = made(optimizer=pn.SGD(lr=np.float32(0.125)))
    model.init((5,))
    checkpoint(model, tmp_path / "a")
    made(optimizer=pn.SGD(lr=0.125)).resume(tmp_path / "a")


# What no file can describe, and names that are taken.


class Lost(pn.MeanSquaredError):
    """Does not keep what it is made with."""

    def __init__(self, power):
        super().__init__()


@dataclass(frozen=True)
class Anything(pn.MeanSquaredError):
    """Holds what it is given."""

    held: Any = None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": Lost(2)}, "save: Lost does not keep its arguments (power)"),
        ({"loss": type("huber", (Quartic,), {})()}, "save: the loss huber has the name of one of the library's"),
        ({"loss": Anything(held=abs)}, "holds something that a file cannot describe (builtin_function"),
    ],
)
def test_what_cannot_be_described(options, said, path):
    model = made(**options)
    model.init((5,))
    with pytest.raises(ConfigError) as caught:
        model.save(path)
    assert said in str(caught.value)
    assert not path.exists()


def test_to_define_a_class_makes_it_known_to_no_file():
    for known, kinds in (
        (LAYERS, (Gate, Twice)),
        (losses.LOSSES, (Quartic, Paired)),
        (optimizers.OPTIMIZERS, (Slowing,)),
        (metrics.METRICS, (Share,)),
        (schedules.SCHEDULES, (Fading, Noted)),
    ):
        assert not set(kinds) & set(known.values())
        assert all(kind.__module__.startswith("portanet.") for kind in known.values())
    with pytest.raises(ConfigError, match="unknown layer 'Twice'"):
        layers_from([{"type": "Twice"}])


# Layers that hold layers.


@dataclass(frozen=True)
class Holder(pn.Layer):
    """Holds layers in every way."""

    one: pn.Layer
    several: tuple[pn.Layer, ...]
    named: dict[str, pn.Layer] = field(default_factory=dict)
    plain: Any = ()


def test_layers_are_described_in_whatever_a_field_holds():
    held = Holder(pn.Dense(2), (pn.ReLU(), Gate(Twice(), pn.Dense(1))), {"a": pn.Tanh()}, ["x", 1, {"y": [2]}])
    text = json.dumps(held.config())
    (found,) = layers_from([json.loads(text)], {"Holder": Holder, "Gate": Gate, "Twice": Twice})
    assert found == held


def test_of_several_mistakes_in_a_list_each_is_named():
    wrong: list[Any] = [{"output_dim": 0}, {"type": "Dens"}, {"type": "Gate", "value": {"type": "Own"}}, 3]
    with pytest.raises(ConfigError) as caught:
        layers_from(wrong)
    said = str(caught.value)
    for part in (
        "units must be",
        "layer 1: unknown layer 'Dens'; did you mean 'Dense'",
        "layer 2: unknown layer 'Gate'",
    ):
        assert part in said
    assert "layer value: unknown layer 'Own'" in said
    assert "layer 3: expected a dict, got 3" in said
    assert caught.value.missing == ("Dens", "Gate", "Own")
