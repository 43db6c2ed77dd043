"""Reading ONNX graphs: the network is the model, and what cannot be read is refused by name."""

import warnings

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

import tropnet as tn
from tests.pytorch.onnx_models import node, saved
from tests.pytorch.test_importers_graphs import MODELS, check_slice, outputs, trained


def exported(module, shape, path, *, dynamic=True, dynamo=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters warn of each other
        options = {"dynamic_axes": {"x": {0: "n"}}} if dynamic and not dynamo else {}
        if dynamic and dynamo:
            options = {"dynamic_shapes": ({0: torch.export.Dim("n")},)}
        x = torch.zeros(2 if dynamic else 1, *shape)
        torch.onnx.export(module, (x,), path, input_names=["x"], dynamo=dynamo, **({"verbose": False} | options))
    return path


@pytest.mark.parametrize("name", MODELS)
def test_exports_of_trained_models(name, tmp_path):
    """The file gives the module's function up to the exporter's float32 rounding, and enumerates on a slice."""
    torch.manual_seed(0)
    make, shape = MODELS[name]
    module = trained(make, shape)
    path = exported(module, shape, tmp_path / "model.onnx")
    net = tn.from_onnx(path)
    points = np.random.default_rng(1).normal(size=(50, net.n_inputs))
    np.testing.assert_allclose(net(points), outputs(module, shape, points), rtol=1e-4, atol=1e-5)
    assert net.widths == tn.from_torch(module, shape).widths
    assert len(check_slice(net)) > 1
    assert tn.load(path).fingerprint == net.fingerprint


@pytest.mark.parametrize(("dynamic", "dynamo"), [(False, False), (False, True), (True, True)])
def test_either_exporter_with_fixed_or_open_batch(dynamic, dynamo, tmp_path):
    """Nothing is folded in this model, so that the network is the same as from the module."""
    torch.manual_seed(0)
    make, shape = MODELS["max-pool"]
    module = make().eval()
    path = exported(module, shape, tmp_path / "model.onnx", dynamic=dynamic, dynamo=dynamo)
    assert tn.from_onnx(path).fingerprint == tn.from_torch(module, shape).fingerprint


W = np.array([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0]])


NODES = {
    "Clip": ([node("Clip", "x", "low", "high")], {"low": -0.5, "high": 0.25}),
    "Abs": ([node("Abs", "x")], {}),
    "LeakyRelu": ([node("LeakyRelu", "x", alpha=0.5)], {}),
    "PRelu": ([node("PRelu", "x", "slopes")], {"slopes": np.array([0.25, -1.0])}),
    "Max": ([node("Max", "x", "c")], {"c": np.array([0.25])}),
    "Min of three": ([node("Neg", "x", output="a"), node("Mul", "x", "c", output="b"), node("Min", "x", "a", "b")],
                     {"c": np.array(0.25)}),
    "HardSigmoid": ([node("HardSigmoid", "x")], {}),
    "ReduceMax": ([node("ReduceMax", "x", axes=[1])], {}),
    "ReduceMin": ([node("ReduceMin", "x", axes=[-1], keepdims=0)], {}),
    "ReduceMean": ([node("Relu", "x", output="a"), node("ReduceMean", "a", axes=[1])], {}),
    "ReduceSum": ([node("ReduceSum", "x", "axes")], {"axes": np.array([1])}),
    "MatMul, Add, Sub, Div": (
        [node("MatMul", "x", "W", output="a"), node("Sub", "c", "a", output="b"), node("Div", "b", "c", output="d"),
         node("Add", "d", "a", output="e"), node("Relu", "e")],
        {"W": W, "c": np.array([1.0, 2.0, 4.0])},
    ),
    "Gemm": ([node("Gemm", "x", "W", "c", alpha=2.0, beta=0.5)], {"W": W, "c": np.array([1.0, 2.0, 4.0])}),
    "moves": (
        [node("Unsqueeze", "x", "one", output="a"), node("Concat", "a", "a", output="b", axis=1),
         node("Transpose", "b", output="c", perm=[0, 2, 1]), node("Pad", "c", "pads", "v", output="d"),
         node("Slice", "d", "starts", "ends", output="e"), node("Relu", "e", output="f"), node("Flatten", "f")],
        {"one": np.array([1]), "pads": np.array([0, 0, 1, 0, 0, 0]), "v": 0.5,
         "starts": np.array([0, 0, 0]), "ends": np.array([100, 2, 2])},
    ),
    "Split": (
        [helper.make_node("Split", ["x"], ["a", "b"], axis=1), node("Sub", "a", "b", output="c"), node("Relu", "c")], {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_nodes(name, tmp_path):
    """Each node gives what onnxruntime and the reference give; both are asked on import."""
    nodes, constants = NODES[name]
    # onnxruntime has this one for float32 only.
    dtype = TensorProto.FLOAT if name == "HardSigmoid" else TensorProto.DOUBLE
    path = saved(tmp_path / "model.onnx", nodes, constants, dtype=dtype)
    assert tn.from_onnx(path).n_inputs == 2


def test_pooling_with_uneven_padding(tmp_path):
    """Windows follow auto_pad and pads of two widths."""
    weight = np.random.default_rng(0).normal(size=(2, 1, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "x", "w", output="a", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("MaxPool", "a", output="b", kernel_shape=[2, 2], pads=[0, 0, 1, 1], strides=[2, 1]),
        node("AveragePool", "b", output="c", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
        node("GlobalMaxPool", "c"),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"w": weight}, shape=("n", 1, 6, 7), dtype=TensorProto.FLOAT)
    assert tn.from_onnx(path).n_outputs == 2


REFUSED = {
    "Sigmoid": ([node("Sigmoid", "x")], r"but node 'the Sigmoid' \(Sigmoid\) is not piecewise linear, or not known"),
    "Mul": ([node("Mul", "x", "x")], r"node 'the Mul' \(Mul\) multiplies values that both depend on the input"),
    "batch": ([node("ReduceSum", "x", "axes")], "the output y mixes the inputs of a batch; pass input_shape"),
    "two": (
        [node("Sigmoid", "x", output="a"), node("Tanh", "x", output="b"), node("Add", "a", "b")],
        r"\(Sigmoid\) is not .*; node 'the Tanh' \(Tanh\) is not",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name, tmp_path):
    """The node, its operation, and why."""
    nodes, message = REFUSED[name]
    path = saved(tmp_path / "model.onnx", nodes, {"axes": np.array([0])})
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        tn.from_onnx(path)


def test_files_that_are_no_models(tmp_path):
    """A missing file, other content and open shapes are told apart."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tn.load(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(tn.FileFormatError, match=r"text\.onnx' must be an ONNX model"):
        tn.load(tmp_path / "text.onnx")
    open_ = saved(tmp_path / "open.onnx", [node("Relu", "x")], shape=("n", "d"))
    with pytest.raises(tn.ShapeError, match=r"the input x \(n, n\) leaves its shape open; pass input_shape"):
        tn.from_onnx(open_)
    assert tn.from_onnx(open_, (3,)).widths == (3,)
    two = saved(tmp_path / "two.onnx", [node("Relu", "x"), node("Neg", "x", output="y1")], outputs=("y", "y1"))
    with pytest.raises(tn.ShapeError, match=r"the outputs \['y', 'y1'\]; pass the one that is wanted"):
        tn.from_onnx(two)
