"""Activations whose slope for negative values goes from 0 to 1, a homotopy from ReLU to no activation at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tropnet.errors import ShapeError, UnsupportedModuleError

__all__ = ["ActivationSlope", "LinearActivationSlope", "activation_slopes"]


class ActivationSlope(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """Compute ``max(z, 0) + slope * min(z, 0)`` with a slope of its own for every neuron: 0 is ReLU, 1 no activation.

    Parameters
    ----------
    shape
        Shape of one input, without the batch: each entry is a neuron. A number is that of a vector.

    Attributes
    ----------
    slope
        Buffer of that shape, zeros at first: part of the state dict, not trained. Write into it, or let a
        `LinearActivationSlope` do so.

    Raises
    ------
    ShapeError
        When called: the inputs have another shape.

    Notes
    -----
    `tropnet.from_torch` reads it, and leaves it out where all slopes are 1; `Network.without_affine_neurons` folds the
    neurons of slope 1 into the layers that read them.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 6, asks for networks of few nonlinearities.

    Examples
    --------
    >>> activation = ActivationSlope(3)
    >>> activation.slope[0] = 1.0
    >>> activation(torch.tensor([[-2.0, -2.0, 2.0]]))
    tensor([[-2., -0.,  2.]])
    """

    def __init__(self, shape: int | Iterable[int]) -> None:
        super().__init__()
        self.register_buffer("slope", torch.zeros(shape if isinstance(shape, int) else tuple(shape)))

    def forward(self, z: Any) -> Any:
        """Return the outputs, of the shape ``(n, *shape)`` of the inputs."""
        if isinstance(z, torch.Tensor) and z.shape[1:] != self.slope.shape:
            raise ShapeError(
                f"the inputs must have shape (n, {', '.join(map(str, self.slope.shape))}), one slope per entry,"
                f" got {tuple(z.shape)}."
            )
        return functional.prelu(z.flatten(1), self.slope.flatten()).view_as(z)

    def extra_repr(self) -> str:
        """Return how many neurons are not affine."""
        return f"{tuple(self.slope.shape)}, {int((self.slope != 1).sum())} nonlinear"


def activation_slopes(module: Any) -> dict[str, ActivationSlope]:
    """Return the activations with a slope within a module, itself included, by qualified name.

    Raises
    ------
    UnsupportedModuleError
        There is none.

    Examples
    --------
    >>> list(activation_slopes(nn.Sequential(nn.Linear(2, 3), ActivationSlope(3))))
    ['1']
    """
    found = {name: part for name, part in module.named_modules() if isinstance(part, ActivationSlope)}
    if not found:
        raise UnsupportedModuleError(
            f"the module must hold an ActivationSlope, but {type(module).__name__} holds none. Put one in the place of"
            " each nn.ReLU."
        )
    return found


class LinearActivationSlope:
    """Take the slopes of chosen neurons to 1 in equal steps: as torch.optim.lr_scheduler, for an `ActivationSlope`.

    The constructor leaves the slopes as they are; `step`, once after each batch (or epoch), takes them one step
    further, and from `total_iters` steps on they are exactly 1.

    Parameters
    ----------
    module
        What holds the activations.
    neurons
        For each `ActivationSlope`, by qualified name (see `activation_slopes`), which neurons leave: bool, of the shape
        of its slopes. Names that are left out lose none.
    total_iters
        Number of steps to slope 1.

    Attributes
    ----------
    last_epoch
        Number of steps done.

    Raises
    ------
    UnsupportedModuleError
        The module holds no activation with a slope.
    ShapeError
        A name or shape is none of the module's, or what is chosen is not told by bools.
    ValueError
        `total_iters` is not positive.

    Examples
    --------
    >>> activation = ActivationSlope(2)
    >>> schedule = LinearActivationSlope(activation, {"": torch.tensor([True, False])}, total_iters=4)
    >>> for batch in range(5):
    ...     schedule.step()
    ...     print(activation.slope.tolist())
    [0.25, 0.0]
    [0.5, 0.0]
    [0.75, 0.0]
    [1.0, 0.0]
    [1.0, 0.0]
    """

    def __init__(self, module: Any, neurons: Mapping[str, Any], total_iters: int) -> None:
        activations = activation_slopes(module)
        if total_iters < 1:
            raise ValueError(f"total_iters, the steps to slope 1, must be at least 1, got {total_iters}.")
        for name, chosen in neurons.items():
            if name not in activations or chosen.shape != activations[name].slope.shape or chosen.dtype != torch.bool:
                shapes = {own: tuple(part.slope.shape) for own, part in activations.items()}
                raise ShapeError(
                    f"neurons must hold bool tensors of shapes {shapes}, by those names; got {chosen.dtype}"
                    f" {tuple(chosen.shape)} for {name!r}."
                )
        self.module = module
        self.neurons = dict(neurons)
        self.start = {name: activations[name].slope.clone() for name in neurons}
        self.total_iters = int(total_iters)
        self.last_epoch = 0

    def step(self) -> None:
        """Take the slopes one step further."""
        self.last_epoch += 1
        self._set()

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the module."""
        return {key: value for key, value in vars(self).items() if key != "module"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state, and set the slopes that were set there."""
        vars(self).update({key: state_dict[key] for key in self.state_dict()})
        if self.last_epoch:
            self._set()

    def _set(self) -> None:
        activations = activation_slopes(self.module)
        done = self.last_epoch / self.total_iters
        for name, chosen in self.neurons.items():
            slope, start = activations[name].slope, self.start[name]
            passing = start + (1 - start) * done if done < 1 else torch.ones_like(start)
            slope.copy_(torch.where(chosen, passing, slope))
