"""Noticing that a training run diverged, and saying why."""

from __future__ import annotations

from typing import Any

import torch

from tropnet.errors import NonFiniteError
from tropnet.homotopy.models.skips import strengths

__all__ = ["DivergenceWatch"]


class DivergenceWatch:
    """Watches the parameters and buffers of a model that are finite at the beginning.

    Parameters
    ----------
    model, optimizer
        Those of the run.
    """

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._model, self._optimizer = model, optimizer
        # Some buffers are infinite on purpose, as masks.
        self._watched = [name for name, value in model.state_dict().items() if bool(torch.isfinite(value).all())]

    def refuse_parameters(self, epoch: int) -> None:
        """Raise a NonFiniteError if a parameter is not finite any more."""
        bad = self._first_bad()
        if bad is not None:
            raise NonFiniteError(
                f"the parameters must be finite, but '{bad}' holds NaN or infinities in epoch {epoch}:"
                f" {self._rates()}. Lower the learning rate or clip the gradients."
            )

    def refuse_loss(self, loss: Any, where: str, inputs: Any) -> None:
        """Raise a NonFiniteError for a loss that is not finite, saying what may have made it."""
        bad = self._first_bad()
        if not bool(torch.isfinite(inputs).all()):
            cause = "the inputs hold NaN or infinities. Clean the data."
        elif bad is not None:
            cause = f"'{bad}' holds NaN or infinities by now, so the steps diverged. Lower the learning rate."
        else:
            cause = "inputs and parameters are finite, so the outputs or the loss overflow. Lower the learning rate."
        raise NonFiniteError(f"the loss must be finite, got {loss} {where}: {self._rates()}; {cause}")

    def _first_bad(self) -> str | None:
        state = self._model.state_dict()
        return next((name for name in self._watched if not bool(torch.isfinite(state[name]).all())), None)

    def _rates(self) -> str:
        t = strengths(self._model)
        skips = f", t {max(t.values()):g}" if t else ""
        return f"learning rate {float(self._optimizer.param_groups[0]['lr']):g}{skips}"
