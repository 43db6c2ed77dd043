"""Comparing a network with the ONNX model that it was read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError, TropnetError, UnsupportedModuleError
from tropnet.importers.common.lowering import RefusedError
from tropnet.importers.common.verification import verify
from tropnet.importers.onnx.graph import attributes_of
from tropnet.importers.onnx.reading import Reading
from tropnet.importers.onnx.shapes import Attempt
from tropnet.network.network import Network

__all__ = ["check"]

_REMEDY = "Please report the model."
# Of float64, and how many roundings of a term are allowed for at least.
_LEAST_ERROR = 1e-10
_LEAST_ROUNDINGS = 256
# By which part the results of nodes are changed to see how far their rounding carries, and how often.
_SHAKE = 2.0**-20
_N_SHAKES = 3


def check(network: Network, reading: Reading, attempt: Attempt, session: Any, where: str) -> None:
    """Raise TropnetError unless a network gives the outputs of its model, at random points.

    onnxruntime decides, in the model's own precision. ONNX's reference implementation in float64, to which a network
    is compared more closely, decides where there is no session; where the two programs differ, it is wrong.
    """
    model = f"the model {where}"
    dtypes = [np.dtype(part.dtype) for part in reading.graph.inputs]

    def taken(points: FloatArray) -> FloatArray:
        columns = [
            _held(points[:, start:end], dtype)
            for start, end, dtype in zip(reading.ends, reading.ends[1:], dtypes, strict=False)
        ]
        return np.concatenate(columns, axis=1)

    def carried(points: FloatArray) -> FloatArray:
        """Return how much rounding each node's results by one part can change the outputs by."""
        rng = np.random.default_rng(1)
        nothing = np.zeros((len(points), network.n_outputs))
        try:
            exact = reading.reference(points)
            shaken = np.stack([reading.reference(points, rng, _SHAKE) for _ in range(_N_SHAKES)])
        except (RefusedError, ValueError):  # the reference lacks an operator, or gives results of unequal shapes
            return nothing
        found = np.abs(shaken - exact).max(axis=0) / _SHAKE
        return np.where(np.isfinite(found), found, 0.0) if found.shape == nothing.shape else nothing

    def compare(outputs: Callable[[FloatArray], FloatArray], program: str, precision: dict[str, float]) -> None:
        """Compare with a program, with what rounding carries only where it is needed."""
        name = f"{model} ({program})"
        try:
            verify(network, outputs, None, name, _REMEDY, taken=taken, **precision)
        except TropnetError:
            verify(network, outputs, carried, name, _REMEDY, taken=taken, **precision)

    if session is not None:
        runtime = _Runtime(reading, attempt, session, dtypes)
        unit = _unit(reading)
        roundings = unit * max(_LEAST_ROUNDINGS, sum(_longest_row(layer) for layer in network.layers))
        relative = max(_LEAST_ERROR, roundings)
        compare(runtime.outputs, "onnxruntime", {"relative_error": relative, "rounding": roundings})
        if attempt.is_open:
            runtime.check_batch(taken(_points(network, 3)), relative)
    try:
        compare(reading.reference, "ONNX's reference implementation", {})
    except RefusedError as error:
        if session is None:
            raise UnsupportedModuleError(
                f"{model} cannot be checked, neither by onnxruntime nor by ONNX's reference, which {error}; save it in"
                " a newer version of ONNX's operators, or in float32."
            ) from error
    except TropnetError:
        # Of Resize the reference takes places and weights in float32.
        resizes = any(node.op_type in ("Resize", "Upsample") for node in reading.nodes)
        if session is None or (not resizes and runtime.agrees(reading.reference, taken(_points(network, 4)))):
            raise


class _Runtime:
    """A model as onnxruntime evaluates it."""

    def __init__(self, reading: Reading, attempt: Attempt, session: Any, dtypes: list[Any]) -> None:
        self.reading, self.attempt, self.session, self.dtypes = reading, attempt, session, dtypes
        self.names = [part.name for part in reading.graph.inputs]

    def run(self, arrays: list[Any]) -> Any:
        given = {
            name: np.asarray(array).astype(dtype)
            for name, array, dtype in zip(self.names, arrays, self.dtypes, strict=True)
        }
        try:
            return np.asarray(self.session.run(None, given)[0]).astype(np.float64)
        except Exception as error:  # onnxruntime has errors of many kinds
            shapes = ", ".join(str(np.shape(array)) for array in arrays)
            text = next(iter(str(error).splitlines()), "")
            raise ShapeError(f"the model does not take an input of shape {shapes}: {text}") from error

    def outputs(self, points: FloatArray) -> FloatArray:
        """Return the outputs (n, n_outputs), in batches of the size that the model takes."""
        rows = self.attempt.rows
        if rows == 1:
            return np.stack([np.ravel(self.run(self.reading.arrays(point))) for point in points])
        shape = self.attempt.shapes[0]
        parts = []
        for start in range(0, len(points), rows):
            part = points[start : start + rows]
            whole = np.concatenate([part, np.zeros((rows - len(part), part.shape[1]))])
            image = self.run([whole.reshape(rows, *shape[1:])])
            if image.size % rows:
                raise ShapeError(
                    f"the output must have a row for each of {rows} inputs, but its shape is {image.shape}."
                )
            parts.append(image.reshape(rows, -1)[: len(part)])
        return np.concatenate(parts)

    def agrees(self, reference: Callable[[FloatArray], FloatArray], points: FloatArray) -> bool:
        """Return whether another program gives these outputs, but for rounding."""
        expected, found = self.outputs(points), reference(points)
        return expected.shape == found.shape and np.allclose(found, expected, 1e-3, 1e-3 * np.abs(expected).max())

    def check_batch(self, points: FloatArray, tolerance: float) -> None:
        """Raise UnsupportedModuleError if the output for an input depends on the others in its batch."""
        shape = self.attempt.shapes[0]
        try:
            together = self.run([points.reshape(len(points), *shape[1:])])
        except ShapeError:
            return  # it takes one input at a time, whatever it says
        apart = self.outputs(points)
        if together.size == apart.size:
            error = np.abs(together.reshape(apart.shape) - apart)
            if (error <= tolerance * (1 + np.abs(apart).max())).all():
                return
        raise UnsupportedModuleError(
            f"the output {self.reading.graph.output} mixes the inputs of a batch; pass input_shape={shape}, with the"
            " batch, to read it for batches of that size."
        )


def _points(network: Network, n: int) -> FloatArray:
    return np.random.default_rng(2).normal(size=(n, network.n_inputs))


def _held(points: FloatArray, dtype: Any) -> FloatArray:
    """Return the nearest points of a type."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(20 * points), max(limits.min, -1e6), min(limits.max, 1e6))
    return points.astype(dtype).astype(np.float64)


def _unit(reading: Reading) -> float:
    """Return the largest rounding unit of the types in which a model computes."""
    types = [part.dtype for part in reading.graph.inputs]
    read = {name for node in reading.nodes for name in node.input}
    types += [np.asarray(value).dtype for name, value in reading.graph.constants.items() if name in read]
    for node in reading.nodes:
        if node.op_type == "Cast":
            types.append(onnx.helper.tensor_dtype_to_np_dtype(attributes_of(node)["to"]))
    units = [_unit_of(kind) for kind in types if kind.kind in "fV"]
    return max(units, default=_unit_of(np.dtype(np.float32)))


def _unit_of(kind: Any) -> float:
    # Types that numpy lacks (bfloat16) have at least seven bits after the point.
    return float(np.finfo(kind).eps) / 2 if kind.kind == "f" else 2.0**-8


def _longest_row(layer: Any) -> int:
    """Return how many terms the longest sum of a layer has."""
    n_terms = np.ones(layer.width, dtype=np.int64)
    for weight in layer.weights.values():
        n_terms += np.asarray((weight != 0).sum(axis=1)).ravel()
    return int(n_terms.max(initial=1))
