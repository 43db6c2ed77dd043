"""Several networks of one architecture as one module: trials of an experiment that train side by side."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from tropnet.errors import ShapeError, UnsupportedModuleError
from tropnet.homotopy.models.skips import strengths

__all__ = ["StackedTrials"]


class StackedTrials(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """Compute several modules of one architecture at once, each on inputs of its own.

    Parameters
    ----------
    models
        Modules that differ in the values of their parameters only, with one strength per skip, and without other
        buffers, such as those of batch norm. They are copied; frozen parameters stay frozen.

    Attributes
    ----------
    n_trials
        How many there are.
    skeleton
        The architecture, with the strengths of the skips, which the trials share: `set_skip_strength` and schedules
        take the whole module.

    Raises
    ------
    ShapeError
        There is no module, or they differ in more than the values of their parameters: in shapes, types, devices, what
        is frozen, modes or strengths of skips.
    UnsupportedModuleError
        They have buffers other than the strengths of skips, or two modules of one share a parameter.

    Notes
    -----
    `Trainer` trains it with an order of the examples for each trial, on the sum of the losses: for optimizers that
    treat every entry alike (SGD, Adam) each trial is trained as it would be alone, up to rounding.

    What small networks cost is mostly the calls, which the trials share: ten MLPs of width 16 take a quarter of the
    time on one CPU core. Convolutions of eight channels are not faster; measure before stacking those.

    Examples
    --------
    >>> models = [nn.Linear(2, 1) for _ in range(3)]
    >>> trials = StackedTrials(models)
    >>> x = torch.ones(3, 5, 2)
    >>> trials(x).shape
    torch.Size([3, 5, 1])
    >>> torch.allclose(trials(x)[1], models[1](x[1]))
    True
    """

    def __init__(self, models: Sequence[Any]) -> None:
        super().__init__()
        if not models:
            raise ShapeError("models must hold at least one module, got none.")
        forms = {_form(model) for model in models}
        if len(forms) > 1:
            raise ShapeError(
                f"models must have one architecture and equal strengths of skips, got {len(forms)} kinds. Shapes,"
                " types, devices, what is frozen and modes must agree too."
            )
        allowed = {f"{name}.t".lstrip(".") for name in strengths(models[0])}
        others = [name for name, _ in models[0].named_buffers() if name not in allowed]
        if others:
            raise UnsupportedModuleError(
                f"models must have no buffers but strengths of skips, got {', '.join(others)}."
            )
        owned = [id(p) for part in models[0].modules() for p in part._parameters.values() if p is not None]
        if len(set(owned)) < len(owned):
            raise UnsupportedModuleError(
                "models must have parameters of one module each, but two modules share one. Train them one by one."
            )
        self.n_trials = len(models)
        self.names = [name for name, _ in models[0].named_parameters()]
        columns = zip(*(model.parameters() for model in models), strict=True)
        self.stacked = nn.ParameterList(
            nn.Parameter(torch.stack([p.detach() for p in column]), column[0].requires_grad) for column in columns
        )
        self.skeleton = deepcopy(models[0])
        for part in self.skeleton.modules():
            part._parameters = dict.fromkeys(part._parameters)

    def forward(self, x: Any) -> Any:
        """Return the outputs (n_trials, n, ...) of the trials at inputs (n_trials, n, ...)."""

        def one(parameters: dict[str, Any], inputs: Any) -> Any:
            return functional_call(self.skeleton, parameters, (inputs,))

        return vmap(one, randomness="different")(dict(zip(self.names, self.stacked, strict=True)), x)

    def unstacked(self) -> list[Any]:
        """Return the trials as modules of their own, as they are now.

        Examples
        --------
        >>> model = nn.Linear(2, 1)
        >>> torch.equal(StackedTrials([model]).unstacked()[0].weight, model.weight)
        True
        """
        found = []
        for index in range(self.n_trials):
            model = deepcopy(self.skeleton)
            for name, values in zip(self.names, self.stacked, strict=True):
                owner, _, leaf = name.rpartition(".")
                value = nn.Parameter(values[index].detach().clone(), values.requires_grad)
                model.get_submodule(owner)._parameters[leaf] = value
            found.append(model)
        return found


def _form(model: Any) -> tuple[Any, ...]:
    """Return what models must have in common."""
    return (
        str(model),
        tuple((tuple(p.shape), p.dtype, p.device, p.requires_grad) for p in model.parameters()),
        tuple(part.training for part in model.modules()),
        tuple(strengths(model).items()),
    )
