"""Training runs that survive a crash, and many of them side by side."""

from tropnet.homotopy.training.measures import accuracy
from tropnet.homotopy.training.trainer import Trainer
from tropnet.homotopy.training.trials import StackedTrials

__all__ = ["StackedTrials", "Trainer", "accuracy"]
