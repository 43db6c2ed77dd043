"""Evaluating single nodes of an ONNX graph, with the version of the operator that the file asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tropnet.importers.common.lowering import RefusedError

__all__ = ["Evaluator", "along_axis", "quiet_session", "widened"]

# The first version in which arithmetic broadcasts as numpy does; onnxruntime has most operators from then on.
_BROADCASTS = 7
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow"})
# What older versions say, and newer ones have no word for.
_DROPPED = frozenset({"broadcast", "consumed_inputs", "is_test"})


class Evaluator:
    """Runs nodes by ONNX's reference implementation, and by onnxruntime where that one lacks the operator."""

    def __init__(self, opsets: Mapping[str, int]) -> None:
        self.opsets = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self._made: dict[int, tuple[Any, Any]] = {}
        self._is_old = opsets.get("", _BROADCASTS) < _BROADCASTS
        self._newer: dict[int, Any] = {}

    def __call__(self, node: Any, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of a node, None for those it does not name."""
        if not self._is_old:
            return self._run(node, inputs)
        axis = next((part.i for part in node.attribute if part.name == "axis"), None)
        if axis is not None and node.op_type in _ARITHMETIC:  # newer code would not look at the axis
            left, right = inputs
            return self._run_newer(node, [left, along_axis(right, np.ndim(left), axis)])
        try:
            return self._run(node, inputs)
        except RefusedError:
            return self._run_newer(node, inputs)

    def _run_newer(self, node: Any, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of a node in the first version that programs have, which is the same but for words."""
        if id(node) not in self._newer:
            newer = onnx.NodeProto()
            newer.CopyFrom(node)
            del newer.attribute[:]
            dropped = _DROPPED | ({"axis"} if node.op_type in _ARITHMETIC else set())
            newer.attribute.extend(part for part in node.attribute if part.name not in dropped)
            if node.op_type == "Concat" and not any(part.name == "axis" for part in node.attribute):
                newer.attribute.append(helper.make_attribute("axis", 1))
            self._newer[id(node)] = newer, Evaluator({"": _BROADCASTS})
        newer, evaluator = self._newer[id(node)]
        return list(evaluator(newer, inputs))

    def _run(self, node: Any, inputs: Sequence[Any]) -> list[Any]:
        if id(node) not in self._made:
            # A graph of one node: the reference runs a node by itself in its newest version, whatever the opset.
            alone = onnx.NodeProto()
            alone.CopyFrom(node)
            del alone.input[:]
            alone.input.extend(f"input {i}" if name else "" for i, name in enumerate(node.input))
            self._made[id(node)] = (alone, self._reference(alone))
        alone, evaluator = self._made[id(node)]
        given = {name: value for name, value in zip(alone.input, inputs, strict=True) if name}
        wanted = [name for name in alone.output if name]
        try:
            if evaluator is None:
                raise NotImplementedError(node.op_type)
            results = evaluator.run(wanted, given)
        except Exception as error:  # the reference has errors of every kind
            results = self._by_runtime(alone, given, wanted, error)
        found = dict(zip(wanted, results, strict=True))
        return [found.get(name) for name in alone.output]

    def _model(self, node: Any, given: Sequence[Any]) -> Any:
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        return helper.make_model(
            helper.make_graph([node], "node", given, outputs), opset_imports=self.opsets, ir_version=10
        )

    def _reference(self, node: Any) -> Any:
        try:
            return ReferenceEvaluator(
                self._model(node, [helper.make_empty_tensor_value_info(name) for name in node.input if name])
            )
        except Exception:  # it lacks the operator
            return None

    def _by_runtime(self, node: Any, given: Mapping[str, Any], wanted: Sequence[str], error: Exception) -> list[Any]:
        arrays = {name: np.asarray(value) for name, value in given.items()}
        try:
            types = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in arrays.items()}
            inputs = [helper.make_tensor_value_info(name, types[name], arrays[name].shape) for name in arrays]
            return list(quiet_session(self._model(node, inputs)).run(list(wanted), arrays))
        except Exception:  # the first error says more
            raise RefusedError(f"cannot be evaluated: {_first_line(error)}") from error


def quiet_session(model: Any) -> Any:
    """Return an onnxruntime session of one thread that computes what the file says, without rewriting it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def along_axis(array: Any, n_axes: int, axis: int) -> Any:
    """Return an array with axes of length one behind its own, which start at `axis`, as versions before 7 broadcast."""
    return np.reshape(array, (*np.shape(array), *[1] * (n_axes - axis % n_axes - np.ndim(array))))


def widened(array: Any) -> Any:
    """Return floats as float64, other arrays as they are."""
    return np.asarray(array, dtype=np.float64) if np.asarray(array).dtype.kind in "fV" else array


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__} {next(iter(str(error).splitlines()), '')}"[:200]
