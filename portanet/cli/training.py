"""What ``portanet train`` does, step by step: data and network first, so that nothing is written for what cannot be."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portanet import losses, optimizers
from portanet.callbacks import Callback, EarlyStopping, TimeLimit, TrainingCheckpoint
from portanet.cli import columns, environment, intervals, network, recipe, run_folder, schedule
from portanet.cli.config import as_toml
from portanet.cli.describe import data_in_words, network_in_words
from portanet.cli.parameters import seconds
from portanet.cli.pictures import load_data
from portanet.cli.signals import Interrupts
from portanet.cli.train_options import NAMED, NOT_OF_NAMED, OF_HIDDEN_LAYERS, Options
from portanet.data import Samples
from portanet.data.batching import prepare
from portanet.data.planned import encoded, plan_of, without_gaps
from portanet.distributed.ranks import Ranks
from portanet.errors import ConfigError, DataError, DivergedError, OutOfMemoryError, PortanetError, need
from portanet.files.atomic import write
from portanet.recipes import Recipe
from portanet.training import batch_size as memory
from portanet.training.trainer import Trainer

logger = logging.getLogger("portanet")

VAL_FRACTION = 0.1  # where something watches the validation and the user names no share


class Training:
    """A training that is ready to run: its options with all that the user left open filled in, data and trainer."""

    def __init__(self, options: Options, ranks: Ranks | None = None) -> None:
        if options.plots and importlib.util.find_spec("matplotlib") is None:
            need("matplotlib", "plot", "--plots")  # raises, before hours of training
        rates = schedule.parse(options.schedule or "constant")  # before data is read, which may take long
        watched = bool(options.early_stop) or schedule.watches_validation(rates)
        fraction = options.val_fraction
        self.ranks = ranks
        reading, wishes = columns.reading(options), columns.wishes(options)
        dataset = load_data(options, reading, stream=options.stream)
        if watched and fraction == 0 and dataset.x_val is None:
            message = "--val-fraction 0: --early-stop and a plateau schedule watch the validation loss; give it a share"
            raise ConfigError(message)
        if dataset.x_val is not None and fraction:
            message = f"--val-fraction {fraction:g}: {dataset.name} has a validation part; leave it out"
            raise ConfigError(message)
        dataset = without_gaps(dataset, wishes) if options.missing == "drop" else dataset
        options = recipe.filled(options, dataset)
        rates = schedule.parse(options.schedule)
        fraction = options.val_fraction
        if fraction is None:
            fraction = VAL_FRACTION if watched and dataset.x_val is None else 0.0
        if options.class_weight and not dataset.classes:
            message = "--class-weight balanced: the targets are numbers, not classes; leave it out"
            raise ConfigError(message)
        rows = prepare.split(dataset.y, fraction, options.seed, stratify=bool(dataset.classes)) if fraction else None
        # Before the network is built: what a column is, and what it is standardized by, is the training part's alone.
        self.plan = plan_of(dataset, rows and rows[0], wishes, reading)
        columns.check_table(options, dataset, self.plan)
        self.dataset = encoded(dataset, self.plan)
        self._part, self._validation = self.dataset, None
        if self.dataset.x_val is not None:
            self._validation = (self.dataset.x_val, self.dataset.y_val)
        if rows:
            parts = [(prepare.take_rows(self.dataset.x, r), prepare.take_rows(self.dataset.y, r)) for r in rows]
            self._part, self._validation = dataclasses.replace(self.dataset, x=parts[0][0], y=parts[0][1]), parts[1]
        loss = network.choose_loss(options, self._part)
        net, found = network.designed(options, self._part, loss, self.plan)
        self.trainer = Trainer(
            net,
            loss,
            optimizer(options, found),
            network.metrics(self.dataset, loss),
            schedule=rates,
            classes=self.dataset.classes or (self.dataset.outputs if self.dataset.labels else ()),
            ranks=ranks,
            **{name: getattr(options, name) for name in ("backend", "dtype", "seed", "l1", "l2", "class_weight")},
        )
        self.trainer.columns = self.plan
        self.trainer.pictures = self.dataset.pictures
        rates.prepare(self.trainer.metrics)  # what it refuses is said before a run folder is made
        recipe.start(found, self.trainer, tuple(self.dataset.x.shape[1:]))
        network.check_outputs(self.trainer.outputs, self.dataset, loss)
        if options.init_from is not None:
            self.trainer.load_weights(options.init_from, strict=False)
        self.options = dataclasses.replace(
            options,
            stream=isinstance(self.dataset.x, Samples),
            loss=next(name for name, kind in losses.LOSSES.items() if type(loss) is kind),
            lr=self.trainer.optimizer.lr,
            val_fraction=fraction,
            batch_size=self._batch_size(options),
            backend=self.trainer.backend.spec,
        )

    def _batch_size(self, options: Options) -> int | str:
        """Return the batch size, a number where it was left to us: so a resumed run takes the same one anywhere."""
        if options.batch_size != "auto":
            return options.batch_size
        size = memory.auto_batch_size(self.trainer, self._part.x.shape[0])
        size = size if self.ranks is None else min(self.ranks.gather(size))
        logger.info("--batch-size auto: %d", size)
        return size

    def in_words(self) -> list[str]:
        """Return what was decided, for the user to see."""
        o, trainer = self.options, self.trainer
        kind = next(name for name, kind in optimizers.OPTIMIZERS.items() if type(trainer.optimizer) is kind)
        processes = "" if self.ranks is None else f", by {self.ranks.size} processes"
        return [
            f"data     {data_in_words(self.dataset)}",
            *(f"column   {line}" for line in ([] if self.plan is None else columns.plan_lines(self.plan))),
            f"network  {network_in_words(trainer.net, trainer.params)}",
            *([] if o.recipe == recipe.PLAIN else [self._recipe_in_words()]),
            f"training {o.loss}, {kind} with lr {o.lr:g}, on {trainer.backend.spec} in {o.dtype}{processes}",
        ]

    def _recipe_in_words(self) -> str:
        o = self.options
        kept = f", the best by {len(self._validation[0])} samples is kept" if self._validation else ""
        mean = f", {o.n_ens} networks" if o.n_ens > 1 else ""
        steps = f"{o.epochs} epochs of {o.batch_size} samples a step"
        return f"recipe   {o.recipe}: {steps}{mean}{kept}; another: --recipe plain"

    def config(self) -> str:
        """Return the resolved configuration as TOML, from which ``--config`` makes the same run again."""
        values = dataclasses.asdict(self.options)
        del values["out"]  # a second run needs a folder of its own
        listed = isinstance(self.options.layers, list)
        for name in OF_HIDDEN_LAYERS if listed else NOT_OF_NAMED if self.options.model in NAMED else ():
            del values[name]
        return as_toml(values)

    def prepare(self, folder: Path, arguments: Sequence[str]) -> None:
        """Write what is known before the first step into the run's folder."""
        run_folder.refuse_taken(str(folder))  # again: now no other process can take it
        with run_folder.begun(folder):
            write(folder / run_folder.CONFIG, self.config())
            if self.plan is not None:
                run_folder.write_json(folder / run_folder.COLUMNS, self.plan.as_dict())
            about = environment.environment(self.trainer, self.dataset, arguments)
            run_folder.write_json(folder / run_folder.ENVIRONMENT, about)

    def run(
        self,
        folder: Path,
        report: dict[str, Any],
        arguments: Sequence[str],
        *,
        resume: bool = False,
        verbose: bool,
        hooks: Sequence[Callback] = (),
    ) -> int:
        """Train, evaluate the test part, and fill in and write the report, however it ends; return the exit code.

        Raises
        ------
        DataError
            If the training that is to be resumed is not in the folder, or was another one.
        """
        began = time.perf_counter()
        recorder = run_folder.Recorder(folder)
        every = self.options.checkpoint_every
        often: Any = {"steps": int(every)} if every.isdecimal() else {"minutes": seconds(every) / 60}
        saved = TrainingCheckpoint(folder / run_folder.CHECKPOINT, **often)
        epochs = self.options.epochs
        if resume:
            self.trainer.resume(saved.path)
            epochs = max(epochs - self.trainer.epoch, 0)
        refused = ended = False
        report.update({"run": str(folder), "metrics": {}, "stopped": "interrupted"})
        first = self.trainer.strategy.writes
        noted = environment.resumed(folder, self.trainer, arguments) if resume and first else contextlib.nullcontext()
        with noted, Interrupts(self.trainer) as interrupts:
            try:
                history = self.trainer.fit(
                    self._part,
                    epochs=epochs,
                    batch_size=None if self.options.batch_size == "full" else int(self.options.batch_size),
                    validation_data=self._validation,
                    callbacks=[interrupts, recorder, *self._callbacks(), *hooks, saved],
                    on_divergence=self.options.on_divergence,
                    verbose=verbose,
                    join_last=True,
                )
                report["metrics"] = recorder.metrics
                if self.ranks is not None:  # a signal may have come to one of the processes
                    interrupts.received = max(self.ranks.gather(interrupts.received))
                if not interrupts.received:
                    report["stopped"] = history.stopped
                    report["metrics"] |= self._test(folder, recorder)
                ended = True
            except PortanetError as error:
                refused = resume and isinstance(error, DataError)
                known = ((DivergedError, "diverged"), (OutOfMemoryError, "out of memory"))
                report["stopped"] = next((words for kind, words in known if isinstance(error, kind)), "error")
                report["error"] = str(error)
                raise
            finally:
                report["metrics"] = recorder.metrics | report["metrics"]
                report["epochs"] = recorder.epochs
                report["best_epoch"] = recorder.best.get("epoch", 0)
                report["seconds"] = round(time.perf_counter() - began, 3)
                # An error on its way is the one to tell, also where it leaves no room for a report.
                with contextlib.nullcontext() if ended else contextlib.suppress(DataError):
                    if first and not refused:  # else the report there is still the one of what was done
                        run_folder.write_json(folder / run_folder.REPORT, report)
        return interrupts.exit_code if interrupts.received else 0

    def progress(self) -> str:
        """Return in words how far the training came."""
        done, end = self.trainer.epoch, self.options.epochs
        return f"in epoch {done + 1} of {end}" if self.trainer.position else f"after epoch {done} of {end}"

    def draw(self, folder: Path) -> list[Path]:
        """Draw the run's pictures and return their paths."""
        from portanet.plot import run_plots

        x_val, y_val = self._validation or (None, None)
        parts = dataclasses.replace(self._part, x_val=x_val, y_val=y_val)
        return run_plots(folder, self.trainer, parts, of="training samples")

    @property
    def held_out(self) -> bool:
        """Whether there are samples that the weights were not trained on."""
        return self._validation is not None or self.dataset.x_test is not None

    def _callbacks(self) -> list[Callback]:
        o = self.options
        patience: list[Callback] = [EarlyStopping("val_loss", o.early_stop)] if o.early_stop else []
        return [*patience, *([TimeLimit(o.time_limit)] if o.time_limit else [])]

    def _test(self, folder: Path, recorder: run_folder.Recorder) -> dict[str, float]:
        """Return the test part's metrics, by the weights that ``evaluate`` and ``predict`` take: the best ones."""
        data = self.dataset
        if recorder.best and (recorder.best["epoch"] != self.trainer.epoch or self.trainer.position):
            epoch = int(recorder.best["epoch"])
            self.trainer.restore(run_folder.best_weights(folder, self.trainer, epoch))
        if self.ranks is not None:  # rank 0 alone knows the best epoch
            self.trainer.restore_state(self.trainer.strategy.broadcast(self.trainer.copy_state))
        if self._validation and not data.classes and not data.labels and self.trainer.strategy.writes:
            intervals.keep(folder, self.trainer, *self._validation)
        if data.x_test is None:
            return {}
        return {f"test_{name}": value for name, value in self.trainer.evaluate(data.x_test, data.y_test).items()}


def optimizer(options: Options, found: Recipe | None = None) -> optimizers.Optimizer:
    """Return the optimizer that the options ask for; that of a recipe with their settings if one was found.

    Raises
    ------
    ConfigError
        If its name is unknown, or it has no such setting.
    """
    kind = optimizers.OPTIMIZERS.get(options.optimizer, optimizers.SGD)
    if options.momentum is not None and not hasattr(kind, "momentum"):
        message = f"--momentum: {options.optimizer} has none of its own to set; it belongs to --optimizer sgd"
        raise ConfigError(message)
    lr = 0.1 if options.lr is None and options.optimizer == "sgd" else options.lr
    asked = {
        "lr": lr,
        **{name: getattr(options, name) for name in ("momentum", "weight_decay", "clip_norm", "max_norm")},
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    return (
        optimizers.get(options.optimizer, **asked) if found is None else dataclasses.replace(found.optimizer, **asked)
    )
