"""Predictions: the compiled tree and the cache beside forward passes of the same networks, on one core, in one run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

import tropnet as tn
from benchmarks.networks import PREDICTION, QUICK, Case

BATCHES = (1, 10_000)
# A round repeats the call for so long; the median of the rounds counts.
SECONDS = 0.01 if QUICK else 0.2
ROUNDS = 1 if QUICK else 7
Predict = Callable[[Any], Any]


def dense(net: tn.Network) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights and biases of a chain."""
    return [(np.asarray(layer.weights[index]), layer.bias) for index, layer in enumerate(net.layers)]


def numpy_pass(net: tn.Network, x: np.ndarray) -> tuple[Predict, Any]:
    """Return the shortest forward pass in numpy, float32."""
    parts = [(weight.T.astype(x.dtype).copy(), bias.astype(x.dtype)) for weight, bias in dense(net)]

    def predict(values: np.ndarray) -> np.ndarray:
        for weight, bias in parts[:-1]:
            values = values @ weight
            values += bias
            np.maximum(values, 0, out=values)
        weight, bias = parts[-1]
        return values @ weight + bias

    return predict, x


def torch_pass(net: tn.Network, x: np.ndarray) -> tuple[Predict, Any]:
    """Return an `nn.Sequential` in inference mode, eager."""
    torch.set_num_threads(1)
    module = tn.to_torch(net).to(torch.from_numpy(x).dtype).eval()
    return _without_gradients(module), torch.from_numpy(x)


def compiled_torch_pass(net: tn.Network, x: np.ndarray) -> tuple[Predict, Any]:
    """Return the same under torch.compile."""
    torch.set_num_threads(1)
    torch.compiler.reset()
    module = torch.compile(tn.to_torch(net).to(torch.from_numpy(x).dtype).eval())
    return _without_gradients(module), torch.from_numpy(x)


def _without_gradients(module: Predict) -> Predict:
    def predict(values: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(values)

    return predict


def onnx_pass(net: tn.Network, x: np.ndarray) -> tuple[Predict, Any]:
    """Return `InferenceSession.run` on one thread."""
    nodes, constants, value = [], [], "x"
    for index, (weight, bias) in enumerate(dense(net)):
        last = index == len(net.layers) - 1
        constants += [
            numpy_helper.from_array(weight.astype(x.dtype), f"W{index}"),
            numpy_helper.from_array(bias.astype(x.dtype), f"b{index}"),
        ]
        nodes.append(helper.make_node("Gemm", [value, f"W{index}", f"b{index}"], [f"z{index}"], transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [f"z{index}"], [f"y{index}"]))
        value = f"z{index}" if last else f"y{index}"
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, ["n", net.n_inputs])],
        [helper.make_tensor_value_info(value, kind, ["n", net.n_outputs])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda values: session.run(None, {"x": values})[0], x


def cached(net: tn.Network, x: np.ndarray) -> tuple[Predict, Any]:
    """Return the cache, warmed with the points that it will be asked."""
    return tn.CachedPredictor(net, max_size=100_000).warm(x), x


def single(x: np.ndarray) -> np.ndarray:
    """Return points in the precision that forward passes usually have."""
    return x.astype(np.float32)


# Programs take a whole batch; those in float32 take float32 points.
PROGRAMS = {
    "tropnet, compiled": lambda case, net, x: (_compiled(case, net), x),
    "tropnet, cached": lambda _, net, x: cached(net, x),
    "numpy": lambda _, net, x: numpy_pass(net, single(x)),
    "numpy float64": lambda _, net, x: numpy_pass(net, x),
    "torch": lambda _, net, x: torch_pass(net, single(x)),
    "torch.compile": lambda _, net, x: compiled_torch_pass(net, single(x)),
    "onnxruntime": lambda _, net, x: onnx_pass(net, single(x)),
}
_COMPILED: dict[Case, tn.CompiledPredictor] = {}


def _compiled(case: Case, net: tn.Network) -> tn.CompiledPredictor:
    if case not in _COMPILED:
        _COMPILED[case] = tn.compile_regions(net, case.domain)
    return _COMPILED[case]


# torch.compile imports what torch itself calls deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", PREDICTION, ids=str)
def test_prediction(benchmark, case, program, batch):
    """Each program on the same points; outputs agree."""
    net = case.network(0)
    x = np.random.default_rng(0).uniform(-case.half_width, case.half_width, (batch, case.inputs))
    predict, argument = PROGRAMS[program](case, net, x)
    found = np.asarray(predict(argument))
    tolerance = 1e-4 if np.asarray(argument).dtype == np.float32 else 1e-10
    assert np.abs(found - net(x)).max() < tolerance
    begin = time.perf_counter()
    predict(argument)
    repeats = max(1, math.ceil(SECONDS / (time.perf_counter() - begin)))

    def run() -> None:
        for _ in range(repeats):
            predict(argument)

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    benchmark.extra_info.update(
        topic="prediction",
        architecture=case.architecture,
        domain=case.where,
        program=program,
        batch=batch,
        n_points=batch * repeats,
        tree=_compiled(case, net).size._asdict() if program == "tropnet, compiled" else None,
    )
