"""Schedules: their values at known times, where they rise and fall, and what they refuse."""

from __future__ import annotations

import contextlib
import math
import warnings

import numpy as np
import pytest

import portanet as pn
from portanet import metrics, schedules
from portanet.errors import ConfigError
from portanet.schedules import Constant, Cosine, CosLog, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp
from portanet.training.monitor import direction, improved
from tests.small import blobs, trainer

VALUES = [
    (Constant(), {0: 1, 7.3: 1, 20: 1}),
    (StepDecay(5, 0.5), {0: 1, 4.99: 1, 5: 0.5, 9.99: 0.5, 10: 0.25}),
    (StepDecay(0.5, 0.1), {0.4: 1, 0.5: 0.1, 1.2: 0.01}),
    (Exponential(0.9), {0: 1, 1: 0.9, 2: 0.81, 0.5: math.sqrt(0.9)}),
    (Cosine(), {0: 1, 5: 0.5 + math.sqrt(0.125), 10: 0.5, 20: 0, 25: 0}),
    (Cosine(final=0.2), {0: 1, 10: 0.6, 20: 0.2}),
    (CosLog(), {0: 0, 20 / 15: 0, 4: 0, 28 / 3: 0, 20: 0, 25: 0, (2**0.5 - 1) * 4 / 3: 1, (2**3.5 - 1) * 4 / 3: 1}),
    (CosLog(1), {0: 0, 20 * (2**0.5 - 1): 1, 20 * (2**0.25 - 1): 0.5, 20: 0}),
    (OneCycle(start=0.1, rise=0.25, final=0.01), {0: 0.1, 2.5: 0.55, 5: 1, 12.5: 0.505, 20: 0.01, 30: 0.01}),
    (OneCycle(rise=0.0), {0: 1, 20: 1e-4}),
    (WarmUp(4), {0: 0, 1: 0.25, 4: 1, 20: 1}),
    (WarmUp(5, Cosine()), {0: 0, 2.5: (1 + math.cos(math.pi / 8)) / 4, 5: 0.5 + math.sqrt(0.125), 10: 0.5, 20: 0}),
    (WarmUp(2, WarmUp(4)), {1: 0.125, 2: 0.5, 4: 1}),
    (WarmUp(2, "cosine"), {1: 0.5 * (1 + math.cos(math.pi / 20)) / 2}),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "values"), VALUES, ids=[str(s) for s, _ in VALUES])
def test_values(schedule, values):
    for epoch, factor in values.items():
        assert schedule.factor(epoch, 20) == pytest.approx(factor, abs=1e-12), epoch


@pytest.mark.parametrize(
    ("schedule", "turns"),
    [(StepDecay(3), 0), (Exponential(), 0), (Cosine(), 0), (OneCycle(), 6), (WarmUp(5), 20), (WarmUp(5, Cosine()), 5)],
)
def test_rises_and_falls(schedule, turns):
    rising = [schedule.factor(e, 20) for e in np.linspace(0, turns, 50)]
    falling = [schedule.factor(e, 20) for e in np.linspace(turns, 20, 50)]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    if turns < 20:
        assert falling[-1] < falling[0]


def test_what_schedules_begin_with():
    assert StepDecay() == StepDecay(every=10.0, gamma=0.1)
    assert Exponential() == Exponential(gamma=0.95)
    assert CosLog() == CosLog(cycles=4)
    assert OneCycle() == OneCycle(start=0.04, rise=0.3, final=1e-4)
    assert WarmUp() == WarmUp(epochs=1.0, then=Constant())
    assert Plateau() == Plateau("val_loss", gamma=0.1, patience=5, min_delta=0.0)
    assert (Plateau().waited, Plateau().current, Plateau().best) == (0, 1.0, None)


@pytest.mark.parametrize(("value", "best", "is_so"), [(0.9, 1.0, True), (1.0, 1.0, False), (9.0, None, True)])
def test_improved(value, best, is_so):
    assert improved(value, best, -1) is is_so


def test_plateau():
    plateau = Plateau("val_loss", gamma=0.5, patience=2, min_delta=0.1)
    seen = []
    for value in [1.0, 0.5, 0.45, 0.45, 0.44, 0.3, 0.3, 0.3, 0.3, 0.3]:
        plateau.observe({"val_loss": value})
        seen.append(plateau.factor(0, 0))
    # 0.45 is no improvement by 0.1: the second such epoch cuts, and so does each second one from there.
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


@pytest.mark.parametrize(("monitor", "better"), [("val_accuracy", 0.9), ("val_r2", 0.9), ("val_log_loss", 0.1)])
def test_plateau_knows_what_is_better(monitor, better):
    plateau = Plateau(monitor, patience=1)
    plateau.prepare([metrics.get(monitor.removeprefix("val_"))])
    for value in (0.5, better):
        plateau.observe({monitor: value})
    assert plateau.current == 1.0
    plateau.observe({monitor: 0.5})
    assert plateau.current == 0.1


def test_plateau_is_not_stuck_at_nan():
    plateau = Plateau("val_f1_score", patience=2)
    plateau.prepare([metrics.get("f1_score")])
    for value in (math.nan, 0.1, 0.2, 0.3, 0.4):
        plateau.observe({"val_f1_score": value})
    assert (plateau.current, plateau.best) == (1.0, 0.4)


def test_plateau_within_a_warm_up_sees_the_rows():
    schedule = WarmUp(1, Plateau("loss", patience=1))
    for _ in range(2):
        schedule.observe({"loss": 1.0})
    assert schedule.factor(5, 9) == 0.1


def test_plateau_within_a_warm_up_is_given_the_metrics():
    schedule = WarmUp(1, Plateau("val_accuracy", patience=1))
    schedule.prepare([pn.Accuracy()])
    for value in (0.5, 0.9):
        schedule.observe({"val_accuracy": value})
    assert schedule.factor(5, 9) == 1.0


@pytest.mark.parametrize("of", ["", "then."])
def test_what_a_plateau_has_seen_is_taken_back(of):
    """One that takes it back goes on as the other does."""
    seen, other = (WarmUp(1, Plateau("loss", patience=2)) if of else Plateau("loss", patience=2) for _ in range(2))
    for loss in (1.0, 0.5, 0.5, 0.5, 0.6):
        seen.observe({"loss": loss})
    state = seen.state()
    assert state == {f"{of}best": 0.5, f"{of}waited": 1, f"{of}current": 0.1}
    other.load_state(state)
    assert other.state() == state
    for schedule in (seen, other):
        schedule.observe({"loss": 0.6})
        assert schedule.factor(5, 9) == pytest.approx(0.01)
    assert Cosine().state() == Told().state() == {}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"speed": 1.0}, "the schedule has noted 'speed'"),
        ({"gamma": 0.5}, "the schedule has noted 'gamma'"),
        ({"best": "low"}, "best must be a number or None, got 'low'"),
        ({"waited": [1]}, r"waited must be a whole number of 0 or more, got \[1\]"),
        ({"then.best": 0.5}, "the schedule has noted 'then.best'"),
    ],
)
def test_what_a_schedule_cannot_have_seen_is_refused(state, words):
    plateau = Plateau()
    with pytest.raises(ValueError, match=words):
        plateau.load_state(state)
    assert plateau == Plateau()


class HalfWay(Schedule):
    """Lower in the second half of training."""

    def factor(self, epoch, epochs):
        return 1.0 if epoch < epochs / 2 else 0.1


@pytest.mark.parametrize(
    ("schedule", "depends"),
    [
        (Constant(), False),
        (StepDecay(2), False),
        (Exponential(), False),
        (WarmUp(9), False),
        (Cosine(), True),
        (OneCycle(), True),
        (WarmUp(9, Cosine()), True),
        (HalfWay(), True),
    ],
)
def test_whether_the_end_of_training_counts(schedule, depends):
    assert [schedules.depends_on_end(schedule, epoch) for epoch in (1, 2, 6)] == [depends] * 3


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("loss", -1),
        ("val_loss", -1),
        ("val_mae", -1),
        ("mae", -1),
        ("val_mean_squared_error", -1),
        ("val_mean_absolute_error", -1),
        ("val_max_error", -1),
        ("val_hinge_loss", -1),
        ("val_mean_poisson_deviance", -1),
        ("accuracy", 1),
        ("val_top_5", 1),
        ("val_r2", 1),
        ("val_f1_score", 1),
        ("val_roc_auc_score", 1),
        ("val_matthews_corrcoef", 1),
    ],
)
def test_direction(name, sign):
    own = name.removeprefix("val_")
    known = [] if own == "loss" else [metrics.get(own)]
    assert direction(name, "auto", known, "Plateau") == sign


@pytest.mark.parametrize("monitor", ["loss", "val_rmse", "val_accuracy", "lr"])
@pytest.mark.parametrize(("mode", "sign"), [("min", -1), ("max", 1)])
def test_a_mode_decides(monitor, mode, sign):
    assert direction(monitor, mode, [Rmse(), pn.Accuracy()], "Plateau") == sign
    plateau = Plateau(monitor, patience=1, mode=mode)
    for value in (0.5, 0.5 + sign * 0.1):
        plateau.observe({monitor: value})
    assert (plateau.current, plateau.best) == (1.0, 0.5 + sign * 0.1)


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("val_rmse", "metric 'rmse' does not say by greater_is_better whether a smaller or larger 'val_rmse'"),
        ("rmse", "whether a smaller or larger 'rmse' is better"),
        ("val_acuracy", "unknown column of the history to monitor 'val_acuracy'; did you mean 'val_accuracy'?"),
        ("lr", "for a column that a callback logs"),
    ],
)
def test_a_direction_that_is_not_known(monitor, said):
    with pytest.raises(ConfigError) as caught:
        Plateau(monitor).prepare([Rmse(), pn.Accuracy()])
    assert said in str(caught.value)
    assert "give mode='min' or mode='max'" in str(caught.value)
    with pytest.raises(ConfigError, match="mode='min'"):
        WarmUp(1, Plateau(monitor)).prepare([Rmse(), pn.Accuracy()])


class Rmse(pn.Metric):
    name = "rmse"


def test_directions_of_scikit_learn_are_those_of_its_functions():
    # A function that compares targets with predictions is better for the targets themselves than for their opposite.
    sk = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")
    y, labels = np.linspace(1.0, 2.0, 40), np.arange(40) % 2
    seen = set()
    for name in sk.__all__:
        for target, opposite in ((labels, 1 - labels), (y, 3 - y)):
            with contextlib.suppress(ConfigError, TypeError, ValueError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rises = metrics.get(name).greater_is_better
                good, bad = (float(getattr(sk, name)(target, guess)) for guess in (target, opposite))
                if good != bad:
                    assert (good > bad) is rises, name
                    seen.add(name)
    assert len(seen) > 30
    assert {"f1_score", "matthews_corrcoef", "log_loss", "max_error", "r2_score", "mean_gamma_deviance"} <= seen


@pytest.mark.parametrize(
    ("row", "said"),
    [({"loss": 1.0}, "give validation data to fit()"), ({"loss": 1.0, "val_los": 2.0}, "did you mean 'val_los'?")],
)
def test_a_column_that_is_not_there(row, said):
    with pytest.raises(ConfigError) as caught:
        Plateau().observe(row)
    assert str(caught.value).startswith("Plateau: unknown column of the history to monitor 'val_loss'")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: schedules.get("cosin"), "unknown schedule 'cosin'; did you mean 'cosine'?"),
        (lambda: schedules.get(3), "unknown schedule 3"),
        (lambda: schedules.get("cosine", finl=0.1), "schedule 'cosine': unknown option 'finl'; did you mean 'final'?"),
        (lambda: schedules.get("plateau", best=1.0), "unknown option 'best'"),  # a state, not an option
        (lambda: schedules.get("plateau", waited=1), "unknown option 'waited'"),
        (lambda: schedules.get("plateau", current=1.0), "unknown option 'current'"),
        (lambda: Exponential(math.nan), "Exponential: gamma must be a finite number"),
        (lambda: StepDecay(gamma=math.nan), "StepDecay: gamma must be a finite number"),
        (lambda: OneCycle(start=math.nan), "OneCycle: start must be a number from 0 to 1, got"),
        (lambda: WarmUp(math.inf), "WarmUp: epochs must be a finite number"),
        (lambda: Plateau(gamma=math.nan), "Plateau: gamma must be a number from 0 to 1 (1 excluded), got"),
        (lambda: StepDecay(0), "StepDecay: every must be a finite number above 0, got 0"),
        (lambda: WarmUp(0), "WarmUp: epochs must be a finite number above 0, got 0"),
        (lambda: WarmUp(1, "fast"), "unknown schedule 'fast'"),
        (lambda: OneCycle(rise=1.0), "OneCycle: rise must be a number from 0 to 1 (1 excluded), got 1.0"),
        (lambda: Plateau(patience=0), "Plateau: patience must be a whole number of 1 or more, got 0"),
    ],
)
def test_refused(make, said):
    with pytest.raises(ConfigError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_by_name(name):
    assert type(schedules.get(name)) is schedules.SCHEDULES[name]
    assert schedules.get(name.replace("-", "_")) == schedules.get(name)


def test_none_is_constant_and_a_schedule_itself():
    cosine = Cosine()
    assert schedules.get(None) == Constant()
    assert schedules.get(cosine) is cosine


class Told(Schedule):
    """Keeps the times that it is asked for."""

    def __init__(self):
        self.times, self.rows = [], []

    def factor(self, epoch, epochs):
        self.times.append((epoch, epochs))
        return 1 / len(self.times)

    def observe(self, row):
        self.rows.append(row)


def test_what_a_trainer_asks():
    x, y = blobs(n=10)
    model = trainer(schedule=Told())
    model.init((5,))
    told = model.schedule  # a copy: what a schedule has seen is its trainer's own
    history = model.fit(x, y, epochs=2, batch_size=5, verbose=False)
    model.fit(x, y, epochs=1, batch_size=None, verbose=False)
    assert told.times == [(0.25, 2), (0.75, 2), (1.25, 2), (1.75, 2), (2.5, 3)]  # the middle of each step
    assert history["lr"] == pytest.approx([0.1 / 2, 0.1 / 4, 0.1 / 5])  # that of the epoch's last step
    assert told.rows == history.rows


def test_the_factor_is_in_the_step():
    # Without momentum, half of the rate moves half as far.
    x, y = blobs(n=10)

    def moved(factor):
        class Fixed(Schedule):
            def factor(self, epoch, epochs):
                return factor

        model = trainer(optimizer="sgd", schedule=Fixed())
        model.init((5,))
        before = model.snapshot()["params"]["0.weight"]
        model.fit(x, y, epochs=1, batch_size=None, verbose=False)
        return model.snapshot()["params"]["0.weight"] - before

    np.testing.assert_allclose(moved(0.5), 0.5 * moved(1.0), rtol=1e-9)
