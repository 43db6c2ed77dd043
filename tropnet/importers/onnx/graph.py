"""The part of an ONNX file that gives one tensor: its nodes in order, its constants, its inputs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from numpy.typing import ArrayLike
from onnx import numpy_helper

from tropnet.errors import FileFormatError, ShapeError
from tropnet.operators.operator import Shape

__all__ = ["LAST_STEPS", "Graph", "Input", "attributes_of", "where"]

# Steps at the end of classifiers, which give probabilities, or the place of the largest output.
LAST_STEPS = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "ArgMin", "Hardmax"})
# Steps that may stand between or behind them: moves, logarithms of probabilities, the few largest of them.
_BESIDE = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast"})
_BESIDE |= {"Log", "TopK", "ZipMap"}
# onnxruntime takes no newer one, and which it is changes nothing.
_IR_VERSION = 10


@dataclass(frozen=True)
class Input:
    """An input of a graph: its name, its type, and its lengths with 0 for those left open, None if it states none."""

    name: str
    dtype: np.dtype[Any]
    lengths: tuple[int, ...] | None

    def __str__(self) -> str:
        """Return the name and the shape."""
        lengths = "?" if self.lengths is None else ", ".join(str(length or "n") for length in self.lengths)
        return f"{self.name} ({lengths}{',' * (self.lengths is not None and len(self.lengths) == 1)})"


class Graph:
    """What a model computes on the way to one tensor.

    Parameters
    ----------
    path
        An `.onnx` file.
    output
        The name of the wanted tensor, "logits" for what the last Softmax or the like is applied to, or None for the
        only output.
    inputs, fixed
        The inputs that vary, None for all that are not fixed; and the values of others.

    Attributes
    ----------
    nodes
        In an order in which each comes after what it reads.
    constants
        By name, in the file's own types.
    inputs
        Those that vary, in the order asked for.
    tail
        The names of the nodes that output="logits" leaves off.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        output: str | None = None,
        inputs: str | Sequence[str] | None = None,
        fixed: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.model = _loaded(path)
        graph = self.model.graph
        self.opsets = {part.domain or "": part.version for part in self.model.opset_import}
        self.constants: dict[str, Any] = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
        for part in graph.sparse_initializer:
            self.constants[part.values.name] = _dense(part)
        makers = {name: node for node in graph.node for name in node.output if name}
        self.tail: set[int] = set()
        self.output = self._wanted(output, makers)
        self.nodes = _needed([self.output], graph.node, makers)
        given = {part.name: part for part in graph.input if part.name not in self.constants}
        unknown = sorted({*(fixed or {}), *([inputs] if isinstance(inputs, str) else inputs or [])} - {*given})
        if unknown:
            raise ShapeError(f"the model has no input '{unknown[0]}'; its inputs are {[*given]}.")
        read = {name for node in self.nodes for name in _reads(node)} | {self.output}
        self.inputs = self._free({name: _described(given[name]) for name in given if name in read}, inputs, fixed or {})

    def extracted(self) -> Any:
        """Return the model of these nodes only, for other programs."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        kept = {part.name for part in self.inputs}
        read = {name for node in self.nodes for name in _reads(node)} | {self.output}
        inputs = [part for part in graph.input if part.name in kept]
        for axis in (axis for part in inputs for axis in part.type.tensor_type.shape.dim):
            if axis.dim_value < 1:
                axis.ClearField("dim_value")  # a 0 or -1 that is written out, too
        initializers = [part for part in graph.initializer if part.name in read]
        initializers += [
            numpy_helper.from_array(value, name)
            for name, value in self.constants.items()
            if name in read and name not in {part.name for part in graph.initializer}
        ]
        for field, parts in (
            ("node", self.nodes),
            ("input", inputs),
            ("initializer", initializers),
            ("sparse_initializer", []),
            ("value_info", []),
            ("output", [onnx.helper.make_empty_tensor_value_info(self.output)]),
        ):
            copies = [type(part).FromString(part.SerializeToString()) for part in parts]
            graph.ClearField(field)
            getattr(graph, field).extend(copies)
        model.ir_version = min(max(model.ir_version, 4), _IR_VERSION)
        return model

    # --- which tensor

    def _wanted(self, output: str | None, makers: Mapping[str, Any]) -> str:
        outputs: list[str] = [part.name for part in self.model.graph.output]
        known = {*makers, *self.constants, *(part.name for part in self.model.graph.input)}
        starts: set[str] = {self._before_last_steps(name, makers) for name in outputs}
        # Scores, where one output has last steps and others (hidden values) have none.
        starts = starts - {*outputs} or starts
        for name in outputs:
            self._mark_tail(name, makers)
        if output == "logits" and output not in known:
            if len(starts) > 1:
                raise ShapeError(f"the model has the outputs {outputs}; pass output= one of {sorted(starts)}.")
            return starts.pop()
        if output is None:
            if len(outputs) != 1:
                raise ShapeError(f"the model has the outputs {outputs}; pass the one that is wanted, output='NAME'.")
            return outputs[0]
        if output not in known:
            given = next((node.output[0] for node in self.model.graph.node if node.name == output), None)
            hint = f"the node of that name gives {given!r}" if given else f"its outputs are {outputs}"
            raise ShapeError(f"the model has no tensor '{output}'; {hint}.")
        return output

    def _before_last_steps(self, name: str, makers: Mapping[str, Any]) -> str:
        """Return the tensor that the last steps behind a tensor are applied to, itself if there are none."""
        found = name
        while name in makers and makers[name].op_type in LAST_STEPS | _BESIDE:
            # Of TopK the values are piecewise linear, the places are not.
            last = makers[name].op_type in LAST_STEPS or name in makers[name].output[1:]
            name = makers[name].input[0]
            found = name if last else found
        return found

    def _mark_tail(self, name: str, makers: Mapping[str, Any]) -> None:
        start = self._before_last_steps(name, makers)
        while name != start:
            self.tail.add(id(makers[name]))
            name = makers[name].input[0]

    # --- which inputs

    def _free(
        self, needed: Mapping[str, Input], inputs: str | Sequence[str] | None, fixed: Mapping[str, ArrayLike]
    ) -> list[Input]:
        names = [inputs] if isinstance(inputs, str) else inputs
        for name, value in fixed.items():
            if name in needed:
                self.constants[name] = _filled(needed[name], value)
        left = [name for name in needed if name not in fixed]
        if names is None and len(left) > 1:
            raise ShapeError(
                f"the model has the inputs {left}; fix all but one, as in fixed={{{left[-1]!r}: 0.0}}, or pass"
                f" inputs={left} to take them together."
            )
        open_ = [name for name in left if names is not None and name not in names]
        if open_:
            raise ShapeError(f"the input {open_[0]!r} is not among inputs={names}; give it a value with fixed=.")
        return [needed[name] for name in (left if names is None else names) if name in needed]


def attributes_of(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {part.name: onnx.helper.get_attribute_value(part) for part in node.attribute}


def where(node: Any) -> str:
    """Return the name and operation of a node."""
    return f"node '{node.name or next(filter(None, node.output), '')}' ({node.op_type})"


def _loaded(path: str | os.PathLike[str]) -> Any:
    with open(path, "rb"):  # onnx has errors of its own for files that are not there
        pass
    try:
        model = onnx.load(path)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the parsers of onnx and protobuf have errors of many kinds
        raise FileFormatError(f"'{os.fspath(path)}' must be an ONNX model, but reading it raises: {error}") from error
    if not model.graph.output:
        raise FileFormatError(f"'{os.fspath(path)}' must be an ONNX model, but it has no output.")
    return model


def _described(part: Any) -> Input:
    tensor = part.type.tensor_type
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else np.dtype(np.float32)
    if kind.kind not in "fViu":
        raise ShapeError(
            f"the input {part.name} must hold numbers, but its type is {kind}; give it a value with fixed=."
        )
    # Some programs write -1 for a length that they leave open.
    lengths = tuple(max(0, axis.dim_value) for axis in tensor.shape.dim) if tensor.HasField("shape") else None
    return Input(part.name, kind, lengths)


def _filled(part: Input, value: ArrayLike) -> Any:
    """Return the array that a fixed input gets: a number fills it, and the batch may be left off."""
    array = np.asarray(value)
    if part.lengths is not None:
        whole = tuple(length or 1 for length in part.lengths)
        if array.ndim == 0:
            array = np.broadcast_to(array, whole)
        elif array.ndim == len(whole) - 1 and whole[0] == 1:
            array = array[None]
        fits = array.ndim == len(whole) and all(
            length in (0, given) for length, given in zip(part.lengths, array.shape, strict=True)
        )
        if not fits:
            raise ShapeError(f"the value for the input {part} in fixed= must have its shape, got {np.shape(value)}.")
    return np.array(array, dtype=part.dtype)


def _dense(part: Any) -> Any:
    values, places = numpy_helper.to_array(part.values), numpy_helper.to_array(part.indices)
    whole: Shape = tuple(part.dims)
    array = np.zeros(math.prod(whole), dtype=values.dtype)
    array[places if places.ndim == 1 else np.ravel_multi_index(tuple(places.T), whole)] = values
    return array.reshape(whole)


def _reads(node: Any) -> Iterator[str]:
    """Return the names that a node reads, those of its branches too."""
    yield from filter(None, node.input)
    for part in node.attribute:
        for graph in [part.g, *part.graphs] if part.type in (part.GRAPH, part.GRAPHS) else []:
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from _reads(inner)


def _needed(names: Sequence[str], nodes: Sequence[Any], makers: Mapping[str, Any]) -> list[Any]:
    """Return the nodes that some tensors depend on, each after what it reads, otherwise in the order of the file."""
    needed = {id(node): node for node in _ordered([makers[name] for name in names if name in makers], makers)}
    return _ordered([node for node in nodes if id(node) in needed], makers)


def _ordered(nodes: Sequence[Any], makers: Mapping[str, Any]) -> list[Any]:
    """Return nodes and those they depend on, depth first.

    Raises
    ------
    FileFormatError
        A node depends on its own output.
    """
    order: list[Any] = []
    begun: set[int] = set()
    done: set[int] = set()
    pending = [(node, False) for node in reversed(nodes)]
    while pending:
        node, is_read = pending.pop()
        if id(node) in done:
            continue
        if is_read:
            done.add(id(node))
            order.append(node)
            continue
        if id(node) in begun:  # what comes between is read for it
            raise FileFormatError(f"the model must be a graph without cycles, but {where(node)} reads its own output.")
        begun.add(id(node))
        sources = [makers[name] for name in _reads(node) if name in makers]
        pending.append((node, True))
        pending += [(source, False) for source in sources if id(source) not in done]
    return order
