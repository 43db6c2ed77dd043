"""Reading ONNX files into a `Network`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplementedByRuntime

from tropnet.errors import FileFormatError, ShapeError, TropnetError
from tropnet.importers.onnx.check import check
from tropnet.importers.onnx.evaluation import quiet_session
from tropnet.importers.onnx.graph import Graph
from tropnet.importers.onnx.reading import Reading
from tropnet.importers.onnx.shapes import Attempt, attempts
from tropnet.network.network import Network

__all__ = ["from_onnx"]


def from_onnx(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    output: str | None = None,
    inputs: str | Sequence[str] | None = None,
    fixed: Mapping[str, ArrayLike] | None = None,
) -> Network:
    """Read a piecewise-linear ONNX model into a `Network`.

    The graph is split at its activations like that of a PyTorch module, see `from_torch`.

    Parameters
    ----------
    path
        An `.onnx` file. The nodes before `output` are affine (Gemm, MatMul, Conv, ConvTranspose, BatchNormalization,
        pooling by averages, Resize, sums, products with constants, moves of entries, ...) or piecewise linear and
        continuous (Relu, LeakyRelu, PRelu, Clip, HardSigmoid, Abs, MaxPool, Max, Min, ReduceMax, TopK, Where, ...).
    input_shape
        Shape of one input, without the batch, or of the whole tensor with its first axis; needed only where the file
        leaves it open.
    output
        The name of the tensor that the network is to give, needed if the model has several outputs; "logits" leaves off
        the last Softmax, LogSoftmax, Sigmoid or ArgMax, unless a tensor has that name.
    inputs
        The name of the input that varies, or the names of several, which the network then takes one behind the other.
        None is the only one that is not fixed.
    fixed
        Values of the other inputs by name, arrays of their shapes or numbers that fill them.

    Returns
    -------
    Network
        Of the input flattened in C order, to the output flattened likewise. A first axis that the file leaves open is a
        batch, and so is one of fixed length if the model treats its rows alike; a vector is one input.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        It is no ONNX model, or onnxruntime does not take it.
    UnsupportedModuleError
        A node is not piecewise linear or not known to be; the message gives its name and operation, and why.
    ShapeError
        A tensor must be named, or is not there; a shape is left open or does not fit.
    NonFiniteError
        A weight is NaN or infinite.
    TropnetError
        The outputs of the network differ from those of the model at a random point: from onnxruntime, in the model's
        own precision and without its optimiser, by more than rounding there allows; or, where onnxruntime lacks an
        operator in that precision, from ONNX's reference implementation in float64. Where the two differ,
        onnxruntime is believed.

    Notes
    -----
    float32 weights are widened exactly. Costs what `from_torch` costs, and some evaluations of the model.

    Examples
    --------
    >>> from_onnx("no such file.onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.onnx'
    """
    graph = Graph(path, output, inputs, fixed)
    where = f"'{os.fspath(path)}'"
    session, invalid = _session(graph)
    refused: TropnetError | None = None
    for attempt in attempts(graph.inputs, input_shape):
        try:
            network, reading = _read(graph, attempt, invalid, where)
            check(network, reading, attempt, session, where)
        except TropnetError as error:
            refused = error
        else:
            return network
    raise refused or ShapeError(f"{where} has no input that varies.")


def _read(graph: Graph, attempt: Attempt, invalid: Exception | None, where: str) -> tuple[Network, Reading]:
    """Return the network; what onnxruntime finds wrong with the file comes after nodes that are refused by name."""
    try:
        reading = Reading(graph, attempt.shapes)
        network = reading.network()
    except ShapeError:
        if invalid is None:
            raise
    if invalid is not None:
        text = next(iter(str(invalid).splitlines()), "")
        raise FileFormatError(f"{where} must be an ONNX model, but onnxruntime says: {text}") from invalid
    return network, reading


def _session(graph: Graph) -> tuple[Any, Exception | None]:
    """Return an onnxruntime session, None where it lacks something, and what it finds wrong with the file."""
    try:
        return quiet_session(graph.extracted()), None
    except NotImplementedByRuntime:  # it lacks an operator in this precision, as convolution in float64
        return None, None
    except Exception as error:  # it has errors of many kinds
        # A version of ONNX that is newer than it is no fault of the file.
        return None, None if "ValidateOpset" in str(error) else error
