"""ONNX files made in tests, and onnxruntime as the oracle of what they compute."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import tropnet as tn


def node(kind, *inputs, output="y", name=None, **attributes):
    outputs = [output] if isinstance(output, str) else output
    return helper.make_node(kind, inputs, outputs, name=f"the {kind}" if name is None else name, **attributes)


def saved(
    path,
    nodes,
    constants=(),
    *,
    shape=("n", 2),
    outputs=("y",),
    dtype=TensorProto.FLOAT,
    opset=17,
    inputs=None,
    ir_version=8,
    checked=True,
    domains=(),
):
    """Write a model from x, or from `inputs` by name, to y; constants of floats are stored in its type."""
    for i, part in enumerate(nodes):
        part.name = f"{part.name} {i}" if part.name in {other.name for other in nodes[:i]} else part.name
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    given = {"x": (dtype, shape)} if inputs is None else inputs
    arrays = {name: np.asarray(value) for name, value in dict(constants).items()}
    floats = kind if kind.kind == "f" else np.float32
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *part) for name, part in given.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [
            onnx.numpy_helper.from_array(value.astype(floats) if value.dtype == np.float64 else value, name)
            for name, value in arrays.items()
        ],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    onnx.save(onnx.shape_inference.infer_shapes(model) if checked else model, path)
    return path


def runtime(path, feeds, output=None):
    """Return what onnxruntime computes, without its optimiser, as float64."""
    model = onnx.load(path)
    if output is not None:
        model.graph.output.append(helper.make_empty_tensor_value_info(output))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = output or session.get_outputs()[0].name
    return np.asarray(session.run([name], feeds)[0]).astype(np.float64)


def equals(path, shape, *, dtype=np.float32, integers=False, rtol=1e-5, **options):
    """Import a file and compare it with onnxruntime, one input at a time; return the network."""
    net = tn.from_onnx(path, **options)
    rng = np.random.default_rng(3)
    assert net.n_inputs == np.prod(shape)
    for scale in (1.0, 3.0, 0.1, 10.0, 1.0, 2.0):
        x = np.asarray(rng.normal(size=shape) * scale)
        x = np.asarray(np.abs(x * 10).round() if integers else x, dtype=dtype)
        expected = runtime(path, {"x": x}, options.get("output") if options.get("output") != "logits" else None).ravel()
        found = net(x.astype(np.float64).ravel()[None])[0]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (1 + np.abs(expected).max()))
    return net
