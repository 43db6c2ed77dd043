"""Splitting the graph of a PyTorch module at its activations, with everything between them collapsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import fx

from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError, UnsupportedModuleError
from tropnet.importers.common.expression import Expression, constant, gathered_leaves
from tropnet.importers.common.jumps import Jump
from tropnet.importers.common.lowering import Lowering, RefusedError
from tropnet.importers.torch.activations import arguments, lowered, lowers
from tropnet.importers.torch.affine_steps import Kind, Reason, changes_in_place, step_name
from tropnet.importers.torch.collapse import affine_part
from tropnet.importers.torch.interpreter import AffineInterpreter, tensors
from tropnet.importers.torch.known_maps import known_map, known_module_map
from tropnet.importers.torch.tracing import Trace

__all__ = ["split"]

_BATCH = 2
_MIXES = "mixes the entries of a batch; keep the batch as the first axis of every tensor"
# Why steps of these kinds are refused though a piecewise-linear one would do.
_OTHERWISE = {
    Kind.PIECEWISE: Reason("jumps, or is piecewise linear in a way that is not supported"),
    Kind.COMPARES: Reason(
        "orders or compares values in a way that is not supported (maxima, minima, max-pool, sort and topk are); write"
        " it with those"
    ),
}
_OF_JUMP = Reason("computes with a value that jumps, the result of a comparison or sign")


def split(graph: Trace, shape: tuple[int, ...]) -> tuple[Lowering, Expression]:
    """Return the activations of a traced module, and its output in terms of theirs.

    Raises
    ------
    UnsupportedModuleError
        A step is not piecewise linear, or not known to be.
    ShapeError
        The module does not take inputs of this shape, or does not give one tensor per input.
    """
    reader = _PiecewiseInterpreter(graph, shape)
    reader.read(shape)
    output = next(node for node in reader.module.graph.nodes if node.op == "output").args[0]
    symbol = reader.symbols.get(output)
    if isinstance(symbol, Jump):
        where = reader.trace.where(output)
        raise UnsupportedModuleError(f"the module must be piecewise linear, but {where} jumps: it is not continuous.")
    if symbol is None:  # the output depends on no input
        fixed = reader.computed[0].numpy()
        return reader.lowering, constant(fixed)
    return reader.lowering, symbol


class _PiecewiseInterpreter(AffineInterpreter):
    """Runs a graph on zeros and keeps beside every value what it is in terms of activations."""

    KIND = "piecewise linear"

    def __init__(self, graph: Trace, shape: tuple[int, ...]) -> None:
        super().__init__(graph)
        self.lowering = Lowering(shape)
        self.symbols: dict[Any, Any] = {}
        self.rules: dict[Any, str] = {}
        self.computed: Any = None

    def why_not(self, node: Any, target: Any, args: tuple[Any, ...], kwargs: Any) -> Reason | None:
        """Return why a node is refused, as for affine ones, if there is no rule that lowers it."""
        reason = super().why_not(node, target, args, kwargs)
        jumping = self._jumps(node)
        if (reason is None and not jumping) or (reason is not None and reason.kind is Kind.CONSTANT):
            return reason
        name = step_name(node.op, target, args)
        if name == ".values" and isinstance(self.symbols.get(node.args[0]), tuple):
            return None
        rule = lowers(node.op, target, name, jumping=jumping)
        if rule is not None and kwargs.get("out") is None:
            self.rules[node] = rule
            return None
        if reason is None or jumping:
            return _OF_JUMP
        return _OTHERWISE.get(reason.kind, reason)

    def _jumps(self, node: Any) -> bool:
        """Return whether a node reads a value that jumps."""
        return any(isinstance(self.symbols.get(source), Jump) for source in node.all_input_nodes)

    def values(self, node: Any, value: Any) -> list[Any]:
        """Return the tensors that a node gives, without the places of maxima, and comparisons, which round nothing."""
        parts = tensors(value)
        if node in self.rules:
            return [part for part in parts[:1] if not self._jumps(node) and part.dtype != torch.bool]
        if any(None in symbol for symbol in map(self.symbols.get, node.all_input_nodes) if isinstance(symbol, tuple)):
            return []  # `_affine` judges what is taken
        return parts

    def run_node(self, n: Any) -> Any:
        """Judge a node, run it, and remember what it is."""
        if n.op == "output":
            value = super().run_node(n)
            self.computed = value
            return value
        args, kwargs = ((), {}) if n.op in ("placeholder", "get_attr") else self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        if n.op == "placeholder":
            self.symbols[n] = self.lowering.input
        elif n in self.dependent and n not in self.refusals:
            self._split(n, args, kwargs, value)
        return value

    def _split(self, node: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], value: Any) -> None:
        sources = [source for source in node.all_input_nodes if source in self.dependent]
        if any(source not in self.symbols for source in sources):
            return  # it comes after a refused step
        target = self.trace.called(node) if node.op == "call_module" else node.target
        try:
            if node in self.rules:
                given = arguments(self.rules[node], target, *self._symbolic(node, args, kwargs))
                symbol = lowered(self.lowering, self.rules[node], given)
            else:
                symbol = self._affine(node, target, args, kwargs, value)
        except RefusedError as error:
            self.refuse(node, str(error))
            return
        except NonFiniteError as error:
            raise NonFiniteError(f"{self.trace.where(node)}: {error}") from error
        if isinstance(symbol, Jump) and _is_rounded(symbol, value.dtype):
            self.refuse(node, f"rounds its values to {value.dtype}, which is not {self.KIND}; remove the conversion")
        if isinstance(value, tuple) and isinstance(symbol, Expression):
            symbol = (symbol, *[None] * (len(value) - 1))  # ATen's pools give the places of maxima too
        self.symbols[node] = symbol
        in_place = getattr(target, "inplace", False) or kwargs.get("inplace", False)
        if in_place or changes_in_place(node.op, target, args):
            self._written(node, args[0], symbol)

    def _written(self, node: Any, tensor: Any, symbol: Any) -> None:
        """Give what later steps read from a tensor that was written into its new meaning; refuse other views of it."""
        memory = tensor.untyped_storage().data_ptr()
        self.symbols[node.args[0]] = symbol
        for other, value in self.env.items():
            if value is tensor:
                self.symbols[other] = symbol
            elif other is not node and any(part.untyped_storage().data_ptr() == memory for part in tensors(value)):
                self.refuse(
                    node, "changes in place what another view is read from later; use a form that is not in place"
                )

    def _symbolic(self, node: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the arguments with expressions for what depends on the input."""

        def symbol(argument: Any, value: Any) -> Any:
            if isinstance(argument, fx.Node):
                return self.symbols.get(argument, value)
            return value

        return (
            [symbol(argument, value) for argument, value in zip(node.args, args, strict=True)],
            {key: symbol(node.kwargs[key], value) for key, value in kwargs.items()},
        )

    # --- affine steps

    def _affine(self, node: Any, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], value: Any) -> Any:
        name = step_name(node.op, target, args)
        if name in ("getitem", ".values") and isinstance(self.symbols[node.args[0]], tuple):
            part = self.symbols[node.args[0]][0 if name == ".values" else args[1]]
            if part is None:
                raise RefusedError("reads the places of maxima, which are not piecewise linear")
            return part
        shapes = [tuple(part.shape) for part in tensors(value)]
        if any(not shape or shape[0] != _BATCH for shape in shapes):
            raise RefusedError(_MIXES)
        if node.op == "call_module":
            image = known_module_map(target, self.symbols[node.args[0]])
        else:
            image = known_map(name, *self._symbolic(node, args, kwargs), shapes[0])
        return self._general(node, value) if image is None else image

    def _general(self, node: Any, value: Any) -> Any:
        """Return the expression of any affine step, from its own code."""
        sources = [source for source in node.all_input_nodes if source in self.dependent]
        leaves = [leaf for source in sources for leaf in _leaves(self.symbols[source])]

        def step(given: list[FloatArray]) -> list[FloatArray]:
            return [part.detach().numpy() for part in tensors(self._again(node, sources, map(torch.from_numpy, given)))]

        images = gathered_leaves(step, leaves, _BATCH)
        if images is None and isinstance(value, torch.Tensor):
            images = [self._jacobian(node, sources, leaves, tuple(value.shape[1:]))]
        if images is None:
            raise RefusedError("gives several tensors and does more than move entries, which is not supported")
        return images[0] if isinstance(value, torch.Tensor) else tuple(images)

    def _jacobian(self, node: Any, sources: list[Any], leaves: list[Expression], shape: tuple[int, ...]) -> Expression:
        """Return an affine step from its value on zero and its derivatives, as `collapse` does for a whole module."""
        total: Expression | None = None
        for place, leaf in enumerate(leaves):

            def alone(x: Any, place: int = place) -> Any:
                n = len(x)
                given = (x if i == place else torch.zeros(n, *other.shape).double() for i, other in enumerate(leaves))
                return self._again(node, sources, given)

            size = leaf.size + math.prod(shape)
            try:
                affine = affine_part(alone, leaf.shape, size)
            except RuntimeError as error:
                raise RefusedError(f"has no derivative in PyTorch, which raises: {error}") from error
            term = leaf.mapped(affine.weight, None if total is not None else affine.bias, shape)
            total = term if total is None else total.plus(term)
        if total is None:
            raise UnsupportedModuleError(f"{self.trace.where(node)} reads no tensor.")
        return total

    def _again(self, node: Any, sources: list[Any], given: Any) -> Any:
        """Run a step on other tensors in place of those that depend on the input."""
        values = iter(given)
        replaced = {source: _filled(self.symbols[source], values) for source in sources}
        args, kwargs = (
            fx.node.map_arg(part, lambda other: replaced.get(other, self.env.get(other)))
            for part in (node.args, node.kwargs)
        )
        return getattr(self, node.op)(node.target, args, kwargs)


def _is_rounded(jump: Jump, dtype: Any) -> bool:
    """Return whether numbers of a type do not hold the two values of a jump between constants."""
    values = torch.from_numpy(np.concatenate([jump.base.constants, jump.base.plus(jump.factor).constants]))
    return bool((values.to(dtype) != values).any())


def _leaves(symbol: Any) -> list[Expression]:
    return [symbol] if isinstance(symbol, Expression) else [part for part in symbol if part is not None]


def _filled(symbol: Any, values: Any) -> Any:
    return next(values) if isinstance(symbol, Expression) else tuple(next(values) for _ in symbol)
