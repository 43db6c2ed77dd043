"""Reading a traced graph step by step: each is run on zeros and judged."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from tropnet.errors import ShapeError, TropnetError, UnsupportedModuleError
from tropnet.importers.torch.affine_steps import Kind, Reason, changes_in_place, why_not_affine
from tropnet.importers.torch.tracing import Trace

__all__ = ["AffineInterpreter", "tensors"]

_N_LISTED = 8


class AffineInterpreter(fx.Interpreter):  # type: ignore[misc]  # mypy does not follow torch
    """Runs a graph on two zeros and judges each step: which values depend on the input, and whether affinely.

    Attributes
    ----------
    dependent
        The nodes whose values depend on the input.
    refusals
        By node, why it is refused.
    entries
        How many numbers all values that depend on the input hold, per input.
    """

    # What the module must be.
    KIND = "affine"

    def __init__(self, graph: Trace) -> None:
        super().__init__(graph.graph_module)
        self.extra_traceback = False
        self.trace = graph
        self.dependent: set[Any] = set()
        self.refusals: dict[Any, str] = {}
        self.entries = 0
        self.current: Any = None

    def read(self, shape: tuple[int, ...]) -> None:
        """Judge the graph for inputs of one shape; afterwards `entries` is how many numbers all its values hold."""
        failure: Exception | None = None
        output = None
        try:
            output = self.run(torch.zeros(2, *shape, dtype=torch.float64))
        except TropnetError:
            raise
        except Exception as error:  # PyTorch raises many kinds for tensors that do not fit
            failure = error
        if self.refusals:
            reasons = list(dict.fromkeys(self.refusals.values()))
            listed = "; ".join(reasons[:_N_LISTED])
            more = len(reasons) - _N_LISTED
            raise UnsupportedModuleError(
                f"the module must be {self.KIND}, but {listed}{f'; and {more} more' if more > 0 else ''}."
            )
        if failure is not None:
            raise ShapeError(
                f"the module must take inputs of shape (n, {', '.join(map(str, shape))}) in float64, but"
                f" {self.trace.where(self.current)} raises: {failure}. Is input_shape {shape} that of one input,"
                " without the batch?"
            ) from failure
        if not isinstance(output, torch.Tensor) or output.ndim < 1 or len(output) != 2 or not output.numel():
            found = f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
            raise ShapeError(f"the module must give one tensor with one row per input, got {found} for 2 inputs.")

    def run_node(self, n: Any) -> Any:
        """Judge a node and run it."""
        self.current = n
        if n.op == "placeholder":
            self.dependent.add(n)
        elif n.op != "output":
            self._judge(n)
        value = super().run_node(n)
        if n in self.dependent:
            parts = self.values(n, value)
            self.entries += sum(part.numel() for part in parts) // 2
            rounded = [part.dtype for part in parts if part.dtype != torch.float64]
            if rounded:
                self.refuse(n, f"rounds its values to {rounded[0]}, which is not {self.KIND}; remove the conversion")
        return value

    def _judge(self, node: Any) -> None:
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        target = self.trace.called(node) if node.op == "call_module" else node.target
        if any(source in self.dependent for source in node.all_input_nodes):
            reason = self.why_not(node, target, args, kwargs)
            if reason is not None and reason.kind is Kind.CONSTANT:
                return
            self.dependent.add(node)
            if reason is not None:
                self.refuse(node, reason.text.format(wanted=self.KIND))
        elif changes_in_place(node.op, target, args):
            self.refuse(node, "changes a tensor of the module in place, so that every call computes another map")

    def values(self, node: Any, value: Any) -> list[Any]:  # noqa: ARG002 (readers that know more about the node use it)
        """Return the tensors that a node gives."""
        return tensors(value)

    def why_not(self, node: Any, target: Any, args: tuple[Any, ...], kwargs: Any) -> Reason | None:
        """Return why a node that depends on the input is refused, None if it is not; CONSTANT if it reads no values."""
        return why_not_affine(node.op, target, args, kwargs, self.depends, (node.args, node.kwargs))

    def refuse(self, node: Any, reason: str) -> None:
        """Remember why a node is refused."""
        # One step has one reason: what a refused one gives may be odd in other ways too.
        self.refusals.setdefault(node, f"{self.trace.where(node)} {reason}")

    def depends(self, argument: Any) -> bool:
        """Return whether an argument as it stands in the graph depends on the input."""
        found: list[bool] = []
        fx.node.map_arg(argument, lambda node: found.append(node in self.dependent))
        return any(found)


def tensors(value: Any) -> list[Any]:
    """Return the tensors in a value, within tuples and lists too."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [part for item in value for part in tensors(item)] if isinstance(value, tuple | list) else []
