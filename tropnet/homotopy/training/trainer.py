"""Training a network while the strength of its skips goes to zero, so that a killed run goes on to the same weights."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tropnet.arrays.checks import as_count
from tropnet.errors import ShapeError
from tropnet.homotopy.models.skips import strengths
from tropnet.homotopy.schedules import MetricSkipStrengthScheduler
from tropnet.homotopy.training.checkpoints import (
    alike,
    clear_unfinished,
    describe,
    plain,
    random_state,
    read_checkpoint,
    refuse_unreadable,
    restore_random_state,
    seed_random,
    write_checkpoint,
    write_logs,
)
from tropnet.homotopy.training.divergence import DivergenceWatch
from tropnet.homotopy.training.measures import Measure, accuracy, added, mean, stacked
from tropnet.homotopy.training.options import refuse_options, refuse_parts, tensors_of
from tropnet.homotopy.training.order import order_of_examples
from tropnet.homotopy.training.trials import StackedTrials
from tropnet.progress import ends_sooner, track

__all__ = ["Trainer"]

# Reading a value waits for the device; a CPU has nothing to wait for.
_STEPS_BETWEEN_READINGS = 32


@dataclass
class _Epoch:
    """An epoch under way: steps done, sums over their examples of the loss and the measures, seconds so far."""

    step: int = 0
    sums: list[Any] = field(default_factory=list)
    seconds: float = 0.0


class Trainer:
    """Train a network for some epochs, with checkpoints from which a killed run goes on to the same weights.

    An ordinary training loop, for any module and optimizer: schedules of learning rates and of skip strengths step
    after each epoch.

    Parameters
    ----------
    model
        Any torch.nn.Module, on the device to train on. Seed its initial weights (torch.manual_seed) before building it.
        Of `StackedTrials` each trial has an order of the examples of its own, and the history has lists, an entry for
        each trial.
    optimizer
        Of its parameters.
    schedulers
        Those of torch.optim.lr_scheduler and `SkipStrengthScheduler`; the ones that follow a measurement
        (ReduceLROnPlateau and `MetricSkipStrengthScheduler`) are given `monitor`.
    directory
        Where to write `checkpoint.pt`, `log.csv` and `log.json`, and to go on from; None writes nothing.
    seed
        Of the order of the examples, which is drawn for each epoch anew, and of random steps such as dropout: an
        integer from 0 to 2^64 - 1.
    batch_size
        Examples per step.
    loss
        Takes outputs and targets of a batch and returns their mean loss.
    measures
        What else to measure, by name (other than "loss"): functions of outputs and targets that return a mean, a tensor
        without dimensions. For a regression, {}.
    monitor
        The entry of the history that schedules follow, as "validation_loss" or "validation_accuracy"; of trials its
        mean.
    mixed_precision
        torch.bfloat16 or torch.float16, for torch.autocast; float16 with scaled gradients. None computes in the type of
        the parameters.
    checkpoint_seconds
        How often to write a checkpoint within an epoch; 0 after every step. One is written at the beginning and after
        each epoch anyway.
    progress
        Whether to show a bar.

    Attributes
    ----------
    history
        One dict per epoch that is done: epoch (from 1), t (the largest strength of a skip, if there are any),
        learning_rate, loss and measures over the epoch while training, the same of the validation with the prefix
        ``validation_``, seconds.

    Raises
    ------
    ShapeError
        `batch_size` is not positive, `seed` or `mixed_precision` is none of the above, `measures` has a "loss", or
        `schedulers` is no list of them.
    UnsupportedModuleError
        The model has no parameters, or the optimizer none of them.
    NotADirectoryError
        `directory` is a file.

    Notes
    -----
    "The same weights" is bit for bit on one machine and as many threads where PyTorch's operations are deterministic:
    on a CPU they are, on a GPU ask for them (torch.use_deterministic_algorithms). The seeds of the caller stay as they
    were.

    A checkpoint is refused by a run of other options: the model's tensors, loss and measures (by name), the options of
    the optimizer and the schedules, which may stand at their beginning or where the checkpoint has them. Without a
    directory an interrupted `fit` goes on, when it is called again, after the last step that was done.

    The training data are tensors in memory, on the device or not. Data are not part of the checkpoint but for their
    shape.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, sections 4 and 5.3.

    Examples
    --------
    >>> from torch import nn
    >>> from torch.utils.data import TensorDataset
    >>> from tropnet.homotopy import ListSkipStrength, WeightedSkip, remove_skips
    >>> _ = torch.manual_seed(0)
    >>> block = WeightedSkip(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    >>> model = nn.Sequential(block, nn.Linear(2, 2))
    >>> x = torch.randn(200, 2)
    >>> data = TensorDataset(x, (x[:, 0] > 0).long())
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    >>> trainer = Trainer(model, optimizer, [ListSkipStrength(model, [0.5, 0.2, 0.0])], batch_size=10)
    >>> history = trainer.fit(data, epochs=3)
    >>> [round(entry["t"], 3) for entry in history], history[-1]["accuracy"] > 0.9
    ([0.5, 0.2, 0.0], True)
    >>> removed = remove_skips(model)
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        schedulers: Sequence[Any] = (),
        *,
        directory: str | PathLike[str] | None = None,
        seed: int = 0,
        batch_size: int = 64,
        loss: Measure = functional.cross_entropy,
        measures: Mapping[str, Measure] = MappingProxyType({"accuracy": accuracy}),
        monitor: str = "validation_loss",
        mixed_precision: Any = None,
        checkpoint_seconds: float = 60.0,
        progress: bool = False,
    ) -> None:
        refuse_parts(model, optimizer, schedulers)
        refuse_options(measures, mixed_precision, directory)
        self.model, self.optimizer, self.schedulers = model, optimizer, list(schedulers)
        self.directory = None if directory is None else Path(directory)
        self.seed = as_count(seed, "seed", 0, below=2**64, error=ShapeError)
        self.batch_size = as_count(batch_size, "batch_size", 1, error=ShapeError)
        self.measures = {"loss": loss, **measures}
        self.monitor = monitor
        self.mixed_precision = mixed_precision
        self.checkpoint_seconds = checkpoint_seconds
        self.progress = progress
        self.history: list[dict[str, Any]] = []
        self._n_trials = model.n_trials if isinstance(model, StackedTrials) else None
        self._device = next(model.parameters()).device
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=mixed_precision is torch.float16)
        options = {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "mixed_precision": str(mixed_precision),
            "measures": self.measures,
            "monitor": monitor if any(map(_follows, self.schedulers)) else None,
        }
        self._run = describe(model, optimizer, self.schedulers, options)
        self._watch = DivergenceWatch(model, optimizer)
        self._epoch = _Epoch()
        self._random: dict[str, Any] | None = None
        self._written = 0.0

    def fit(self, train: Any, validation: Any = None, *, epochs: int) -> list[dict[str, Any]]:
        """Train until so many epochs are done, those of the checkpoint counted, and return the history.

        The whole model is put in train mode for each epoch, parts that were in eval mode too. For a part that is to
        stay, such as a frozen batch norm, override its `train`.

        Parameters
        ----------
        train, validation
            torch.utils.data.TensorDataset of inputs and targets, or a pair of tensors; the validation may be None.
        epochs
            In all. A run that is done trains nothing, and any may be prolonged.

        Returns
        -------
        list of dict
            The attribute `history`.

        Raises
        ------
        NonFiniteError
            The loss, or a parameter, is NaN or infinite. The message says at which step, learning rate and strength,
            and whether the inputs or the parameters were so before; the checkpoint before stays.
        FileFormatError
            The checkpoint is damaged or that of another run, or some state is more than tensors and plain values.
        ShapeError
            The data are not two tensors of equal length, there are none, `monitor` is not measured, or the loss or a
            measure is not one number.
        """
        inputs, targets = tensors_of(train, "train")
        held_out = None if validation is None else tensors_of(validation, "validation")
        self._refuse_monitor(held_out is not None)
        self._run = {**self._run, "train": [list(inputs.shape), list(targets.shape)]}
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            self._resume()
            try:
                while len(self.history) < epochs:
                    self._descend(self._epoch, inputs, targets)
                    self._finish(self._epoch, len(inputs), held_out)
            finally:
                self._random = random_state(self._device)
        return self.history

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Return the mean loss and measures on data, in eval mode; all parts keep their modes. Of trials, lists.

        Parameters
        ----------
        data
            As of `fit`.

        Raises
        ------
        ShapeError
            The data are not two tensors of equal length, or there are none.
        """
        inputs, targets = tensors_of(data, "data")
        sums = [0.0] * len(self.measures)
        modes = [(part, part.training) for part in self.model.modules()]
        self.model.eval()
        try:
            with torch.no_grad():
                for begin in range(0, len(inputs), self.batch_size):
                    rows = slice(begin, begin + self.batch_size)
                    values = self._measured(*self._evaluated(inputs, targets, rows))
                    sums = added(sums, stacked(values).tolist(), len(inputs[rows]))
        finally:
            for part, training in modes:
                part.training = training
        return self._means(sums, len(inputs))

    def _means(self, sums: list[Any], n: int) -> dict[str, Any]:
        return {name: (np.asarray(total) / n).tolist() for name, total in zip(self.measures, sums, strict=True)}

    def _descend(self, epoch: _Epoch, inputs: Any, targets: Any) -> None:
        """Run the steps of an epoch that are left."""
        self.model.train()
        batches = self._order(len(inputs)).split(self.batch_size, dim=-1)
        every = 1 if self._device.type == "cpu" else _STEPS_BETWEEN_READINGS
        begin, seconds = time.perf_counter(), epoch.seconds
        epoch.sums = epoch.sums or [0.0] * len(self.measures)
        unread: list[Any] = []
        what = f"epoch {len(self.history) + 1}"
        with ends_sooner(""), track(what, "steps", enabled=self.progress) as update:
            try:
                for step in range(epoch.step, len(batches)):
                    unread.append(self._step(*self._batch(inputs, targets, batches[step])))
                    last = step + 1 == len(batches)
                    due = time.monotonic() - self._written >= self.checkpoint_seconds
                    if last or due or len(unread) == every:
                        self._read(epoch, unread, batches, inputs)
                        update(epoch.step, epoch.step / len(batches))
                        epoch.seconds = seconds + time.perf_counter() - begin
                    if due and not last:
                        self._write()
            finally:
                # What was done before an interrupt is not to be done again.
                self._read(epoch, unread, batches, inputs)

    def _step(self, inputs: Any, targets: Any) -> Any:
        """Make one step and return the loss and the measures before it, on the device.

        On a CPU no step is made by a loss that is not finite; elsewhere asking would mean waiting.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss, *others = self._measured(inputs, targets)
        if self._device.type != "cpu" or bool(torch.isfinite(loss).all()):
            self._scaler.scale(loss.sum()).backward()
            self._scaler.step(self.optimizer)
            self._scaler.update()
        return stacked([loss, *others])

    def _measured(self, inputs: Any, targets: Any) -> list[Any]:
        enabled = self.mixed_precision is not None
        with torch.autocast(self._device.type, dtype=self.mixed_precision, enabled=enabled):
            outputs = self.model(inputs)
            measures = [mean(name, measure) for name, measure in self.measures.items()]
            if self._n_trials is not None:
                return [torch.func.vmap(measure)(outputs, targets) for measure in measures]
            return [measure(outputs, targets) for measure in measures]

    def _batch(self, inputs: Any, targets: Any, rows: Any) -> tuple[Any, Any]:
        chosen = rows.to(inputs.device)
        return inputs[chosen].to(self._device), targets[chosen].to(self._device)

    def _evaluated(self, inputs: Any, targets: Any, rows: slice) -> tuple[Any, Any]:
        """Return some examples, for every trial."""
        found = inputs[rows].to(self._device), targets[rows].to(self._device)
        if self._n_trials is None:
            return found
        return tuple(part.expand(self._n_trials, *part.shape) for part in found)

    def _order(self, n: int) -> Any:
        return order_of_examples(n, self.seed, len(self.history), self._n_trials)

    def _read(self, epoch: _Epoch, unread: list[Any], batches: Any, inputs: Any) -> None:
        """Add the values of steps to the sums, forget them, and refuse a loss that is not finite."""
        found = torch.stack(unread).tolist() if unread else []
        unread.clear()
        for values in found:
            rows = batches[epoch.step]
            if not np.isfinite(values[0]).all():
                where = f"at epoch {len(self.history) + 1}, step {epoch.step + 1} of {len(batches)}"
                self._watch.refuse_loss(values[0], where, inputs[rows.to(inputs.device)])
            epoch.sums = added(epoch.sums, values, rows.shape[-1])
            epoch.step += 1

    def _finish(self, epoch: _Epoch, n: int, validation: Any) -> None:
        """Validate, add to the history, let the schedules step, and write checkpoint and logs."""
        begin = time.perf_counter()
        self._watch.refuse_parameters(len(self.history) + 1)
        t = strengths(self.model)
        entry: dict[str, Any] = {"epoch": len(self.history) + 1}
        if t:
            entry["t"] = max(t.values())
        entry["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        entry |= self._means(epoch.sums, n)
        if validation is not None:
            entry |= {f"validation_{name}": value for name, value in self.evaluate(validation).items()}
            if not np.isfinite(entry["validation_loss"]).all():
                where = f"on the validation data after epoch {entry['epoch']}"
                self._watch.refuse_loss(entry["validation_loss"], where, validation[0])
        for scheduler in self.schedulers:
            scheduler.step(*([float(np.mean(entry[self.monitor]))] if _follows(scheduler) else []))
        entry["seconds"] = epoch.seconds + time.perf_counter() - begin
        self.history.append(entry)
        self._epoch = _Epoch()
        self._write()
        if self.directory is not None:
            write_logs(self.directory, self._run, self.history)

    def _refuse_monitor(self, validated: bool) -> None:
        prefixes = ("", "validation_") if validated else ("",)
        names = [prefix + name for prefix in prefixes for name in self.measures]
        if self.monitor not in names and any(map(_follows, self.schedulers)):
            raise ShapeError(
                f"monitor must be one of {', '.join(names)}, which a schedule follows, got '{self.monitor}'."
                f"{'' if validated else ' Pass validation data to measure them.'}"
            )

    def _resume(self) -> None:
        """Go on from the checkpoint, if there is one, with the epoch under way; else write the first."""
        self._written = time.monotonic()
        directory = self.directory
        state = None if directory is None else read_checkpoint(directory, self._run)
        if directory is not None:
            clear_unfinished(directory)
        if directory is None or state is None:
            seed_random(self.seed, self._device)
            if self._random is not None:
                restore_random_state(self._random, self._device)
            if directory is not None:
                refuse_unreadable(self._state())
                self._write()
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(alike(saved, scheduler.state_dict()))
        self._scaler.load_state_dict(state["scaler"])
        restore_random_state(state["random"], self._device)
        self.history = state["history"]
        self._epoch = _Epoch(**state["epoch"])
        self._run = state["run"]
        # The sums of the epoch under way are in this order.
        self.measures = {name: self.measures[name] for name in self._run["measures"]}
        if self.history:
            write_logs(directory, self._run, self.history)

    def _write(self) -> None:
        """Write the checkpoint, unless parameters are not finite."""
        self._written = time.monotonic()
        if self.directory is not None:
            self._watch.refuse_parameters(len(self.history) + 1)
            write_checkpoint(self.directory, self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "run": self._run,
            "model": self.model.state_dict(),
            "optimizer": plain(self.optimizer.state_dict()),
            "schedulers": [plain(scheduler.state_dict()) for scheduler in self.schedulers],
            "scaler": self._scaler.state_dict(),
            "random": random_state(self._device),
            "epoch": vars(self._epoch),
            "history": self.history,
        }


def _follows(scheduler: Any) -> bool:
    """Return whether the steps of a scheduler take a measurement."""
    return isinstance(scheduler, ReduceLROnPlateau | MetricSkipStrengthScheduler)
