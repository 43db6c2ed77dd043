"""Train the network that ships as `phi_1.npz`: phi_1(x, y) = sin(log|x| + log|y|) on [-10, 10]^2.

The setting is that of J. Joyce and J. Verschelde, arXiv:2509.15441, section 5: a grid of spacing 0.1, five hidden
layers of five ReLU neurons, Adam with learning rate 0.01, 20,000 epochs of the full batch. The skips (1, 3) and (2, 4)
are those of section 6.1. A killed run continues from its checkpoint and ends with the same numbers.

    python examples/train_phi_1.py
    python examples/train_phi_1.py --quick
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from tropnet.archives import write_atomically
from tropnet.importers.torch import SkipMLP, from_torch

SHIPPED = Path(__file__).resolve().parents[1] / "tropnet" / "example"
CHECKPOINT_SECONDS = 10.0
PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Config:
    """Everything that the numbers depend on; the epochs only say when to stop."""

    seed: int
    grid_steps_per_unit: int = 10
    half_width: int = 10
    widths: tuple[int, ...] = (2, 5, 5, 5, 5, 5, 1)
    skips: tuple[tuple[int, int], ...] = ((1, 3), (2, 4))
    learning_rate: float = 0.01


def phi_1(points: np.ndarray) -> np.ndarray:
    """Return sin(log|x| + log|y|), shape (n, 1), at points (n, 2) off the axes."""
    return np.sin(np.log(np.abs(points)).sum(axis=1, keepdims=True))


def make_grid(config: Config) -> tuple[np.ndarray, int]:
    """Return the grid points (n, 2) at which phi_1 is defined, and how many were dropped.

    Integers divided at the end: sums of 0.1 would miss 0 by about 1e-15 and keep the points on the axes.
    """
    reach = config.half_width * config.grid_steps_per_unit
    ticks = np.arange(-reach, reach + 1)
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    defined = (grid != 0).all(axis=1)
    return grid[defined] / config.grid_steps_per_unit, int((~defined).sum())


class Training:
    """The state of a run: model, optimizer, epoch and random generator, on disk after every few seconds."""

    def __init__(self, config: Config, checkpoint: Path) -> None:
        self.config, self.checkpoint, self.epoch = config, checkpoint, 0
        points, self.n_dropped = make_grid(config)
        self.points, self.targets = torch.from_numpy(points), torch.from_numpy(phi_1(points))
        torch.manual_seed(config.seed)
        self.model = SkipMLP(config.widths, config.skips).double()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)
        if checkpoint.exists():
            self._resume()

    def loss(self) -> torch.Tensor:
        """Return the mean squared error over the grid."""
        return nn.functional.mse_loss(self.model(self.points), self.targets)

    def run(self, epochs: int, report: Callable[[int, float], None]) -> float:
        """Train up to epoch `epochs` and return the final mean squared error."""
        saved = time.monotonic()
        while self.epoch < epochs:
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            self.optimizer.step()
            self.epoch += 1
            report(self.epoch, loss.item())
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = time.monotonic()
        with torch.no_grad():
            return self.loss().item()

    def _save(self) -> None:
        state = {
            "config": asdict(self.config),
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        write_atomically(self.checkpoint, lambda file: torch.save(state, file))

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        if state["config"] != asdict(self.config):
            raise SystemExit(
                f"{self.checkpoint} is of another run: it has {state['config']}, this run has {asdict(self.config)}."
                " Delete it or pass another --checkpoint."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.epoch = state["epoch"]
        print(f"continuing after epoch {self.epoch:,} from {self.checkpoint}")


class Display:
    """A progress bar with the loss on standard error, silent for the first second."""

    def __init__(self, epochs: int) -> None:
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.5f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("training", total=epochs, loss=float("nan"))
        self._begin = time.monotonic()
        self._shown = False

    def __call__(self, epoch: int, loss: float) -> None:
        """Show the epoch and its loss."""
        if not self._shown and time.monotonic() - self._begin > PATIENCE_SECONDS:
            self._bar.start()
            self._shown = True
        self._bar.update(self._task, completed=epoch, loss=loss)

    def close(self) -> None:
        """Clear the bar."""
        if self._shown:
            self._bar.stop()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train the shipped network: phi_1(x, y) = sin(log|x| + log|y|) on [-10, 10]^2.",
        epilog="example: python examples/train_phi_1.py --quick --out quick.npz",
    )
    parser.add_argument("--epochs", type=int, help="number of epochs (20,000, as in the paper; 100 with --quick)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights (default: %(default)s)")
    parser.add_argument(
        "--out",
        type=Path,
        help="the .npz to write, with a .json beside it (default: the shipped one, tropnet/example/phi_1.npz; with"
        " --quick, which is not to replace it, phi_1.npz in the temporary directory)",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="where the state of the run is kept until it is finished (default: OUT with the suffix .checkpoint)",
    )
    parser.add_argument("--quick", action="store_true", help="spacing 1 instead of 0.1 and 100 epochs: seconds")
    options = parser.parse_args(arguments)
    options.epochs = options.epochs if options.epochs is not None else 100 if options.quick else 20_000
    options.out = options.out or (Path(tempfile.gettempdir()) if options.quick else SHIPPED) / "phi_1.npz"
    options.checkpoint = options.checkpoint or options.out.with_suffix(".checkpoint")
    return options


def describe(training: Training, error: float, *, quick: bool) -> dict[str, Any]:
    """Return what is written to the .json."""
    command = ["python", "examples/train_phi_1.py", "--seed", str(training.config.seed)]
    command += ["--epochs", str(training.epoch), *(["--quick"] if quick else [])]
    return {
        "function": "phi_1(x, y) = sin(log|x| + log|y|)",
        **asdict(training.config),
        "epochs": training.epoch,
        "mean_squared_error": error,
        "n_points": len(training.points),
        "n_dropped_points": training.n_dropped,
        "dtype": "float64",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": shlex.join(command),
    }


def main(arguments: list[str] | None = None) -> None:
    """Train, and write the network and its description."""
    options = parse(arguments)
    # Sums split over threads are rounded differently; one thread gives the same numbers on any number of cores.
    torch.set_num_threads(1)
    training = Training(Config(options.seed, 1 if options.quick else 10), options.checkpoint)
    print(f"{len(training.points):,} grid points; {training.n_dropped} with x = 0 or y = 0 dropped (phi_1 undefined)")
    begin = time.monotonic()
    with closing(Display(options.epochs)) as display:
        error = training.run(options.epochs, display)
    from_torch(training.model).save(options.out)
    text = json.dumps(describe(training, error, quick=options.quick), indent=2) + "\n"
    write_atomically(options.out.with_suffix(".json"), lambda file: file.write(text.encode()))
    options.checkpoint.unlink(missing_ok=True)
    print(f"mean squared error {error:.6f} after {training.epoch:,} epochs, {time.monotonic() - begin:.0f} s")
    print(f"wrote {options.out} and {options.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
