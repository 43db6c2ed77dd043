"""From the nodes of an ONNX graph to a network, and the graph's own values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError, ShapeError, UnsupportedModuleError
from tropnet.importers.common.expression import Expression, constant
from tropnet.importers.common.jumps import Jump
from tropnet.importers.common.lowering import Lowering, RefusedError
from tropnet.importers.onnx.evaluation import Evaluator, widened
from tropnet.importers.onnx.graph import LAST_STEPS, Graph, attributes_of, where
from tropnet.importers.onnx.rules import INTEGRAL, JUMPING, LEARNING_RULES, RULES, why_not
from tropnet.importers.onnx.steps import Step
from tropnet.network.network import Network
from tropnet.operators.operator import Shape

__all__ = ["Reading"]

_N_LISTED = 8
_ONNX = ("", "ai.onnx")
_LEARNING = "ai.onnx.ml"


class Reading:
    """A graph read for inputs of given shapes, the batch included.

    Nodes whose inputs are all constant are evaluated in the file's own precision; constants that then meet the input
    are widened to float64, exactly.
    """

    def __init__(self, graph: Graph, shapes: Sequence[Shape]) -> None:
        self.graph, self.shapes = graph, list(shapes)
        self.run = Evaluator(graph.opsets)
        sizes = [math.prod(shape) for shape in shapes]
        self.ends = np.cumsum([0, *sizes]).tolist()
        self.lowering = Lowering(shapes[0] if len(shapes) == 1 else (self.ends[-1],))
        self.values: dict[str, Any] = {"": None, **graph.constants}
        # Those that depend on the input, in order, and which tensors hold integers.
        self.nodes: list[Any] = []
        self.integers = {part.name for part in graph.inputs if part.dtype.kind in "iu"}
        self.lost: dict[str, str] = {}
        self.refusals: list[str] = []
        self.unread: set[str] = set()
        for i, part in enumerate(graph.inputs):
            places = np.arange(self.ends[i], self.ends[i + 1])
            self.values[part.name] = self.lowering.input.gathered(places).reshaped(self.shapes[i])
        self._walk(graph.nodes)

    def network(self) -> Network:
        """Return the network.

        Raises
        ------
        UnsupportedModuleError
            A node is not piecewise linear or not known to be.
        """
        if self.refusals:
            more = len(self.refusals) - _N_LISTED
            raise UnsupportedModuleError(
                f"the model must be piecewise linear, but {'; '.join(self.refusals[:_N_LISTED])}"
                f"{f'; and {more} more' if more > 0 else ''}."
            )
        output = self.values.get(self.graph.output)
        if output is None or isinstance(output, Jump):
            last = next(node for node in reversed(self.nodes) if self.graph.output in node.output)
            why = self.lost.get(self.graph.output, f"{where(last)} jumps, so that it is not continuous")
            raise UnsupportedModuleError(f"the model must be piecewise linear, but {why}.")
        return self.lowering.network(output if isinstance(output, Expression) else constant(widened(output)))

    # --- reading

    def _walk(self, nodes: Sequence[Any]) -> None:
        for node in nodes:
            lost = next((self.lost[name] for name in node.input if name in self.lost), None)
            try:
                if lost is not None:
                    raise RefusedError(f"reads what is not read: {lost}")
                missing = [name for name in node.input if name not in self.values]
                if missing and not self.unread.isdisjoint(missing):
                    self.unread.update(node.output)
                    continue  # it comes after a refused node
                if missing:
                    raise RefusedError(f"reads {missing[0]!r}, which nothing gives")
                results = self._read(node, [self.values[name] for name in node.input])
            except RefusedError as error:
                self.refusals.append(f"{where(node)} {error}{self._advice(node)}")
                self.unread.update(node.output)
                continue
            except NonFiniteError as error:
                raise NonFiniteError(f"{where(node)}: {error}") from error
            except (ValueError, IndexError, KeyError, TypeError, RuntimeError, AttributeError) as error:
                raise ShapeError(
                    f"{where(node)} does not take what it is given for an input of shape"
                    f" {', '.join(map(str, self.shapes))}: {next(iter(str(error).splitlines()), '')}"
                ) from error
            for i, name in enumerate(node.output):
                if name and i < len(results):
                    self.values[name] = results[i]
                elif name:
                    self.lost[name] = f"output {i} of {where(node)} is not piecewise linear"

    def _advice(self, node: Any) -> str:
        if id(node) in self.graph.tail:
            return "; output='logits' leaves off the last steps"
        if node.op_type in LAST_STEPS and node.input:
            return f"; to stop before it, pass output={node.input[0]!r}"
        return ""

    def _read(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Return the outputs of a node: expressions, or arrays if none of its inputs is one."""
        if node.op_type == "If" and node.domain in _ONNX:
            return self._branch(node, inputs[0])
        symbolic = [part for part in inputs if isinstance(part, Expression | Jump)]
        if not symbolic:
            return self.run(node, inputs)
        if node.op_type in ("Shape", "Size", "EyeLike") and node.domain in _ONNX:
            return self.run(node, [np.zeros(symbolic[0].shape)])
        if node.domain not in (*_ONNX, _LEARNING):
            raise RefusedError(
                f"belongs to the operators of {node.domain}, which are not known; export the model with those of ONNX,"
                " before a program for running models rewrites it"
            )
        self.nodes.append(node)
        rules = LEARNING_RULES if node.domain == _LEARNING else RULES
        if rules is RULES and node.op_type in ("Cast", "CastLike"):
            return [self._cast(node, inputs)]
        if node.op_type not in rules:
            raise RefusedError(why_not(node.op_type))
        if node.op_type not in JUMPING and any(isinstance(part, Jump) for part in inputs):
            raise RefusedError("computes with a value that jumps, the result of a comparison or sign")
        if any(name in self.integers for name in node.input):
            if node.op_type not in INTEGRAL:
                raise RefusedError("computes with integers, which is not supported; cast the input to floats first")
            self.integers.update(node.output)
        wide = [part if isinstance(part, Expression | Jump) else widened(part) for part in inputs]
        opset = self.graph.opsets.get("", 1)
        step = Step(self.lowering, wide, attributes_of(node), opset, lambda given: self.run(node, given))
        results = rules[node.op_type](step)
        return results if isinstance(results, list) else [results]

    def _cast(self, node: Any, inputs: list[Any]) -> Any:
        name = node.input[0]
        code = attributes_of(node).get("to")
        to = inputs[1].dtype if code is None else onnx.helper.tensor_dtype_to_np_dtype(code)
        if to.kind in "fV":
            return inputs[0]
        if isinstance(inputs[0], Jump) and to.kind == "b":
            return inputs[0]
        if to.kind in "iu" and name in self.integers and to.itemsize >= 4:
            self.integers.update(node.output)
            return inputs[0]
        raise RefusedError(f"casts to {to}, so that it rounds, which is not piecewise linear")

    def _branch(self, node: Any, condition: Any) -> list[Any]:
        """Read the branch that a constant condition takes."""
        if isinstance(condition, Expression | Jump):
            raise RefusedError("takes one branch or the other by a value that depends on the input")
        branch = attributes_of(node)["then_branch" if np.all(condition) else "else_branch"]
        self.values |= {part.name: onnx.numpy_helper.to_array(part) for part in branch.initializer}
        self._walk(branch.node)
        names = [part.name for part in branch.output]
        if any(name not in self.values for name in names):
            raise RefusedError("takes a branch that is not read")
        for name, output in zip(names, node.output, strict=True):
            if isinstance(self.values[name], Expression | Jump):
                self.nodes.append(onnx.helper.make_node("Identity", [name], [output]))
        return [self.values[name] for name in names]

    # --- the graph's own values

    def arrays(self, point: FloatArray) -> list[FloatArray]:
        """Return the arrays that the inputs get for a flat point."""
        pieces = zip(self.ends, self.ends[1:], self.shapes, strict=False)
        return [point[start:end].reshape(shape) for start, end, shape in pieces]

    def reference(self, points: FloatArray, shaken: np.random.Generator | None = None, by: float = 0.0) -> FloatArray:
        """Return the outputs (n, n_outputs) in float64, by ONNX's reference implementation.

        With `shaken` every result of a node is changed by up to its part `by`, at random.
        """
        rows = []
        for point in points:
            values = {name: widened(v) for name, v in self.values.items() if not isinstance(v, Expression | Jump)}
            values |= dict(zip((part.name for part in self.graph.inputs), self.arrays(point), strict=True))
            for node in self.nodes:
                results = self._value(node, values)
                for name, result in zip(node.output, results, strict=False):
                    if shaken is not None and np.asarray(result).dtype.kind == "f":
                        result = result * (1.0 + by * shaken.uniform(-1.0, 1.0, size=np.shape(result)))
                    values[name] = result
            rows.append(np.ravel(values[self.graph.output]).astype(np.float64))
        return np.stack(rows)

    def _value(self, node: Any, values: Mapping[str, Any]) -> list[Any]:
        inputs = [values[name] for name in node.input]
        if node.op_type in ("Cast", "CastLike", "Dropout", "Identity"):
            first = np.asarray(inputs[0])
            return [first.astype(np.float64) if first.dtype.kind == "b" and node.op_type == "Cast" else first, None]
        return [None if part is None else widened(part) for part in self.run(node, inputs)]
