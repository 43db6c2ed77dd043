"""`tropnet verify` of an ONNX model: the counterexample is run by onnxruntime."""

import json
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tropnet.cli.commands.verify import VIOLATED
from tropnet.importers.onnx.runtime import outputs_by_onnxruntime


def write_model(path, element=TensorProto.FLOAT):
    """Write relu(x_0 - x_1) as a model of shape (1, 1, 1, 2), as those of ACAS Xu are."""
    kind = helper.tensor_dtype_to_np_dtype(element)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "w"], ["z"]),
            helper.make_node("Relu", ["z"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", element, [1, 1, 1, 2])],
        [helper.make_tensor_value_info("y", element, [1, 1])],
        [numpy_helper.from_array(np.array([[1], [-1]], dtype=kind), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)


def test_the_model_breaks_the_property_too(tmp_path):
    """relu(x_0 - x_1) reaches 2 on [-1, 1]^2, in onnxruntime, too."""
    write_model(tmp_path / "net.onnx")
    (tmp_path / "p.vnnlib").write_text(
        "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
        "(assert (and (<= -1 X_0 1) (<= -1 X_1 1)))(assert (>= Y_0 2))"
    )
    line = [sys.executable, "-m", "tropnet", "verify", "net.onnx", "p.vnnlib", "-q"]
    found = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == VIOLATED, found.stderr
    assert "(exactly; also in float64; also in onnxruntime" in found.stdout
    found = subprocess.run([*line, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    again = json.loads(found.stdout)["counterexample"]["onnxruntime"]
    assert again == {"outputs": [2.0], "confirmed": True}


def test_models_that_it_does_not_take(tmp_path):
    """Integers in and points of another length are no error: there is nothing to compare."""
    write_model(tmp_path / "net.onnx")
    assert outputs_by_onnxruntime(tmp_path / "net.onnx", np.zeros(3)) is None
    write_model(tmp_path / "double.onnx", TensorProto.DOUBLE)
    assert outputs_by_onnxruntime(tmp_path / "double.onnx", np.array([0.75, 0.25])).tolist() == [0.5]
