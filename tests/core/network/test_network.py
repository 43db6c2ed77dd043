"""Networks: values, patterns, maps, exact integers, files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.checks import neuron_rows, show
from tests.oracles.brute_force import exact_affine_map, exact_forward
from tests.strategies import networks, points
from tropnet import AffineMap, Layer, Network, load

N = settings().max_examples


def loop(net: Network, x: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the pre-activations of all hidden neurons and the outputs by plain loops over neurons and sources."""
    values = [list(x)]
    hidden: list[float] = []
    z: list[float] = []
    for layer in net.layers:
        z = []
        for i in range(layer.width):
            total = float(layer.bias[i])
            for k, weight in layer.weights.items():
                for j, t in enumerate(values[k]):
                    total += float(weight[i][j]) * t
            z.append(total)
        values.append([float(s[int(t > 0)]) * t for s, t in zip(np.asarray(layer.slopes), z, strict=True)])
        hidden += z
    return hidden[: net.n_neurons], z


# --- values


@settings(max_examples=2 * N)
@given(data=st.data())
def test_forward_is_the_plain_loop(data: st.DataObject) -> None:
    """Outputs and pre-activations, at one point and at many, equal plain loops over neurons."""
    net = data.draw(networks())
    show(net, None)
    batch = data.draw(points(net.n_inputs, 4))
    expected = [loop(net, x) for x in batch]
    hidden, outputs = (np.array([pair[i] for pair in expected]).reshape(len(batch), -1) for i in (0, 1))
    size = 1 + max(np.abs(hidden).max(initial=0), np.abs(outputs).max())
    assert net(batch) == pytest.approx(outputs, rel=1e-9, abs=1e-12 * size)
    assert net.pre_activations(batch) == pytest.approx(hidden, rel=1e-9, abs=1e-12 * size)
    assert net(batch).shape == (len(batch), net.n_outputs)
    assert net.pre_activations(batch).shape == (len(batch), net.n_neurons)
    for x in batch:
        assert net(x).shape == (net.n_outputs,)
        assert net(x) == pytest.approx(net([x])[0], rel=1e-12, abs=1e-12 * size)


@settings(max_examples=2 * N)
@given(data=st.data())
def test_the_pattern_is_the_sign_of_the_pre_activations(data: st.DataObject) -> None:
    """A bit is True iff z > 0 and the neuron is not affine; it is the exact one where z is away from rounding."""
    net = data.draw(networks())
    show(net, None)
    for x in data.draw(points(net.n_inputs, 4)):
        pattern = net.activation_pattern(x)
        z = net.pre_activations(x)
        assert pattern.dtype == np.bool_
        assert pattern.tolist() == [bool(t > 0) and not affine for t, affine in zip(z, net.affine_neurons, strict=True)]
        exact = exact_forward(net, list(map(Fraction, x)))[1]
        certain = np.abs(z) > 1e-9 * (1 + np.abs(z).max(initial=0))
        assert pattern[certain].tolist() == np.array(exact)[certain].tolist()
    batch = data.draw(points(net.n_inputs, 3))
    assert net.activation_pattern(batch).shape == (3, net.n_neurons)


@pytest.mark.parametrize(
    ("slopes", "negative", "positive"),
    [((0, 1), 0, 3), ((0.1, 1), -0.2, 3), ((-1, 1), 2, 3), ((1, 0), -2, 0), ((2, -1), -4, -3), ((0.5, 0.5), -1, 1.5)],
)
def test_slopes(slopes: tuple[float, float], negative: float, positive: float) -> None:
    """The activation is s_neg z for z <= 0 and s_pos z for z > 0: values at z = -2 and z = 3 by hand."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=slopes)
    assert net([[-2.0], [3.0], [0.0]]).ravel().tolist() == pytest.approx([negative, positive, 0.0])
    assert net.affine_neurons.tolist() == [slopes[0] == slopes[1]]


def test_slopes_per_layer_and_per_neuron() -> None:
    """A list gives one pair per layer, an array one pair per neuron."""
    eye = np.eye(2)
    net = Network.mlp([eye, eye, eye], [np.zeros(2)] * 3, slopes=[(-1, 1), [[0, 1], [0.5, 0.5]]])
    assert net([-3.0, -4.0]).tolist() == [3.0, 2.0]
    assert net.affine_neurons.tolist() == [False, False, False, True]
    assert net.activation_pattern([1.0, 1.0]).tolist() == [True, True, True, False]


def test_an_exact_zero_is_inactive() -> None:
    """On the hyperplane itself the bit is False, for zero and for minus zero."""
    net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    assert net.activation_pattern([[0.0], [-0.0]]).tolist() == [[False, False]] * 2


def test_skips_add_the_earlier_output_to_the_input() -> None:
    """The skip (k, l) multiplies nu_k by the same matrix as nu_(l-1): one network by skips, and layer by layer."""
    rng = np.random.default_rng(0)
    weights, biases = [rng.normal(size=(3, 3)) for _ in range(4)], [rng.normal(size=3) for _ in range(4)]
    net = Network.mlp(weights, biases, skips=[(0, 2), (1, 4), (0, 4)])
    assert net.skips == ((0, 2), (0, 4), (1, 4))
    for x in rng.normal(size=(20, 3)):
        nu_1 = np.maximum(weights[0] @ x + biases[0], 0)
        nu_2 = np.maximum(weights[1] @ (nu_1 + x) + biases[1], 0)
        nu_3 = np.maximum(weights[2] @ nu_2 + biases[2], 0)
        assert net(x) == pytest.approx(weights[3] @ (nu_3 + nu_1 + x) + biases[3])


def test_a_layer_may_skip_the_one_before() -> None:
    """Sources are any earlier layers: here layer 2 reads the input only, and the output layer reads both."""
    net = Network([Layer({0: [[1.0]]}, [0.0]), Layer({0: [[-1.0]]}, [0.0]), Layer({1: [[1.0]], 2: [[10.0]]}, [0.0])])
    assert net([[2.0], [-2.0]]).ravel().tolist() == [2.0, 20.0]
    assert net.skips == ((0, 2), (1, 3))


# --- maps


@settings(max_examples=2 * N)
@given(data=st.data())
def test_the_maps_of_a_pattern_are_the_exact_ones(data: st.DataObject) -> None:
    """For any pattern, occurring or not, the integer maps are the exact ones and the float maps are near them."""
    net = data.draw(networks())
    pattern = data.draw(st.lists(st.booleans(), min_size=net.n_neurons, max_size=net.n_neurons))
    show(net, pattern)
    weight, bias = exact_affine_map(net, pattern)
    integers = net.integer_maps(pattern)
    scales = [Fraction(1, 2**exponent) for exponent in net.integers.exponents]
    assert [[x * scales[-1] for x in row] for row in integers[-1].tolist()] == [
        [*row, c] for row, c in zip(weight, bias, strict=True)
    ]
    assert all(type(x) is int for part in integers for x in part.ravel().tolist())
    affine = net.affine_map(pattern)
    assert isinstance(affine, AffineMap)
    # The reference of a small entry is the largest one: cancellation is not undone by rounding.
    largest = float(
        max((abs(x) * s for part, s in zip(integers, scales, strict=True) for x in part.ravel()), default=0)
    )
    assert affine.weight == pytest.approx(np.array(weight, dtype=np.float64), rel=1e-9, abs=1e-9 * (1 + largest))
    assert affine.bias == pytest.approx(np.array(bias, dtype=np.float64), rel=1e-9, abs=1e-9 * (1 + largest))
    for rows, part, scale in zip(net.composed_maps(pattern), integers, scales, strict=True):
        exact = np.array([float(x * scale) for x in part.ravel().tolist()]).reshape(part.shape)
        assert rows == pytest.approx(exact, rel=1e-9, abs=1e-9 * (1 + largest))


@settings(max_examples=N)
@given(data=st.data())
def test_the_integer_maps_have_the_exact_signs_of_every_layer(data: st.DataObject) -> None:
    """The integer rows of all hidden layers are the exact forms times a power of two."""
    net = data.draw(networks())
    pattern = data.draw(st.lists(st.booleans(), min_size=net.n_neurons, max_size=net.n_neurons))
    show(net, pattern)
    flat = [
        [x * Fraction(1, 2**exponent) for x in row]
        for part, exponent in zip(net.integer_maps(pattern), net.integers.exponents, strict=True)
        for row in part.tolist()
    ]
    rows = neuron_rows(net, pattern)
    for j, (a, b) in (rows or {}).items():
        sign = -1 if pattern[j] else 1
        assert flat[j] == [*(sign * c for c in a), -sign * b]


@settings(max_examples=N)
@given(data=st.data())
def test_the_affine_map_is_the_network_at_points_of_its_pattern(data: st.DataObject) -> None:
    """At a point the network equals the affine map of the point's pattern."""
    net = data.draw(networks(nearly_degenerate=False))
    show(net, None)
    for x in data.draw(points(net.n_inputs, 3)):
        assert net.affine_map(net.activation_pattern(x))(x) == pytest.approx(net(x), rel=1e-9, abs=1e-6)


def test_magnitudes_beyond_float64_do_not_lose_exact_signs() -> None:
    """Products that overflow or underflow in float64 keep their exact sign over the integers."""
    net = Network.mlp([[[1e200]], [[1e200]], [[1.0]]], [[0.0], [-1e-300], [0.0]])
    rows = net.integer_maps([True, True])[1]
    assert Fraction(rows[0, 0]) / 2 ** net.integers.exponents[1] == Fraction(1e200) ** 2
    assert Fraction(rows[0, 1]) / 2 ** net.integers.exponents[1] == Fraction(-1e-300)


def test_split_pattern_cuts_between_layers() -> None:
    """One pattern, or many, is split into one array per hidden layer; as_pattern joins them again."""
    net = Network.random([2, 3, 1, 2, 1], seed=0)
    flat = [True, False, True, False, True, True]
    parts = net.split_pattern(flat)
    assert [part.tolist() for part in parts] == [[True, False, True], [False], [True, True]]
    assert net.as_pattern(parts).tolist() == flat
    assert net.as_pattern([1, 0, 1, 0, 1, 1]).tolist() == flat
    assert [part.shape for part in net.split_pattern([flat] * 5)] == [(5, 3), (5, 1), (5, 2)]
    affine = Network.mlp([[[1.0]]], [[0.0]])
    assert affine.split_pattern([]) == ()
    assert affine.as_pattern([]).shape == (0,)
    assert affine.activation_pattern([[1.0], [2.0]]).shape == (2, 0)


# --- shape


def test_shapes_are_named() -> None:
    """Inputs, outputs, widths, neurons, skips and the repr say what the network is."""
    net = Network.random([2, 5, 5, 5, 3], skips=[(1, 3), (2, 4)], seed=0)
    assert (net.n_inputs, net.n_outputs, net.widths, net.n_neurons) == (2, 3, (5, 5, 5), 15)
    assert net.skips == ((1, 3), (2, 4))
    assert repr(net) == "Network(2-5-5-5-3, skips 1-3, 2-4)"
    assert repr(Network.random([4, 2], seed=0)) == "Network(4-2)"


def test_a_network_is_frozen() -> None:
    """Weights, biases and slopes are read-only copies: later changes of the arguments change nothing."""
    weight, bias, slopes = np.ones((1, 1)), np.zeros(1), np.array([[0.0, 1.0]])
    sources = {0: weight}
    net = Network([Layer(sources, bias, slopes), Layer({1: np.ones((1, 1))}, np.zeros(1))])
    before = net.fingerprint
    weight[:], bias[:], slopes[:] = 7, 7, 7
    sources[0] = weight
    assert net([1.0]).tolist() == [1.0]
    assert Network(net.layers, 1).fingerprint == before
    layer = net.layers[0]
    for array in (layer.weights[0], layer.bias, layer.slopes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError, match="item assignment"):
        layer.weights[0] = weight


@pytest.mark.parametrize("init", ["torch", "kaiming_uniform", "kaiming_normal", "glorot_uniform", "glorot_normal"])
def test_random_weights_have_the_named_spread(init: str) -> None:
    """Weights have mean 0 and the variance of their rule, biases lie within 1/sqrt(fan_in); seeds repeat."""
    fan_in, fan_out = 100, 60
    net = Network.random([fan_in, fan_out, 1], init=init, seed=0)
    weight = net.layers[0].weights[0]
    variance = {
        "torch": 1 / (3 * fan_in),
        "kaiming_uniform": 2 / fan_in,
        "kaiming_normal": 2 / fan_in,
        "glorot_uniform": 2 / (fan_in + fan_out),
        "glorot_normal": 2 / (fan_in + fan_out),
    }[init]
    assert weight.shape == (fan_out, fan_in)
    assert weight.var() == pytest.approx(variance, rel=0.1)
    assert abs(weight.mean()) < 5 * np.sqrt(variance / weight.size)
    if init.endswith("uniform") or init == "torch":
        assert np.abs(weight).max() <= np.sqrt(3 * variance)
    assert 0.5 / np.sqrt(fan_in) < np.abs(net.layers[0].bias).max() <= 1 / np.sqrt(fan_in)
    assert Network.random([fan_in, fan_out, 1], init=init, seed=0).fingerprint == net.fingerprint
    assert Network.random([fan_in, fan_out, 1], init=init, seed=1).fingerprint != net.fingerprint
    assert Network.random([fan_in, fan_out, 1], init=init).fingerprint != net.fingerprint


# --- files


def arrays(net: Network) -> list[NDArray[np.float64]]:
    """Return all arrays of a network."""
    return [a for layer in net.layers for a in (*layer.weights.values(), layer.bias, np.asarray(layer.slopes))]


@settings(max_examples=N)
@given(net=networks())
def test_a_saved_network_is_the_same_network(net: Network, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Saving and loading keeps every bit of every array, the sources, the input dimension and the fingerprint."""
    show(net, None)
    path = tmp_path_factory.getbasetemp() / "net.npz"
    net.save(path)
    for again in (load(path), load(str(path)), Network.load(net.to_bytes())):
        assert again.n_inputs == net.n_inputs
        assert [sorted(layer.weights) for layer in again.layers] == [sorted(layer.weights) for layer in net.layers]
        assert [a.tobytes() for a in arrays(again)] == [a.tobytes() for a in arrays(net)]
        assert again.fingerprint == net.fingerprint
        assert (again.skips, again.widths, repr(again)) == (net.skips, net.widths, repr(net))


def test_more_than_nine_layers_are_told_apart(tmp_path: Path) -> None:
    """The names in the file of layers 1 and 10, 11 do not collide."""
    net = Network.random([2] * 13, skips=[(0, 2), (1, 11), (0, 12)], seed=0)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.skips == net.skips
    assert again.fingerprint == net.fingerprint


def test_the_fingerprint_tells_networks_apart() -> None:
    """A weight, bias, slope, source or shape that differs gives another fingerprint; the sign of zero does not."""

    def make(
        weight: float = 1.0, bias: float = 0.0, slopes: tuple[float, float] = (0.0, 1.0), source: int = 1
    ) -> Network:
        return Network([Layer({0: [[weight]]}, [bias], slopes), Layer({source: [[1.0]]}, [0.0])])

    same = {make().fingerprint, make(bias=-0.0).fingerprint, make(slopes=(-0.0, 1.0)).fingerprint}
    assert len(same) == 1
    others = [make(weight=1 + 2**-52), make(bias=5e-324), make(slopes=(0.1, 1.0)), make(source=0)]
    others += [Network.mlp([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]]), Network.mlp([[[1.0]]], [[0.0]])]
    assert len({*same, *(net.fingerprint for net in others)}) == 1 + len(others)


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing write leaves the earlier file as it was, and no temporary file."""
    path = tmp_path / "net.npz"
    Network.random([1, 1], seed=0).save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Network.random([1, 1], seed=1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
