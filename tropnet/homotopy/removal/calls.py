"""Functions and methods of one tensor as modules, to stand among layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

__all__ = ["Call"]


@dataclass(frozen=True)
class _Held:
    """An argument that is a parameter or buffer of the module that calls."""

    name: str


class Call(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """A function or method of one tensor as a module."""

    def __init__(self, op: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.op, self.target = op, target
        # Tensors become the module's own, so that they move, are saved and take its type.
        self.arguments = fx.node.map_aggregate((args, kwargs), self._held)

    def _held(self, argument: Any) -> Any:
        if not isinstance(argument, torch.Tensor):
            return argument
        name = f"argument_{len(self._parameters) + len(self._buffers)}"
        if isinstance(argument, nn.Parameter):
            self.register_parameter(name, argument)
        else:
            self.register_buffer(name, argument)
        return _Held(name)

    def forward(self, x: Any) -> Any:
        """Return what the function makes of a tensor."""
        args, kwargs = fx.node.map_aggregate(
            self.arguments, lambda argument: getattr(self, argument.name) if isinstance(argument, _Held) else argument
        )
        call = getattr(x, self.target) if self.op == "call_method" else lambda *a, **k: self.target(x, *a, **k)
        return call(*args, **kwargs)
