"""Operators of ONNX, one graph each: the network is what onnxruntime computes."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import tropnet as tn
from tests.pytorch.onnx_models import equals, node, saved

rng = np.random.default_rng(0)
W = rng.normal(size=(3, 2))
KERNEL = rng.normal(size=(2, 3, 3, 2))
IMAGE = (1, 2, 5, 4)


def ints(*values):
    return np.array(values, dtype=np.int64)


def relu(*nodes):
    """Put a ReLU behind nodes that give "a"."""
    return [*nodes, node("Relu", "a")]


def one(kind, *inputs, output="a", **attributes):
    return relu(node(kind, *inputs, output=output, **attributes))


# name: (nodes, constants, shape of x, further options of the file)
PRODUCTS = {
    "W @ x": (one("MatMul", "W", "x"), {"W": W}, (2, 4), {}),
    "W @ vector": (one("MatMul", "W", "x"), {"W": W}, (2,), {}),
    "x @ vector": (one("MatMul", "x", "w"), {"w": W[0]}, (3, 2), {}),
    "vector @ vector": (one("MatMul", "x", "w"), {"w": W[0]}, (2,), {}),
    "vector @ W": (one("MatMul", "x", "W"), {"W": W.T}, (2,), {}),
    "x @ three axes": (one("MatMul", "x", "T"), {"T": rng.normal(size=(3, 2, 4))}, (1, 5, 2), {}),
    "three axes @ x": (one("MatMul", "T", "x"), {"T": rng.normal(size=(3, 2, 5))}, (1, 5, 2), {}),
    "three axes @ vector": (one("MatMul", "T", "x"), {"T": rng.normal(size=(3, 2, 5))}, (5,), {}),
    "tokens @ W": (one("MatMul", "x", "W"), {"W": W.T}, (1, 4, 2), {}),
    "four axes": (one("MatMul", "x", "T"), {"T": rng.normal(size=(1, 2, 3, 2))}, (1, 2, 2, 3), {}),
    "Gemm, constant first": (one("Gemm", "W", "x", alpha=0.5), {"W": W}, (2, 4), {}),
    "Gemm, both transposed": (one("Gemm", "x", "W", "c", transA=1, transB=1, alpha=2.0, beta=0.5),
                              {"W": W, "c": W[:, :1].T}, (2, 4), {}),
    "Gemm of many rows": (one("Gemm", "x", "W", "c", transB=1), {"W": W, "c": W[:, 0]}, (4, 2), {}),
    "Gemm, x added": (one("Gemm", "W", "V", "x", beta=3.0), {"W": W, "V": W.T}, (1, 3), {}),
    "Einsum": (one("Einsum", "x", "W", equation="ni,oi->no"), {"W": W}, (1, 2), {}),
    "Einsum, constant first": (one("Einsum", "T", "x", equation="hij,bj...->bhi..."),
                               {"T": rng.normal(size=(2, 3, 4))}, (1, 4, 2), {}),
    "Einsum, a view of its operand": (one("Einsum", "x", equation="bij->bji"), {}, (1, 2, 3), {}),
    "Einsum, one operand": (one("Einsum", "x", equation="bii->b"), {}, (1, 3, 3), {}),
}  # fmt: skip
SCATTERS = {
    "Gather": (one("Gather", "x", "i", axis=1), {"i": ints(2, 0, -1)}, (1, 3), {}),
    "GatherElements": (one("GatherElements", "x", "i", axis=1), {"i": np.array([[2, 0], [1, 1]])}, (2, 3), {}),
    "GatherND": (one("GatherND", "x", "i"), {"i": np.array([[0, 2], [0, 1]])}, (1, 3), {}),
    "GatherND of a batch": (one("GatherND", "x", "i", batch_dims=1), {"i": np.array([[[2], [0]]])}, (1, 3, 2), {}),
    "ScatterND": (one("ScatterND", "x", "i", "v"), {"i": np.array([[0, 2]]), "v": np.array([0.5])}, (1, 3), {}),
    "ScatterND of x": (one("ScatterND", "z", "i", "x"), {"i": np.array([[2], [0]]), "z": np.ones(4)}, (2,), {}),
    "ScatterND, add": (one("ScatterND", "z", "i", "x", reduction="add"),
                       {"i": np.array([[2], [2]]), "z": np.ones(4)}, (2,), {}),
    "ScatterElements": (one("ScatterElements", "x", "i", "v", axis=1),
                        {"i": np.array([[2, 0]]), "v": np.array([[0.5, -1.5]])}, (1, 3), {}),
    "ScatterElements, add": (one("ScatterElements", "x", "i", "v", axis=1, reduction="add"),
                             {"i": np.array([[2, 2]]), "v": np.array([[0.5, -1.5]])}, (1, 3), {}),
    "Scatter": (one("Scatter", "x", "i", "v", axis=1), {"i": np.array([[2, 0]]), "v": np.array([[0.5, -1.5]])},
                (1, 3), {"opset": 9}),
    "CumSum": (one("CumSum", "x", "axis"), {"axis": np.array(1)}, (1, 4), {}),
    "CumSum, exclusive and backwards": (one("CumSum", "x", "axis", exclusive=1, reverse=1), {"axis": np.array(-1)},
                                        (1, 2, 3), {}),
    "Trilu": (one("Trilu", "x", upper=0), {}, (3, 3), {}),
    "Where, constant condition": (one("Where", "c", "x", "v"), {"c": np.array([True, False, True]), "v": np.array(0.5)},
                                  (1, 3), {}),
    "Pad, reflect": (one("Pad", "x", "p", mode="reflect"), {"p": ints(0, 1, 0, 2)}, (1, 4), {}),
    "Pad, edge": (one("Pad", "x", "p", mode="edge"), {"p": ints(0, 1, 0, 2)}, (1, 4), {}),
    "Pad, negative": (one("Pad", "x", "p"), {"p": ints(0, -1, 0, 2)}, (1, 4), {}),
    "Expand": (one("Expand", "x", "s"), {"s": ints(2, 3, 1)}, (1, 3, 2), {}),
    "Tile": (one("Tile", "x", "s"), {"s": ints(1, 2)}, (1, 3), {}),
    "Slice, backwards": (one("Slice", "x", "s", "e", "a_", "t"), {"s": ints(-1), "e": ints(-9), "a_": ints(1),
                                                                  "t": ints(-2)}, (1, 5), {}),
    "DepthToSpace": (one("DepthToSpace", "x", blocksize=2, mode="CRD"), {}, (1, 4, 2, 3), {}),
    "SpaceToDepth": (one("SpaceToDepth", "x", blocksize=2), {}, (1, 1, 4, 6), {}),
    "Compress": (one("Compress", "x", "c", axis=1), {"c": np.array([True, False, True])}, (1, 3), {}),
    "ReverseSequence": (one("ReverseSequence", "x", "l", batch_axis=0, time_axis=1), {"l": ints(2)}, (1, 3), {}),
    "Split with an empty part": ([helper.make_node("Split", ["x", "s"], ["a", "b"], axis=1),
                                  node("Concat", "b", "a", output="c", axis=1), node("Relu", "c")],
                                 {"s": ints(3, 0)}, (1, 3), {}),
}  # fmt: skip
ACTIVATIONS = {
    "ThresholdedRelu": (relu(node("ThresholdedRelu", "x", output="t", alpha=0.0), node("Neg", "t", output="a")), {},
                        (1, 3), {}),
    "Shrink": ([node("Shrink", "x", lambd=0.5, bias=0.5)], {}, (1, 3), {}),
    "threshold": ([node("Greater", "x", "t", output="c"), node("Where", "c", "x", "t")], {"t": np.array(0.5)},
                  (1, 3), {}),
    "where(x <= y, x, y)": ([node("MatMul", "x", "W", output="z"), node("LessOrEqual", "x", "z", output="c"),
                             node("Where", "c", "x", "z")], {"W": rng.normal(size=(3, 3))}, (1, 3), {}),
    "x (x > 0)": ([node("MatMul", "x", "W", output="z"), node("Greater", "z", "o", output="c"),
                   node("Cast", "c", output="f", to=TensorProto.FLOAT), node("Mul", "z", "f")],
                  {"W": rng.normal(size=(3, 3)), "o": np.array(0.0)}, (1, 3), {}),
    "leaky where": ([node("MatMul", "x", "W", output="z"), node("Less", "z", "o", output="c"),
                     node("Mul", "z", "s", output="l"), node("Where", "c", "l", "z")],
                    {"W": rng.normal(size=(3, 3)), "o": np.array(0.0), "s": np.array(0.1)}, (1, 3), {}),
    "not": ([node("Less", "x", "o", output="c"), node("Not", "c", output="d"), node("Where", "d", "x", "o")],
            {"o": np.array(0.0)}, (1, 3), {}),
    "PRelu by channel": ([node("PRelu", "x", "s")], {"s": np.array([0.5, -1.0]).reshape(2, 1, 1)}, (1, 2, 2, 2), {}),
    "LeakyRelu": ([node("LeakyRelu", "x")], {}, (1, 3), {}),
    "HardSigmoid": ([node("HardSigmoid", "x", alpha=0.3, beta=0.4)], {}, (1, 3), {}),
    "LpPool 1": ([node("LpPool", "x", kernel_shape=[2, 2], strides=[2, 1], p=1)], {}, (1, 2, 4, 4), {}),
    "GlobalLpPool 1": ([node("GlobalLpPool", "x", p=1)], {}, (1, 2, 3), {}),
    "ReduceL1": ([node("ReduceL1", "x", axes=[1], keepdims=0)], {}, (1, 3), {}),
    "ReduceMax": ([node("ReduceMax", "x", "axes")], {"axes": ints(1)}, (1, 3, 2), {"opset": 18}),
    "ReduceSum, no axes": ([node("ReduceSum", "x", "", output="a", noop_with_empty_axes=1), node("Abs", "a")], {},
                           (1, 3), {"opset": 13}),
    "ReduceMin of everything": ([node("ReduceMin", "x", keepdims=0)], {}, (2, 2), {}),
    "Mean": ([node("Mean", "x", "c", output="a"), node("Abs", "a")], {"c": W[0]}, (1, 2), {}),
    "Sum with a constant": (relu(node("Sum", "x", "c", "x", output="a")), {"c": W[0]}, (1, 2), {}),
    "Min": ([node("Min", "c", "x", "d")], {"c": W[0], "d": W[1]}, (1, 2), {}),
    "Pow 1": (one("Pow", "x", "e"), {"e": np.array(1.0)}, (1, 2), {}),
    "TopK": ([node("TopK", "x", "k", output=["y", "places"], axis=1)], {"k": ints(3)}, (1, 5, 2), {}),
    "TopK, smallest": ([node("TopK", "x", "k", output=["y", "places"], largest=0)], {"k": ints(6)}, (1, 6), {}),
    "TopK 1": ([node("TopK", "x", "k", output=["y", "places"])], {"k": ints(1)}, (2, 3), {}),
    "TopK, version 1": ([node("TopK", "x", output=["y", "places"], k=2)], {}, (1, 3), {"opset": 9}),
}  # fmt: skip
POOLS = {
    "MaxPool, SAME_LOWER": ([node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")], {},
                            (1, 1, 5, 5), {}),
    "MaxPool, SAME_UPPER": ([node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 1], auto_pad="SAME_UPPER")], {},
                            IMAGE, {}),
    "MaxPool, gaps": ([node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 1], ceil_mode=1, strides=[2, 2])], {},
                      IMAGE, {}),
    "MaxPool with places": ([node("MaxPool", "x", output=["y", "i"], kernel_shape=[2, 2])], {}, IMAGE, {}),
    "MaxPool of a batch": ([node("MaxPool", "x", kernel_shape=[2])], {}, (2, 1, 3), {}),
    "MaxPool, one axis": ([node("MaxPool", "x", kernel_shape=[3], pads=[1, 1], strides=[2])], {}, (1, 2, 5), {}),
    "AveragePool, SAME_LOWER": (one("AveragePool", "x", kernel_shape=[2, 3], strides=[2, 1], auto_pad="SAME_LOWER"), {},
                                IMAGE, {}),
    "AveragePool, uneven": (one("AveragePool", "x", kernel_shape=[3, 2], pads=[0, 1, 1, 0]), {}, IMAGE, {}),
    "AveragePool, uneven, counted": (one("AveragePool", "x", kernel_shape=[3, 2], pads=[0, 1, 1, 0],
                                         count_include_pad=1), {}, IMAGE, {}),
    "AveragePool, gaps": (one("AveragePool", "x", kernel_shape=[2, 2], dilations=[2, 1], pads=[1, 0, 1, 0]), {}, IMAGE,
                          {"opset": 19}),
    "AveragePool, ceil_mode": (one("AveragePool", "x", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1), {}, IMAGE,
                               {"opset": 19}),
    "GlobalAveragePool": (one("GlobalAveragePool", "x"), {}, IMAGE, {}),
    "GlobalMaxPool": (one("GlobalMaxPool", "x"), {}, (1, 2, 3), {}),
    "Conv, SAME_LOWER": (one("Conv", "x", "w", auto_pad="SAME_LOWER", strides=[2, 1]),
                         {"w": rng.normal(size=(3, 2, 2, 4))}, IMAGE, {}),
    "Conv of groups": (one("Conv", "x", "w", "b", group=2, dilations=[2, 1], pads=[1, 0, 2, 1]),
                       {"w": rng.normal(size=(4, 1, 2, 2)), "b": rng.normal(size=4)}, IMAGE, {}),
    "Conv of a batch of two": (one("Conv", "x", "w"), {"w": rng.normal(size=(1, 1, 2))}, (2, 1, 3), {}),
    "ConvTranspose": (one("ConvTranspose", "x", "w", "b"), {"w": KERNEL, "b": W[:, 0]}, IMAGE, {}),
    "ConvTranspose, strides": (one("ConvTranspose", "x", "w", strides=[2, 3], pads=[1, 0, 0, 1],
                                   output_padding=[1, 2]), {"w": KERNEL}, IMAGE, {}),
    "ConvTranspose, padding beyond the kernel": (one("ConvTranspose", "x", "w", "b", strides=[3, 3],
                                                     output_padding=[2, 2]), {"w": KERNEL[..., :1], "b": W[:, 0]},
                                                 IMAGE, {}),
    "ConvTranspose of groups": (one("ConvTranspose", "x", "w", group=2, dilations=[2, 1]),
                                {"w": rng.normal(size=(2, 2, 3, 2))}, IMAGE, {}),
    "ConvTranspose, output_shape": (one("ConvTranspose", "x", "w", strides=[2, 2], output_shape=[10, 8]),
                                    {"w": KERNEL}, IMAGE, {}),
    "ConvTranspose, SAME_UPPER": (one("ConvTranspose", "x", "w", strides=[2, 2], auto_pad="SAME_UPPER"), {"w": KERNEL},
                                  IMAGE, {}),
    "ConvTranspose, SAME_LOWER": (one("ConvTranspose", "x", "w", strides=[2, 2], auto_pad="SAME_LOWER"), {"w": KERNEL},
                                  IMAGE, {}),
    "ConvTranspose, one axis": (one("ConvTranspose", "x", "w", strides=[2]), {"w": rng.normal(size=(2, 1, 3))},
                                (1, 2, 4), {}),
    "BatchNormalization": (one("BatchNormalization", "x", "s", "b", "m", "v"),
                           {"s": W[0], "b": W[1], "m": W[2], "v": np.array([0.5, 2.0])}, (1, 2, 3), {}),
    "GridSample": (one("GridSample", "x", "g", align_corners=1), {"g": rng.uniform(-1.2, 1.2, size=(1, 2, 3, 2))},
                   (1, 1, 3, 3), {}),
}  # fmt: skip


def resize(**attributes):
    return one("Resize", "x", "", "s", **attributes)


def resize_to(**attributes):
    return one("Resize", "x", "", "", "s", **attributes)


UP, DOWN = np.array([1.0, 1.0, 2.0, 1.5], dtype=np.float32), np.array([1.0, 1.0, 0.6, 0.5], dtype=np.float32)
RESIZES = {
    **{
        f"{mode}, {coordinates}, {'up' if scales is UP else 'down'}": (
            resize(mode=mode, coordinate_transformation_mode=coordinates), {"s": scales}, IMAGE, {"opset": 19}
        )
        for mode in ("nearest", "linear", "cubic")
        for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
        for scales in (UP, DOWN)
    },
    **{
        f"nearest, {rounding}, {coordinates}": (
            resize_to(nearest_mode=rounding, coordinate_transformation_mode=coordinates), {"s": ints(1, 2, 7, 3)},
            IMAGE, {"opset": 13},
        )
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        for coordinates in ("half_pixel", "asymmetric", "tf_half_pixel_for_nn")
    },
    "crop": (one("Resize", "x", "roi", "", "s", mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
                 extrapolation_value=0.25), {"roi": np.array([0, 0, 0.2, -0.3, 1, 1, 0.8, 1.1], dtype=np.float32),
                                             "s": ints(1, 2, 4, 5)}, IMAGE, {"opset": 13}),
    "antialias": (resize_to(mode="linear", antialias=1), {"s": ints(1, 2, 3, 2)}, IMAGE, {"opset": 18}),
    "cubic, exclude_outside": (resize(mode="cubic", exclude_outside=1), {"s": UP}, IMAGE, {"opset": 13}),
    "axes": (resize_to(mode="linear", axes=[2, 3]), {"s": ints(3, 9)}, IMAGE, {"opset": 18}),
    "not_larger": (resize_to(axes=[2, 3], keep_aspect_ratio_policy="not_larger"), {"s": ints(9, 9)}, IMAGE,
                   {"opset": 18}),
    "one axis": (resize(mode="linear"), {"s": np.array([1, 1, 2.5], dtype=np.float32)}, (1, 2, 4), {"opset": 13}),
    "Upsample": (one("Upsample", "x", "s"), {"s": np.array([1, 1, 2, 3], dtype=np.float32)}, IMAGE, {"opset": 9}),
    "Upsample, linear": (one("Upsample", "x", "s", mode="linear"), {"s": np.array([1, 1, 2, 3], dtype=np.float32)},
                         IMAGE, {"opset": 9}),
    "Upsample, version 7": (one("Upsample", "x", scales=[1.0, 1.0, 2.0, 2.0]), {}, IMAGE, {"opset": 7}),
    "Resize, version 10": (one("Resize", "x", "s"), {"s": DOWN}, IMAGE, {"opset": 10}),
    "Resize up, version 10": (one("Resize", "x", "s", mode="linear"), {"s": UP}, IMAGE, {"opset": 10}),
}  # fmt: skip
OLD = {
    "Unsqueeze": ([node("Unsqueeze", "x", output="u", axes=[1]), *one("Flatten", "u")], {}, (1, 4), {"opset": 11}),
    "Squeeze": ([node("Unsqueeze", "x", output="u", axes=[1]), *one("Squeeze", "u", axes=[1])], {}, (1, 4),
                {"opset": 11}),
    "Pad": (one("Pad", "x", mode="constant", pads=[0, 1, 0, 1], value=0.5), {}, (1, 4), {"opset": 9}),
    "Clip": ([node("Clip", "x", min=0.0, max=6.0)], {}, (1, 4), {"opset": 9}),
    "Dropout": (one("Dropout", "x", ratio=0.5), {}, (1, 4), {"opset": 8}),
    "Dropout with its mask": (one("Dropout", "x", output=["a", "mask"]), {}, (1, 4), {"opset": 13}),
    "BatchNormalization": (one("BatchNormalization", "x", "c", "c", "c", "c", spatial=1), {"c": np.ones(4)}, (1, 4),
                           {"opset": 7}),
    "Slice": (one("Slice", "x", axes=[1], starts=[1], ends=[9]), {}, (1, 4), {"opset": 9}),
    "Split": ([helper.make_node("Split", ["x"], ["a", "b"], axis=1, split=[1, 3]), node("Sub", "a", "b", output="c"),
               node("Abs", "c")], {}, (1, 4), {"opset": 11}),
    "ReduceSum": (one("ReduceSum", "x", axes=[1]), {}, (1, 4), {"opset": 11}),
    "Cast": ([node("Shape", "x", output="s"), node("Cast", "s", output="f", to=TensorProto.FLOAT),
              node("Cast", "f", output="i", to=TensorProto.INT64, name="c"), *one("Reshape", "x", "i")], {}, (1, 4),
             {"opset": 7}),
    "PRelu": ([node("PRelu", "x", "s")], {"s": np.array([0.5, -1.0, 2.0, 0.1])}, (1, 4), {"opset": 7}),
}  # fmt: skip
KINDS = {"product": PRODUCTS, "move": SCATTERS, "activation": ACTIVATIONS, "pool": POOLS, "resize": RESIZES, "old": OLD}
ALL = [(kind, name) for kind, graphs in KINDS.items() for name in graphs]


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}: {name}" for kind, name in ALL])
def test_operators(kind, name, tmp_path):
    nodes, constants, shape, options = KINDS[kind][name]

    whole = {}
    path = saved(tmp_path / "model.onnx", nodes, constants, shape=shape, **options)
    # A fixed first axis of more than one is a batch where the rows are treated alike; the shape asks for the whole.
    if shape[0] > 1 and len(shape) > 1:
        whole = {"input_shape": shape}
    assert equals(path, shape, **whole).n_neurons > 0


# Operators of versions that no program runs any more, and newer nodes that are the same.
C = rng.normal(size=2)
STATISTICS = {"s": C, "b": C + 1, "m": C - 1, "v": C**2}
ANCIENT = {
    "Gemm": (one("Gemm", "x", "W", "c", broadcast=1), one("Gemm", "x", "W", "c"), {"W": W.T, "c": W[:, 0]}, (1, 2)),
    "Add along an axis": (one("Add", "x", "c", broadcast=1, axis=1), one("Add", "x", "d"),
                          {"c": C, "d": C.reshape(2, 1, 1)}, (1, 2, 2, 2)),
    "Mul along an axis from behind": (one("Mul", "x", "c", broadcast=1, axis=-3), one("Mul", "x", "d"),
                                      {"c": C, "d": C.reshape(2, 1, 1)}, (1, 2, 2, 2)),
    "BatchNormalization": (one("BatchNormalization", "x", *"sbmv", is_test=1, consumed_inputs=[0, 0, 0, 1, 1]),
                           one("BatchNormalization", "x", *"sbmv"), STATISTICS, (1, 2, 3)),
    "Concat": (one("Concat", "x", "x"), one("Concat", "x", "x", axis=1), {}, (1, 2, 3)),
    "Dropout": (one("Dropout", "x", is_test=1), one("Identity", "x"), {}, (1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("opset", [1, 5, 6])
@pytest.mark.parametrize("name", ANCIENT)
def test_operators_older_than_any_program(name, opset, tmp_path):
    old, new, constants, shape = ANCIENT[name]
    if name == "BatchNormalization" and opset == 6:
        old = one("BatchNormalization", "x", *"sbmv", is_test=1)
    if name == "Concat" and opset > 3:
        old = new
    path = saved(tmp_path / "old.onnx", old, constants, shape=shape, opset=opset, ir_version=3, checked=False)
    net = tn.from_onnx(path)
    same = equals(saved(tmp_path / "new.onnx", new, constants, shape=shape), shape)
    assert net.fingerprint == same.fingerprint


# In versions 1 to 5 most activations say that they overwrite what they read.
CONSUMING = {
    "Add": (one("Add", "x", "c", broadcast=1, consumed_inputs=[0, 0]), one("Add", "x", "c"), {"c": rng.normal(size=3)}),
    "Mul": (one("Mul", "x", "e", consumed_inputs=[0, 0]), one("Mul", "x", "e"), {"e": rng.normal(size=(1, 2, 3))}),
    "Sub along an axis": (one("Sub", "x", "c", broadcast=1, axis=1, consumed_inputs=[0, 0]), one("Sub", "x", "d"),
                          {"c": C, "d": C.reshape(2, 1)}),
    "PRelu": (one("PRelu", "x", "c", consumed_inputs=[0, 0]), one("PRelu", "x", "d"), {"c": C, "d": C.reshape(2, 1)}),
    **{name: (one(name, "x", consumed_inputs=[0]), one(name, "x"), {})
       for name in ("Relu", "LeakyRelu", "Abs", "Neg", "HardSigmoid")},
    **{name: (one(name, "x", "x", consumed_inputs=[0, 0]), one(name, "x", "x"), {}) for name in ("Sum", "Mean", "Max")},
    "Clip": (one("Clip", "x", consumed_inputs=[0], min=-0.5, max=1.0), one("Clip", "x", "low", "high"),
             {"low": np.float32(-0.5), "high": np.float32(1.0)}),
    "Reshape": (one("Reshape", "x", shape=[1, 6], consumed_inputs=[0]), one("Reshape", "x", "s"), {"s": ints(1, 6)}),
    "Pad": (one("Pad", "x", paddings=[0, 0, 1, 0, 0, 2], value=0.5), one("Pad", "x", "p", "v"),
            {"p": ints(0, 0, 1, 0, 0, 2), "v": np.float32(0.5)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSUMING)
def test_operators_that_overwrite_their_inputs(name, tmp_path):
    old, new, constants = CONSUMING[name]
    options = {"shape": (1, 2, 3), "opset": 1, "ir_version": 3, "checked": False}
    net = tn.from_onnx(saved(tmp_path / "old.onnx", old, constants, **options))
    same = equals(saved(tmp_path / "new.onnx", new, constants, shape=(1, 2, 3)), (1, 2, 3))
    assert net.fingerprint == same.fingerprint


def test_a_node_that_reads_its_own_output(tmp_path):
    """A cycle is told; before, the order of such nodes was looked for without end."""
    nodes = [node("Add", "x", "b", output="a"), node("Relu", "a", output="b"), node("Relu", "b")]
    with pytest.raises(tn.FileFormatError, match=r"a graph without cycles, but node 'the \w+' .* reads its own output"):
        tn.from_onnx(saved(tmp_path / "model.onnx", nodes, shape=(1, 2), checked=False))


def recurrent(*inputs, outputs=("y", ""), way="forward", activations=None, **options):
    """Return a recurrent layer of two inputs and three hidden states."""
    names = activations or ["Relu"] * (2 if way == "bidirectional" else 1)
    options = {"hidden_size": 3, "activations": names, "direction": way, **options}
    return [node("RNN", *inputs, output=list(outputs), **options)]


@pytest.mark.parametrize("outputs", [("y", ""), ("", "y")], ids=["all steps", "the last"])
@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
def test_recurrent_layers_are_unrolled(way, outputs, tmp_path):
    """With and without biases and a first state, in either order of the sequence; four steps are four layers."""
    n = 2 if way == "bidirectional" else 1
    constants = {
        "W": rng.normal(size=(n, 3, 2)),
        "R": rng.normal(size=(n, 3, 3)),
        "b": rng.normal(size=(n, 6)),
        "h": rng.normal(size=(n, 1, 3)),
    }
    for inputs in ("W", "R"), ("W", "R", "b"), ("W", "R", "b", "", "h"):
        nodes = recurrent("x", *inputs, way=way, outputs=outputs)
        path = saved(tmp_path / "model.onnx", nodes, constants, shape=(4, 1, 2), checked=False)
        assert equals(path, (4, 1, 2), input_shape=(4, 1, 2)).widths == (3 * n,) * 4


def test_recurrent_layers_with_clipped_values(tmp_path):
    constants = {"W": rng.normal(size=(1, 3, 2)), "R": rng.normal(size=(1, 3, 3))}
    path = saved(tmp_path / "m.onnx", recurrent("x", "W", "R", clip=1.0), constants, shape=(4, 1, 2), checked=False)
    equals(path, (4, 1, 2), input_shape=(4, 1, 2))


@pytest.mark.parametrize(
    ("options", "inputs", "why"),
    [
        ({"activations": ["Tanh"]}, (), "has the activations Tanh, of which only Relu is piecewise linear"),
        ({}, ("", "n"), "stops before the end of the sequence"),
    ],
)
def test_recurrent_layers_that_are_refused(options, inputs, why, tmp_path):
    constants = {"W": rng.normal(size=(1, 3, 2)), "R": rng.normal(size=(1, 3, 3)), "n": np.array([2], dtype=np.int32)}
    nodes = recurrent("x", "W", "R", *inputs, **options)
    path = saved(tmp_path / "model.onnx", nodes, constants, shape=(4, 1, 2), checked=False)
    with pytest.raises(tn.UnsupportedModuleError, match=rf"node 'the RNN' \(RNN\) {why}"):
        tn.from_onnx(path, input_shape=(4, 1, 2))


SKLEARN = {
    "Scaler": [node("Scaler", "x", output="a", offset=[1.0, -2.0], scale=[0.5, 3.0], domain="ai.onnx.ml")],
    "LinearRegressor": [node("LinearRegressor", "x", output="a", coefficients=[1.0, 2.0, -3.0, 0.5], targets=2,
                             intercepts=[0.5, 1.0], domain="ai.onnx.ml")],
    "ArrayFeatureExtractor": [node("ArrayFeatureExtractor", "x", "i", output="a", domain="ai.onnx.ml")],
}  # fmt: skip


@pytest.mark.parametrize("name", SKLEARN)
def test_pipelines_of_scikit_learn(name, tmp_path):
    path = saved(tmp_path / "m.onnx", relu(*SKLEARN[name]), {"i": ints(1, 0)}, checked=False, domains=("ai.onnx.ml",))
    assert equals(path, (1, 2)).n_neurons == 2
