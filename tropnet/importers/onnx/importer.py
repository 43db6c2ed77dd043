"""Reading ONNX graphs into a `Network`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplementedByRuntime

from tropnet.arrays.types import FloatArray
from tropnet.errors import FileFormatError, NonFiniteError, ShapeError, TropnetError, UnsupportedModuleError
from tropnet.importers.common.expression import Expression, constant, gathered_leaves
from tropnet.importers.common.lowering import Lowering, RefusedError
from tropnet.importers.common.verification import verify
from tropnet.importers.onnx.steps import MOVES, RULES, Step
from tropnet.network.network import Network
from tropnet.operators.operator import as_shape

__all__ = ["from_onnx"]

# Of a graph that takes batches of any size.
_BATCH = 2
_FLOAT32_ERROR = 1e-4
_FLOAT32_ROUNDING = 1e-5
# Steps at the end of classifiers that keep the order of the outputs.
_MONOTONE = ("Softmax", "LogSoftmax", "Sigmoid")
_N_LISTED = 8


def from_onnx(path: str | os.PathLike[str], input_shape: Sequence[int] | None = None) -> Network:
    """Read a piecewise-linear ONNX model into a `Network`.

    The graph is split at its activations like that of a PyTorch module, see `from_torch`.

    Parameters
    ----------
    path
        An `.onnx` file with one input, whose first axis is the batch, and one output. Its nodes are affine (Gemm,
        MatMul, Conv, BatchNormalization, pooling by averages, sums, products with constants, moves of entries) or
        piecewise linear (Relu, LeakyRelu, PRelu, Clip, HardSigmoid, Abs, MaxPool, Max, Min, ReduceMax, ...).
    input_shape
        Shape of one input, without the batch; needed only where the file leaves it open.

    Returns
    -------
    Network
        Of the input flattened in C order, to the output flattened likewise.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        It is no ONNX model, or onnxruntime does not take it.
    UnsupportedModuleError
        A node is not piecewise linear or not known to be; the message gives its name and operation, and why.
    ShapeError
        The model has not one input and one output, or a shape is left open or does not fit.
    NonFiniteError
        A weight is NaN or infinite.
    TropnetError
        The outputs of the network differ from those of the model, at a random point: from ONNX's reference
        implementation in float64 by more than 1e-10 of an output, or from onnxruntime, in the model's own precision,
        by more than 1e-4 (1e-10 for float64 models).

    Notes
    -----
    float32 weights are widened exactly. Costs what `from_torch` costs, and two evaluations of the model.

    Examples
    --------
    >>> from_onnx("no such file.onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.onnx'
    """
    where = f"'{os.fspath(path)}'"
    with open(path, "rb"):  # onnx has errors of its own for files that are not there
        pass
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = _session(model, options)
    except Exception as error:  # the parsers of onnx and onnxruntime have errors of many kinds
        raise FileFormatError(f"{where} must be an ONNX model, but reading it raises: {error}") from error
    graph = _Graph(model, input_shape)
    network = graph.network()
    remedy = "Please report the model."
    verify(network, graph.reference, None, f"the model {where} (ONNX's reference implementation)", remedy)
    if session is None:
        return network
    double = session.get_inputs()[0].type == "tensor(double)"
    precision = () if double else (_FLOAT32_ERROR, _FLOAT32_ROUNDING)

    def outputs(points: FloatArray) -> FloatArray:
        name, dtype = session.get_inputs()[0].name, np.float64 if double else np.float32
        return graph.batched(points, lambda part: session.run(None, {name: part.astype(dtype)})[0])

    verify(network, outputs, None, f"the model {where} (onnxruntime)", remedy, *precision)
    return network


def _session(model: Any, options: Any) -> Any:
    """Return an onnxruntime session, or None if it lacks an operator in this precision, as convolution in float64."""
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except NotImplementedByRuntime:
        return None


class _Graph:
    """The nodes of a model, with float64 constants."""

    def __init__(self, model: Any, input_shape: Sequence[int] | None) -> None:
        self.graph = model.graph
        self.opsets = {opset.domain: opset.version for opset in model.opset_import}
        self.constants = {part.name: _widened(numpy_helper.to_array(part)) for part in self.graph.initializer}
        inputs = [part for part in self.graph.input if part.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise ShapeError(
                f"the model must have one input and one output, got inputs {[part.name for part in inputs]} and outputs"
                f" {[part.name for part in self.graph.output]}."
            )
        self.input, self.output = inputs[0].name, self.graph.output[0].name
        lengths = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim]
        if not lengths:
            raise ShapeError(f"the input {self.input} must have the batch as its first axis, but it is one number.")
        self.fixed = lengths[0] > 0
        self.batch = lengths[0] or _BATCH
        if input_shape is None and not all(length > 0 for length in lengths[1:]):
            raise ShapeError(
                f"the input {self.input} leaves its shape open, {lengths[1:]} with 0 for any length; pass input_shape,"
                " the shape of one input without the batch, as in (1, 28, 28)."
            )
        self.shape = tuple(lengths[1:]) if input_shape is None else as_shape(input_shape)

    def where(self, node: Any) -> str:
        """Return the name and operation of a node."""
        return f"node '{node.name or node.output[0]}' ({node.op_type})"

    def network(self) -> Network:
        """Return the network of the graph."""
        lowering = Lowering(self.shape)
        values: dict[str, Any] = {"": None, **self.constants, self.input: lowering.input}
        refusals: list[str] = []
        for node in self.graph.node:
            if any(name not in values for name in node.input):
                continue  # it comes after a refused node
            try:
                results = self._read(node, [values[name] for name in node.input], lowering)
            except RefusedError as error:
                refusals.append(f"{self.where(node)} {error}")
                continue
            except NonFiniteError as error:
                raise NonFiniteError(f"{self.where(node)}: {error}") from error
            values |= dict(zip(node.output, results, strict=False))
        if refusals:
            more = len(refusals) - _N_LISTED
            raise UnsupportedModuleError(
                f"the model must be piecewise linear, but {'; '.join(refusals[:_N_LISTED])}"
                f"{f'; and {more} more' if more > 0 else ''}."
            )
        output = values[self.output]
        return lowering.network(output if isinstance(output, Expression) else constant(output[0]))

    def _read(self, node: Any, inputs: list[Any], lowering: Lowering) -> list[Any]:
        """Return the outputs of a node: expressions, or arrays if none of its inputs is one."""
        symbolic = [part for part in inputs if isinstance(part, Expression)]
        if not symbolic:
            return self._run(node, inputs)
        attributes = {part.name: onnx.helper.get_attribute_value(part) for part in node.attribute}
        step = Step(lowering, inputs, attributes, self.batch, len(node.output))
        if node.op_type in ("Shape", "Size"):
            return self._run(node, [np.zeros((self.batch, *symbolic[0].shape))])
        if node.op_type in RULES:
            return [RULES[node.op_type](step)]
        if node.op_type not in MOVES or node.domain not in ("", "ai.onnx"):
            last = "; as the last step leave it off: it does not change which output is the largest"
            raise RefusedError(
                f"is not piecewise linear, or not known to be{last if node.op_type in _MONOTONE else ''}"
            )

        def moved(given: list[FloatArray]) -> list[FloatArray]:
            filled = iter(given)
            return self._run(node, [next(filled) if isinstance(part, Expression) else part for part in inputs])

        try:
            results = gathered_leaves(moved, symbolic, self.batch)
        except (ValueError, IndexError, RuntimeError, TypeError) as error:
            raise ShapeError(f"{self.where(node)} does not take inputs of shape {self.shape}: {error}") from error
        if results is None:
            raise RefusedError("mixes the entries of a batch, or does more than move entries, which is not supported")
        return results

    def _run(self, node: Any, inputs: Sequence[Any]) -> list[Any]:
        """Run one node in float64."""
        if node.op_type == "Cast":
            kind = onnx.helper.tensor_dtype_to_np_dtype(onnx.helper.get_attribute_value(node.attribute[0]))
            array = np.asarray(inputs[0])
            return [array if kind.kind == "f" and array.dtype.kind == "f" else _widened(array.astype(kind))]
        given = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
        return [_widened(part) for part in ReferenceEvaluator(node, opsets=self.opsets).run(None, given)]

    def reference(self, points: FloatArray) -> FloatArray:
        """Return the outputs (n, n_outputs) of the whole graph in float64, by ONNX's reference implementation."""

        def outputs(part: FloatArray) -> Any:
            values: dict[str, Any] = {"": None, **self.constants, self.input: part}
            for node in self.graph.node:
                results = self._run(node, [values[name] for name in node.input])
                values |= dict(zip(node.output, results, strict=False))
            return values[self.output]

        return self.batched(points, outputs)

    def batched(self, points: FloatArray, outputs: Any) -> FloatArray:
        """Return outputs (n, n_outputs) at flat points, in batches of the size that the graph takes."""
        size = self.batch if self.fixed else len(points)
        parts = []
        for start in range(0, len(points), size):
            part = points[start : start + size]
            whole = np.concatenate([part, np.zeros((size - len(part), part.shape[1]))])
            batch = np.asarray(outputs(whole.reshape(size, *self.shape)), dtype=np.float64)
            if batch.ndim < 1 or len(batch) != size:
                raise TropnetError(
                    f"the output {self.output} must have the batch as its first axis, got {batch.shape}."
                )
            parts.append(batch.reshape(size, -1)[: len(part)])
        return np.concatenate(parts)


def _widened(array: Any) -> Any:
    return np.asarray(array, dtype=np.float64) if np.asarray(array).dtype.kind == "f" else array
