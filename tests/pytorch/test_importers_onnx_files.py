"""What a file's inputs, outputs, batch and types are, and what is refused in which words."""

import json

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import tropnet as tn
from tests.pytorch.onnx_models import equals, node, runtime, saved
from tests.pytorch.test_importers_onnx import exported
from tropnet.cli.program import command

rng = np.random.default_rng(0)
W, V = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
DENSE = [node("MatMul", "x", "W", output="a"), node("Relu", "a")]


def ints(*values):
    return np.array(values, dtype=np.int64)


# --- the batch

BATCHES = {
    "a vector": (DENSE, {"W": W}, (2,)),
    "one number": ([node("Abs", "x")], {}, (1,)),
    "a scalar": ([node("Mul", "x", "W", output="a"), node("Relu", "a")], {"W": W}, ()),
    "a row without a batch": ([node("MatMul", "W", "x", output="a"), node("Relu", "a")], {"W": V}, (2, 1)),
    "reshaped to more rows": (
        [node("Reshape", "x", "s", output="r"), node("MatMul", "r", "W", output="a"), node("Relu", "a", output="b"),
         node("Reshape", "b", "all")], {"W": W, "s": ints(9, 2), "all": ints(-1)}, (1, 18)),
    "squeezed": ([node("Squeeze", "x", output="s"), node("MatMul", "s", "W", output="a"), node("Relu", "a")], {"W": W},
                 (1, 2)),
    "transposed": ([node("Transpose", "x", output="t", perm=[1, 0]), node("MatMul", "V", "t", output="a"),
                    node("Relu", "a")], {"V": V}, (1, 2)),
    "unsqueezed": ([node("Unsqueeze", "x", "axes", output="u"), node("Conv", "u", "w", output="a"), node("Relu", "a")],
                   {"axes": ints(0), "w": rng.normal(size=(2, 1, 2))}, (1, 4)),
    "summed over the batch of one": ([node("ReduceSum", "x", "axes", output="s", keepdims=0), node("Abs", "s")],
                                     {"axes": ints(0)}, (1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
def test_inputs_without_a_batch_and_batches_of_one(name, tmp_path):
    nodes, constants, shape = BATCHES[name]
    equals(saved(tmp_path / "model.onnx", nodes, constants, shape=shape), shape)


def test_a_batch_of_fixed_length_is_read_row_by_row_if_the_rows_are_alike(tmp_path):
    path = saved(tmp_path / "model.onnx", DENSE, {"W": W}, shape=(5, 2))
    net = tn.from_onnx(path)
    x = rng.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_allclose(net(x), runtime(path, {"x": x}), rtol=1e-5, atol=1e-6)
    assert net.n_inputs == tn.from_onnx(path, (2,)).n_inputs == 2
    equals(path, (5, 2), input_shape=(5, 2))


def test_a_first_axis_whose_rows_are_not_alike_is_no_batch(tmp_path):
    nodes = [node("Reshape", "x", "s", output="r"), node("MatMul", "r", "W", output="a"), node("Relu", "a")]
    path = saved(tmp_path / "model.onnx", nodes, {"W": rng.normal(size=(10, 3)), "s": ints(1, 10)}, shape=(5, 2))
    equals(path, (5, 2))
    mixed = [node("MatMul", "M", "x", output="a"), node("Relu", "a")]
    equals(saved(tmp_path / "mixed.onnx", mixed, {"M": rng.normal(size=(5, 5))}, shape=(5, 2)), (5, 2))


def test_an_open_batch_that_is_mixed_is_refused_unless_asked_for(tmp_path):
    nodes = [node("ReduceMean", "x", output="m", axes=[0]), node("Sub", "x", "m", output="a"), node("Relu", "a")]
    path = saved(tmp_path / "model.onnx", nodes)
    with pytest.raises(
        tn.UnsupportedModuleError, match=r"output y mixes the inputs of a batch; pass input_shape=\(1, 2\)"
    ):
        tn.from_onnx(path)
    equals(path, (3, 2), input_shape=(3, 2))


def test_an_open_batch_flattened_away_is_one(tmp_path):
    nodes = [node("MatMul", "x", "W", output="a"), node("Relu", "a", output="b"), node("Reshape", "b", "all")]
    path = saved(tmp_path / "model.onnx", nodes, {"W": W, "all": ints(-1)})
    equals(path, (1, 2))


@pytest.mark.parametrize("length", [0, -1])
def test_a_batch_of_no_length_is_open(length, tmp_path):
    """Keras wrote -1 for what it left open."""
    path = saved(tmp_path / "m.onnx", DENSE, {"W": W}, shape=(length, 2), checked=False)
    net = tn.from_onnx(path)
    assert net.fingerprint == tn.from_onnx(saved(tmp_path / "open.onnx", DENSE, {"W": W})).fingerprint
    open_ = saved(tmp_path / "m.onnx", DENSE, {"W": W}, shape=(length, length), checked=False)
    assert tn.from_onnx(open_, (2,)).fingerprint == net.fingerprint


@pytest.mark.parametrize("shape", [(3,), (1, 1, 2), (2, 3), (0,), ("n",)])
def test_a_shape_that_does_not_fit(shape, tmp_path):
    path = saved(tmp_path / "model.onnx", DENSE, {"W": W})
    with pytest.raises(tn.ShapeError, match="input_shape must"):
        tn.from_onnx(path, shape)


def test_a_shape_that_fits_the_input_but_not_the_nodes(tmp_path):
    path = saved(tmp_path / "model.onnx", DENSE, {"W": W}, shape=("n", "d"))
    with pytest.raises(
        tn.ShapeError, match=r"^node 'the MatMul' \(MatMul\) does not take .* of shape \(1, 3\): [^\n]*$"
    ):
        tn.from_onnx(path, (3,))
    assert tn.from_onnx(path, (2,)).n_inputs == 2


def test_squeeze_of_pytorch_takes_the_branch_of_the_shape(tmp_path):
    """torch.squeeze(x, 1) of an open shape is exported as If."""
    for shape, name in (((1, 4), "squeezed"), ((3, 4), "kept")):
        then = helper.make_graph([helper.make_node("Squeeze", ["x", "axes"], ["then"])], "then", [],
                                 [helper.make_empty_tensor_value_info("then")])  # fmt: skip
        kept = helper.make_graph([helper.make_node("Identity", ["x"], ["else"])], "else", [],
                                 [helper.make_empty_tensor_value_info("else")])  # fmt: skip
        nodes = [
            node("Shape", "x", output="s"), node("Gather", "s", "one", output="n"),
            node("Equal", "n", "one", output="c"),
            node("If", "c", output="i", then_branch=then, else_branch=kept), node("Neg", "i", output="a"),
            node("Relu", "a"),
        ]  # fmt: skip
        constants = {"one": np.array(1), "axes": ints(1)}
        path = saved(tmp_path / f"{name}.onnx", nodes, constants, shape=("n", "k", 4), checked=False)
        equals(path, (1, *shape), input_shape=shape)


# --- outputs and inputs

CLASSIFIER = [*DENSE[:1], node("Relu", "a", output="h"), node("MatMul", "h", "V", output="scores")]


@pytest.mark.parametrize(
    "last",
    ["Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "Softmax, ArgMax", "Softmax, Log", "Sigmoid, Flatten, Log", "none"],
)
def test_logits_leave_off_the_last_steps(last, tmp_path):
    nodes = list(CLASSIFIER)
    source = "scores"
    for kind in last.split(", ") if last != "none" else ["Identity"]:
        nodes.append(node(kind, source, output=f"after {kind}"))
        source = f"after {kind}"
    nodes.append(node("Identity", source))
    path = saved(tmp_path / "model.onnx", nodes, {"W": W, "V": V})
    net = tn.from_onnx(path, output="logits")
    assert net.fingerprint == tn.from_onnx(path, output="scores").fingerprint
    equals(path, (1, 2), output="scores")
    if last != "none":
        with pytest.raises(tn.UnsupportedModuleError, match=r"output='logits' leaves off the last steps\.$"):
            tn.from_onnx(path)


def test_logits_keep_the_values_of_top_k(tmp_path):
    """They are piecewise linear; their places are not, nor the largest probabilities."""
    first = [*CLASSIFIER, node("TopK", "scores", "k", output=["values", "places"])]
    constants = {"W": W, "V": V, "k": ints(1)}
    path = saved(tmp_path / "first.onnx", first, constants, outputs=("values", "places"))
    assert tn.from_onnx(path, output="values").n_outputs == 1
    values = saved(tmp_path / "values.onnx", first, constants, outputs=("values",))
    assert tn.from_onnx(values, output="logits").n_outputs == 1
    places = saved(tmp_path / "places.onnx", first, constants, outputs=("places",))
    assert tn.from_onnx(places, output="logits").n_outputs == 2
    likely = [*CLASSIFIER, node("Softmax", "scores", output="p"), node("TopK", "p", "k", output=["values", "places"])]
    path = saved(tmp_path / "likely.onnx", likely, constants, outputs=("values", "places"))
    assert tn.from_onnx(path, output="logits").n_outputs == 2


def test_a_tensor_called_logits_is_that_tensor(tmp_path):
    nodes = [
        *CLASSIFIER,
        node("Neg", "scores", output="logits"),
        node("Abs", "logits", output="b"),
        node("Softmax", "b"),
    ]
    path = saved(tmp_path / "model.onnx", nodes, {"W": W, "V": V})
    x = rng.normal(size=(1, 2)).astype(np.float32)
    expected = runtime(path, {"x": x}, "logits")
    np.testing.assert_allclose(tn.from_onnx(path, output="logits")(x.astype(float)), expected, rtol=1e-5, atol=1e-6)


def test_one_of_several_outputs(tmp_path):
    nodes = [*CLASSIFIER, node("Softmax", "scores", output="p"), node("ArgMax", "scores", output="label")]
    path = saved(tmp_path / "model.onnx", nodes, {"W": W, "V": V}, outputs=("label", "p", "h"))
    with pytest.raises(
        tn.ShapeError, match=r"the outputs \['label', 'p', 'h'\]; pass the one that is wanted, output='NAME'"
    ):
        tn.from_onnx(path)
    equals(path, (1, 2), output="h")
    equals(path, (1, 2), output="a")  # inside the graph
    with pytest.raises(tn.ShapeError, match=r"the model has no tensor 'z'; its outputs are \['label', 'p', 'h'\]"):
        tn.from_onnx(path, output="z")
    with pytest.raises(tn.ShapeError, match="no tensor 'the Relu'; the node of that name gives 'h'"):
        tn.from_onnx(path, output="the Relu")
    both = saved(tmp_path / "both.onnx", nodes, {"W": W, "V": V}, outputs=("label", "p"))
    assert tn.from_onnx(both, output="logits").fingerprint == tn.from_onnx(both, output="scores").fingerprint
    assert tn.from_onnx(path, output="logits").fingerprint == tn.from_onnx(both, output="scores").fingerprint
    heads = [*nodes, node("Sigmoid", "h", output="q")]
    path = saved(tmp_path / "heads.onnx", heads, {"W": W, "V": V}, outputs=("p", "q"))
    with pytest.raises(tn.ShapeError, match=r"the outputs \['p', 'q'\]; pass output= one of \['h', 'scores'\]\."):
        tn.from_onnx(path, output="logits")


def test_what_the_wanted_output_does_not_need_is_not_read(tmp_path):
    nodes = [*DENSE, node("Exp", "c", output="e")]
    path = saved(tmp_path / "m.onnx", nodes, {"W": W}, outputs=("y", "e"),
                 inputs={"x": (TensorProto.FLOAT, ("n", 2)), "c": (TensorProto.FLOAT, ("n", 3))})  # fmt: skip
    assert tn.from_onnx(path, output="y").n_inputs == 2


TWO = {"x": (TensorProto.FLOAT, ("n", 2)), "z": (TensorProto.FLOAT, ("n", 3))}


def two_inputs(path):
    nodes = [*DENSE[:1], node("Mul", "z", "two", output="b"), node("Sub", "a", "b", output="d"), node("Relu", "d")]
    return saved(path, nodes, {"W": W, "two": np.array(2.0)}, inputs=TWO)


def test_several_inputs_are_fixed_or_taken_together(tmp_path):
    path = two_inputs(tmp_path / "two.onnx")
    with pytest.raises(
        tn.ShapeError, match=r"the inputs \['x', 'z'\]; fix all but one, as in fixed=\{'z': 0.0\}, or pass"
    ):
        tn.from_onnx(path)
    x, z = rng.normal(size=(1, 2)).astype(np.float32), rng.normal(size=(1, 3)).astype(np.float32)
    expected = runtime(path, {"x": x, "z": z})
    for options, point in (
        ({"fixed": {"z": z}}, x),
        ({"fixed": {"z": z[0]}, "inputs": "x"}, x),
        ({"fixed": {"x": x}}, z),
        ({"inputs": ["x", "z"]}, np.concatenate([x, z], axis=1)),
        ({"inputs": ["z", "x"]}, np.concatenate([z, x], axis=1)),
    ):
        net = tn.from_onnx(path, **options)
        np.testing.assert_allclose(net(point.astype(float)), expected, rtol=1e-5, atol=1e-6)
    ones = tn.from_onnx(path, fixed={"z": 1.0})(x.astype(float))
    np.testing.assert_allclose(ones, runtime(path, {"x": x, "z": np.ones((1, 3), np.float32)}), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed": {"q": 0.0}}, r"the model has no input 'q'; its inputs are \['x', 'z'\]"),
        ({"inputs": "x"}, r"the input 'z' is not among inputs=\['x'\]; give it a value with fixed="),
        ({"fixed": {"z": [1.0, 2.0]}}, r"the value for the input z \(n, 3\) in fixed= must have its shape, got \(2,\)"),
        ({"fixed": {"x": 0.0, "z": 0.0}}, "depends on no input that varies"),
        ({"inputs": ["x", "z"], "input_shape": (2,)}, "input_shape is that of one input, but 2 vary"),
    ],
)
def test_inputs_that_are_not_told(options, message, tmp_path):
    with pytest.raises(tn.ShapeError, match=message):
        tn.from_onnx(two_inputs(tmp_path / "two.onnx"), **options)


# --- types


@pytest.mark.parametrize(
    ("kind", "dtype"), [(TensorProto.UINT8, np.uint8), (TensorProto.INT64, np.int64), (TensorProto.INT8, np.int8)]
)
def test_inputs_of_integers_are_cast(kind, dtype, tmp_path):
    """The network is the affine continuation; the model takes its integers only."""
    nodes = [node("Cast", "x", output="f", to=TensorProto.FLOAT), node("Div", "f", "h", output="s"),
             node("MatMul", "s", "W", output="a"), node("Relu", "a")]  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, {"W": W, "h": np.array(255.0)}, dtype=kind)
    equals(path, (1, 2), dtype=dtype, integers=True)


def test_arithmetic_of_integers_is_refused(tmp_path):
    nodes = [
        node("Div", "x", "two", output="d"),
        node("Cast", "d", output="f", to=TensorProto.FLOAT),
        node("Relu", "f"),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"two": ints(2)}, dtype=TensorProto.INT64)
    with pytest.raises(tn.UnsupportedModuleError, match=r"'the Div' \(Div\) computes with integers"):
        tn.from_onnx(path)


@pytest.mark.parametrize(("kind", "dtype", "rtol"), [(TensorProto.FLOAT16, np.float16, 2e-2),
                                                     (TensorProto.DOUBLE, np.float64, 1e-12)])  # fmt: skip
def test_models_in_other_floats(kind, dtype, rtol, tmp_path):
    path = saved(tmp_path / "m.onnx", CLASSIFIER, {"W": W, "V": V}, outputs=("scores",), dtype=kind)
    equals(path, (1, 2), dtype=dtype, rtol=rtol)


def test_weights_in_int8(tmp_path):
    weights = rng.integers(-100, 100, (2, 4)).astype(np.int8)
    nodes = [node("DequantizeLinear", "q", "s", "z", output="W"), *DENSE]
    path = saved(tmp_path / "m.onnx", nodes, {"q": weights, "s": np.float32(0.01), "z": np.int8(3)})
    equals(path, (1, 2))


def test_weights_in_float16_that_are_cast(tmp_path):
    nodes = [node("Cast", "h", output="W", to=TensorProto.FLOAT), *DENSE]
    equals(saved(tmp_path / "m.onnx", nodes, {"h": W.astype(np.float16)}), (1, 2))


def test_constants_are_computed_in_the_types_of_the_file(tmp_path):
    """0.7 * 10 is 7 in float32, and a little less in float64 for the float32 that is next to 0.7."""
    constants = {"c": np.float32(0.7), "ten": np.float32(10), "W": W}
    nodes = [node("Mul", "c", "ten", output="p"), node("Floor", "p", output="seven"), *DENSE[:1],
             node("Add", "a", "seven", output="b"), node("Relu", "b")]  # fmt: skip
    equals(saved(tmp_path / "m.onnx", nodes, constants), (1, 2))


def test_a_cast_with_saturate(tmp_path):
    nodes = [node("Shape", "x", output="s"), node("Cast", "s", output="i", to=TensorProto.INT64, saturate=1),
             node("Relu", "x", output="r"), node("Reshape", "r", "i")]  # fmt: skip
    equals(saved(tmp_path / "m.onnx", nodes, opset=19, ir_version=9), (1, 2))


# --- files


def test_nodes_and_constants_in_any_order(tmp_path):
    constant = helper.make_node("Constant", [], ["W"], value=numpy_helper.from_array(W.astype(np.float32)))
    path = saved(tmp_path / "m.onnx", [DENSE[1], DENSE[0], constant], checked=False)
    equals(path, (1, 2))


def test_sparse_constants(tmp_path):
    path = saved(tmp_path / "dense.onnx", DENSE, {"W": np.diag([1.0, -2.0])})
    model = onnx.load(path)
    del model.graph.initializer[:]
    values = numpy_helper.from_array(np.array([1.0, -2.0], dtype=np.float32), "W")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(ints(0, 3)), [2, 2])
    )
    onnx.save(model, tmp_path / "sparse.onnx")
    assert tn.from_onnx(tmp_path / "sparse.onnx").fingerprint == tn.from_onnx(path).fingerprint


def test_functions_of_the_model_are_read(tmp_path):
    function = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                    [helper.make_opsetid("", 17)])  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["t"], domain="own"), node("Relu", "t")], "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 2))],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8), tmp_path / "m.onnx")
    equals(tmp_path / "m.onnx", (1, 2))


def test_constants_in_a_file_of_their_own(tmp_path):
    path = saved(tmp_path / "m.onnx", DENSE, {"W": rng.normal(size=(2, 400))})
    options = {"save_as_external_data": True, "location": "constants.bin", "size_threshold": 10}
    onnx.save(onnx.load(path), tmp_path / "apart.onnx", **options)
    assert tn.from_onnx(tmp_path / "apart.onnx").fingerprint == tn.from_onnx(path).fingerprint


def test_what_no_program_can_check_is_refused(tmp_path):
    """In float64 neither onnxruntime nor the reference has this operator."""
    nodes = [node("Sub", "x", "c", output="a"), node("GlobalLpPool", "a", p=1)]
    path = saved(tmp_path / "m.onnx", nodes, {"c": W[0]}, shape=(1, 2, 3), dtype=TensorProto.DOUBLE)
    with pytest.raises(tn.UnsupportedModuleError, match=r"cannot be checked, .* save it in a newer version"):
        tn.from_onnx(path)


def test_shapes_that_are_constants(tmp_path):
    nodes = [node("EyeLike", "x", output="e"), node("Sub", "x", "e", output="a"), node("Relu", "a")]
    equals(saved(tmp_path / "m.onnx", nodes, shape=(1, 3)), (1, 3))


def test_a_tensor_that_nothing_gives(tmp_path):
    path = saved(tmp_path / "m.onnx", DENSE, checked=False)
    with pytest.raises(tn.TropnetError, match="'W'"):
        tn.from_onnx(path)


def test_large_offsets_that_cancel_are_no_error(tmp_path):
    """The model loses five digits in float32, the network none; this was said to be an error of the import."""
    nodes = [node("Add", "x", "c", output="a"), node("Sub", "a", "c", output="b"), node("MatMul", "b", "W", output="d"),
             node("Relu", "d")]  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, {"W": W, "c": np.array(3e5)})
    x = rng.normal(size=(4, 2))
    np.testing.assert_allclose(tn.from_onnx(path)(x), np.maximum(x @ W.astype(np.float32), 0), rtol=1e-6, atol=1e-9)


def test_a_network_that_is_not_the_model_is_still_refused(tmp_path, monkeypatch):
    from tropnet.importers.onnx import rules

    path = saved(tmp_path / "m.onnx", DENSE, {"W": W})
    monkeypatch.setitem(rules.RULES, "Relu", lambda step: step.to.activation(step.x, 1e-3))
    with pytest.raises(tn.TropnetError, match=r"must give the model .* \(onnxruntime\)'s outputs"):
        tn.from_onnx(path)
    monkeypatch.setitem(rules.RULES, "Relu", lambda step: step.to.activation(step.x, 1e-8))
    with pytest.raises(tn.TropnetError, match=r"\(ONNX's reference implementation\)'s outputs"):
        tn.from_onnx(path)


REFUSED = {
    "jump inside": ([node("Sign", "x", output="a"), node("Relu", "a")], r"\(Relu\) computes with a value that jumps"),
    "x - sign(x)": ([node("Sign", "x", output="a"), node("Sub", "x", "a")], r"\(Sub\) jumps, so"),
    "shrink by more": (
        [node("Abs", "x", output="m"), node("Greater", "m", "s", output="c"), node("Sign", "x", output="a"),
         node("Sub", "x", "a", output="b"), node("Where", "c", "b", "zero")], "chooses a value that jumps itself",
    ),
    "Sign": ([node("Sign", "x")], r"'the Sign' \(Sign\) jumps"),
    "LRN": ([node("LRN", "x", size=1)], r"\(LRN\) divides by statistics"),
    "InstanceNormalization": ([node("InstanceNormalization", "x", "v", "v")], "divides by statistics of its input"),
    "HardSwish": ([node("HardSwish", "x")], r"\(HardSwish\) is not piecewise linear, or not known to be"),
    "Shrink": ([node("Shrink", "x", lambd=0.5)], "jumps at its thresholds"),
    "ThresholdedRelu": ([node("ThresholdedRelu", "x", alpha=1.0)], "jumps at its threshold"),
    "QuantizeLinear": ([node("QuantizeLinear", "x", "s", output="q"), node("DequantizeLinear", "q", "s")], "rounds"),
    "step": ([node("Greater", "x", "s", output="c"), node("Where", "c", "x", "v1")], r"\(Where\) jumps, so"),
    "indicator": ([node("Greater", "x", "s", output="c"), node("Cast", "c", to=1)], r"\(Cast\) jumps, so"),
    "added indicator": (
        [node("Greater", "x", "s", output="c"), node("Cast", "c", output="f", to=1), node("Add", "x", "f")],
        r"\(Add\) jumps, so that it is not continuous",
    ),
    "Cast": ([node("Cast", "x", output="i", to=TensorProto.INT64), node("Cast", "i", to=TensorProto.FLOAT)],
             r"\(Cast\) casts to int64, so that it rounds"),
    "Gather by x": ([node("Cast", "x", output="i", to=TensorProto.INT64), node("Gather", "v", "i")], "casts to int64"),
    "Dropout in training": ([node("Dropout", "x", "s", "yes")], "drops at random in training mode"),
    "places of a pool": ([node("MaxPool", "x", output=["p", "i"], kernel_shape=[1]), node("Cast", "i", to=1)],
                         r"reads what is not read: output 1 of node 'the MaxPool' \(MaxPool\)"),
    "scatter by maxima": ([node("ScatterND", "x", "at", "u", reduction="max")], "reduction='max', which is not read"),
    "two factors": ([node("Einsum", "x", "x", equation="abc,abd->acd")], "multiplies values that both depend"),
    "power": ([node("Pow", "x", "two")], "raises to a power"),
    "If": ([node("ReduceMax", "x", output="m", keepdims=0), node("Greater", "m", "s", output="c"),
            node("If", "c", then_branch=helper.make_graph([helper.make_node("Neg", ["x"], ["t"])], "t", [],
                                                          [helper.make_empty_tensor_value_info("t")]),
                 else_branch=helper.make_graph([helper.make_node("Abs", ["x"], ["e"])], "e", [],
                                               [helper.make_empty_tensor_value_info("e")]))],
           "takes one branch or the other by a value that depends on the input"),
    "Softmax inside": ([node("Softmax", "x", output="p"), node("Neg", "p")], r"\(Softmax\) .* pass output='x'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    nodes, message = REFUSED[name]
    constants = {"s": np.array(0.25), "v": np.ones(2), "v1": np.array(1.0), "yes": np.array(True),
                 "at": np.array([[0]]), "u": np.zeros((1, 2, 3)), "two": np.array(2.0),
                 "zero": np.array(0.0)}  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, constants, shape=(1, 2, 3), checked=False)
    with pytest.raises(tn.UnsupportedModuleError, match=message) as caught:
        tn.from_onnx(path)
    assert "\n" not in str(caught.value)


def test_operators_of_other_domains_are_named(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="own", domain="own")]
    path = saved(tmp_path / "m.onnx", nodes, checked=False)
    with pytest.raises(tn.UnsupportedModuleError, match=r"node 'own' \(Relu\) belongs to the operators of own"):
        tn.from_onnx(path)


def test_options_of_the_command_line(tmp_path):
    """The options of from_onnx, for every command that takes a network."""
    nodes = [*CLASSIFIER, node("Softmax", "scores")]
    path = str(saved(tmp_path / "model.onnx", nodes, {"W": W, "V": V}, shape=("n", "k")))
    two = str(two_inputs(tmp_path / "two.onnx"))

    def shown(*arguments):
        result = CliRunner().invoke(command, ["info", *arguments, "--json"], catch_exceptions=False)
        return json.loads(result.output)["fingerprint"]

    expected = tn.from_onnx(path, (2,), output="h").fingerprint
    assert shown(path, "--input-shape", "2", "--output", "h") == expected
    expected = tn.from_onnx(path, (2,), output="scores").fingerprint
    assert shown(path, "--input-shape", "2", "--output", "logits") == expected
    assert shown(two, "--fixed", "z=1,2,3") == tn.from_onnx(two, fixed={"z": [1, 2, 3]}).fingerprint
    assert shown(two, "--fixed", "z=0.5") == tn.from_onnx(two, fixed={"z": 0.5}).fingerprint
    assert shown(two, "--inputs", "z,x") == tn.from_onnx(two, inputs=["z", "x"]).fingerprint
    for arguments, message in (
        (["--input-shape", "2,x"], "must be integers separated by commas, as in 1,28,28, got '2,x'"),
        (["--fixed", "z"], "must be NAME=VALUE, got 'z'"),
    ):
        assert message in CliRunner().invoke(command, ["info", two, *arguments]).output


def test_options_of_onnx_models_for_other_files(tmp_path):
    tn.Network.random([2, 3, 1], seed=0).save(tmp_path / "net.npz")
    with pytest.raises(tn.FileFormatError, match=r"net\.npz' must be an \.onnx file: only those take output"):
        tn.load(tmp_path / "net.npz", output="logits")


class Call(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.inner = function if isinstance(function, torch.nn.Module) else None

    def forward(self, x):
        return torch.relu(self.function(x) - 0.25)


F = torch.nn.functional
TORCH = {
    "threshold": (lambda x: F.threshold(x, 0.5, 0.5), (3,)),
    "squeeze": (lambda x: x[:, :1].squeeze(1), (3, 2)),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=True), (2, 3, 4)),
    "nearest": (lambda x: F.interpolate(x, size=(5, 7)), (2, 3, 4)),
    "softshrink": (lambda x: F.softshrink(x, 0.5), (3,)),
    "softshrink of a layer": (lambda x: F.softshrink(x @ torch.tensor([[1.0, 2.0], [0.5, -1.0]]), 0.3), (2,)),
    "x sign(x)": (lambda x: x * torch.sign(x), (3,)),
    "masks": (lambda x: (x > 0).float() * x + 0.1 * (x <= 0).float() * x, (3,)),
    "one minus a mask": (lambda x: (1 - (x > 0.5).float()) * (x - 0.5), (3,)),
    "relu6": (F.relu6, (3,)),
    "hardtanh": (F.hardtanh, (3,)),
    "cumsum": (lambda x: x.cumsum(1), (3, 2)),
    "index": (lambda x: x[:, [2, 0]], (3, 2)),
    "sort": (lambda x: x.sort(1).values, (5,)),
    "topk": (lambda x: x.topk(2, 1).values, (5,)),
    "norm 1": (lambda x: x.norm(1, dim=1), (3,)),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), (4, 2, 3)),
    "unfold": (lambda x: F.unfold(x, 2), (2, 3, 3)),
    "where": (lambda x: torch.where(x > 0, x, 0.1 * x), (3,)),
    "maxout": (lambda x: torch.maximum(x[:, :2], x[:, 2:]), (4,)),
    "max pool": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (2, 6, 6)),
    "average pool": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (2, 6, 6)),
    "roll": (lambda x: torch.roll(x, 1, 1), (4,)),
    "view of one": (lambda x: x.view(-1), (4,)),
    "transposed convolution": (torch.nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 3, 4)),
}


@pytest.mark.parametrize(
    ("name", "dynamo"),
    # The older exporter refuses a threshold other than zero.
    [(name, dynamo) for name in TORCH for dynamo in (False, True) if (name, dynamo) != ("threshold", False)],
)
def test_exports_of_pytorch(name, dynamo, tmp_path):
    torch.manual_seed(0)
    function, shape = TORCH[name]
    path = exported(Call(function).eval(), shape, str(tmp_path / "m.onnx"), dynamic=False, dynamo=dynamo)
    net = tn.from_onnx(path)
    x = torch.from_numpy(rng.normal(size=(6, *shape)).astype(np.float32))
    with torch.no_grad():
        expected = np.stack([Call(function)(part[None]).numpy().ravel() for part in x])
    np.testing.assert_allclose(net(x.double().numpy().reshape(6, -1)), expected, rtol=1e-4, atol=1e-5)
