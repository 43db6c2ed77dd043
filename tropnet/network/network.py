"""Piecewise-linear networks in one general form: every layer reads any set of earlier layers.

Layer l computes ``z_l = sum over sources k < l of W[l, k] nu_k + b_l`` with ``nu_0 = x`` and ``nu_l = act(z_l)``, where
every neuron has two slopes: ``act(z) = s_pos z`` for z > 0 and ``s_neg z`` otherwise. The last layer is affine.
A skip connection (k, l) of the papers adds the output of layer k to the input of layer l, that is
``W[l, k] = W[l, l - 1]``. Layers count from 1, the input is 0, the output layer is L + 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tropnet.archives import undamaged, write_atomically
from tropnet.errors import DomainError, ShapeError, UnsupportedModuleError
from tropnet.network.carrying import without_skips
from tropnet.network.domain import Box, Domain, WholeSpace, as_domain
from tropnet.network.files import fingerprint, network_bytes, read_layers
from tropnet.network.folding import without_affine_neurons
from tropnet.network.layered_map import LayeredMap
from tropnet.network.layers import (
    AFFINE,
    RELU,
    Layer,
    finite_matrix,
    skip_sources,
    slopes_per_layer,
)
from tropnet.network.random import random_weights
from tropnet.network.slices import restricted_layers

__all__ = ["Network", "as_network", "dense_network"]


class Network(LayeredMap):
    """A frozen piecewise-linear network.

    Parameters
    ----------
    layers
        Hidden layers 1, ..., L and the affine output layer L + 1 (its slopes are ignored). Layer l may read any
        sources 0 <= k < l; the widths must chain.
    n_inputs
        Input dimension; needed only when no layer reads the input.

    Raises
    ------
    ShapeError, NonFiniteError
        A shape does not chain; a weight, bias or slope is NaN or infinite. The message says where.

    Examples
    --------
    A residual block: the second layer reads the first and, past it, the input.

    >>> net = Network([
    ...     Layer({0: np.eye(2)}, np.zeros(2)),
    ...     Layer({1: np.eye(2), 0: 2 * np.eye(2)}, np.zeros(2)),
    ...     Layer({2: np.ones((1, 2))}, np.zeros(1)),
    ... ])
    >>> net([1.0, -1.0])
    array([3.])
    """

    @classmethod
    def mlp(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        skips: Iterable[tuple[int, int]] = (),
        slopes: Any = RELU,
    ) -> Network:
        """Make a multilayer perceptron with the papers' skip connections.

        Parameters
        ----------
        weights, biases
            Arrays (n_out, n_in) and (n_out,), one pair per layer; the last pair is the affine output layer.
        skips
            Pairs (k, l): the output of layer k is added to the input of layer l, 0 <= k < l - 1.
        slopes
            One pair (s_neg, s_pos) for all hidden neurons, or a list with one entry per hidden layer: a pair, or an
            array (n_l, 2). ReLU is (0, 1), leaky ReLU (a, 1), absolute value (-1, 1).

        Raises
        ------
        ShapeError, NonFiniteError
            As for `Network`.
        SkipError
            A skip breaks 0 <= k < l - 1 <= L, is given twice, or joins layers of unequal width.

        Examples
        --------
        >>> net = Network.mlp([np.eye(1)] * 3, [np.zeros(1)] * 3, skips=[(1, 3)])
        >>> net([[2.0], [-2.0]])
        array([[4.],
               [0.]])
        """
        if len(weights) != len(biases):
            raise ShapeError(f"weights and biases must pair up, got {len(weights)} weights and {len(biases)} biases.")
        if not weights:
            raise ShapeError("weights must hold at least the output layer, got none.")
        matrices = [finite_matrix(weight, f"weights[{i}]") for i, weight in enumerate(weights)]
        n_hidden = len(matrices) - 1
        per_layer = slopes_per_layer(slopes, n_hidden)
        widths = [matrices[0].shape[1]] + [matrix.shape[0] for matrix in matrices]
        sources = skip_sources(skips, widths)
        return cls(
            Layer(
                dict.fromkeys((index, *sources.get(index + 1, ())), matrix),
                np.asarray(bias),
                per_layer[index] if index < n_hidden else AFFINE,
            )
            for index, (matrix, bias) in enumerate(zip(matrices, biases, strict=True))
        )

    @classmethod
    def random(
        cls,
        widths: Sequence[int],
        skips: Iterable[tuple[int, int]] = (),
        *,
        init: str = "torch",
        slopes: Any = RELU,
        seed: int | np.random.Generator | None = None,
    ) -> Network:
        """Draw a random multilayer perceptron.

        Parameters
        ----------
        widths
            Input dimension, hidden widths, output dimension.
        skips, slopes
            As in `mlp`.
        init
            ``"torch"``: weights and biases uniform in +-1/sqrt(fan_in), PyTorch's default for `nn.Linear`.
            ``"kaiming_uniform"``, ``"kaiming_normal"`` (ReLU gain), ``"glorot_uniform"``, ``"glorot_normal"``: weights
            by that rule, biases as in ``"torch"``.
        seed
            Seed or generator of NumPy; None draws fresh entropy.

        Examples
        --------
        >>> Network.random([2, 5, 5, 5, 1], skips=[(1, 3)], seed=0)
        Network(2-5-5-5-1, skips 1-3)
        """
        return cls.mlp(*random_weights(widths, init, np.random.default_rng(seed)), skips, slopes)

    def restrict(self, origin: ArrayLike, basis: ArrayLike) -> Network:
        """Return the network on the affine slice x = origin + t @ basis, as a network of t.

        Every layer that reads the input gets the weights ``W[l, 0] @ basis.T`` and the bias ``b_l + W[l, 0] @ origin``;
        all else stays. Each entry is computed exactly and rounded once, to the nearest float64: the slice is exact
        where the entries are float64 numbers (coordinate subspaces through 0, small integers), else its weights are
        off by half a unit in the last place, and what is enumerated is exact for these.

        Parameters
        ----------
        origin
            float64, shape (d,).
        basis
            float64, shape (k, d), k >= 1: the directions, one per row. They need not be independent.

        Raises
        ------
        ShapeError, NonFiniteError
            The shapes do not fit, or an entry, given or of the result, is not finite.

        Notes
        -----
        Costs O(n_l k d) integer products for every layer that reads the input, O(k) per stored entry of sparse weights.
        Other layers keep their weights, sparse ones too. Neurons keep their places, so a pattern
        of the slice is one of the network; `tropnet.regions_on_segment` needs no rounding on a segment.

        Examples
        --------
        >>> net = Network.mlp([[[1.0, 2.0]], [[1.0]]], [[0.5], [0.0]])
        >>> line = net.restrict([1.0, 0.0], [[0.0, 1.0]])
        >>> line, line([3.0]), net([1.0, 3.0])
        (Network(1-1-1), array([7.5]), array([7.5]))
        """
        return Network(*restricted_layers(self.layers, self.n_inputs, origin, basis))

    def without_skips(self, domain: Domain | None = None) -> Network:
        """Return the same function as a chain, each layer reading the one before only, with the same regions.

        What a skip hands on is carried through the layers in between by added neurons z = nu + c, relu(z) - c = nu,
        with a constant c so large that z >= 1 everywhere: 1 for ReLU layers, whose outputs are not negative. So an
        added neuron is active everywhere, touches zero nowhere, and divides no region. In every layer the neurons of
        this network come first: those columns of a pattern are its pattern, the others are True.

        For programs that know no skips; the engines here are faster on the network as it is. In float64 a carried value
        is rounded to the digits of nu + c.

        Parameters
        ----------
        domain
            Needed where a skip hands on the input, or a layer that has negative outputs (leaky ReLU): a `Box` with
            finite sides. The result is this function on the box.

        Returns
        -------
        Network
            Its hidden widths grow by the entries that skips carry past each layer. Biases are computed exactly and
            rounded once: regions are the same if these biases are float64 numbers (small integers and dyadic fractions
            are), else those of a network whose biases differ in the last place.

        Raises
        ------
        DomainError
            What a skip hands on has no lower bound on the domain, or the domain is no box or of another dimension.

        References
        ----------
        Carried channels: Meng et al., RMNet: Equivalently Removing Residual Connection from Networks, 2021,
        arXiv:2111.00687, "reserve and merge", there without c.

        Examples
        --------
        >>> net = Network.mlp([np.eye(1), [[-1.0]], [[1.0]]], [[0.0], [1.0], [0.0]], skips=[(1, 3)])
        >>> chain = net.without_skips()
        >>> chain, chain.skips, net([3.0]), chain([3.0])
        (Network(1-1-2-1), (), array([3.]), array([3.]))
        """
        fitted = as_domain(domain, self.n_inputs)
        if not isinstance(fitted, Box | WholeSpace):
            raise DomainError(f"domain must be a box, which gives bounds of each input, got {fitted!r}.")
        return Network(
            without_skips(self.layers, self.n_inputs, fitted if isinstance(fitted, Box) else None), self.n_inputs
        )

    def without_affine_neurons(self) -> Network:
        """Return the same function by fewer neurons: those of equal slopes are folded into the layers that read them.

        Where layer m reads an affine neuron ``nu_j = s z_j``, with weight w, it reads what the neuron reads instead:
        ``W[m, k] += w s W[l, k][j]`` for every source k of the neuron's layer l, and ``b_m += w s b_j``. Layers of
        affine neurons only leave the network; the numbers of those after them change.

        Returns
        -------
        Network
            Of the same regions: its patterns are those of this network without the columns of `affine_neurons`, which
            are False. Layers can read more sources than before, with fuller matrices: it pays where few neurons
            are left. Products are summed in float64: exact where these sums are float64 numbers (small integers and
            dyadic fractions), else the function of weights that differ by rounding.

        Raises
        ------
        NonFiniteError
            A product of weights overflows float64.

        Notes
        -----
        Costs the matrix product of the folded columns with the folded rows, for each source of a folded neuron; sparse
        weights stay sparse while at most a quarter of their entries is not zero. `from_torch` folds affine steps, as
        an activation of slope 1 in a whole layer, itself; this folds the neurons of a layer that are affine.

        References
        ----------
        J. Joyce and J. Verschelde, arXiv:2408.07815, Theorem 3.1, for networks of affine neurons only.

        Examples
        --------
        The second neuron of the hidden layer is affine, and becomes a skip from the input to the output:

        >>> net = Network.mlp([[[1.0], [3.0]], [[1.0, 2.0]]], [[0.0, 1.0], [0.0]], slopes=[[[0.0, 1.0], [1.0, 1.0]]])
        >>> fewer = net.without_affine_neurons()
        >>> fewer, fewer.layers[1].weights[0], fewer.layers[1].bias
        (Network(1-1-1, skips 0-2), array([[6.]]), array([2.]))
        >>> net([-1.0]), fewer([-1.0])
        (array([-4.]), array([-4.]))
        """
        return Network(without_affine_neurons(self.layers, self.n_inputs), self.n_inputs)

    # --- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an `.npz` file (atomically, no pickle); `load` reads it."""
        data = self.to_bytes()
        write_atomically(path, lambda file: file.write(data))

    def to_bytes(self) -> bytes:
        """Return the contents of the file that `save` writes."""
        return network_bytes(self.layers, self.n_inputs)

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes) -> Network:
        """Read what `save` or `to_bytes` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileFormatError
            The file is truncated, edited since it was written (a checksum tells), was not written by tropnet, or would
            need pickle.

        Notes
        -----
        Plain arrays made by hand need no checksum: see `tropnet.network.files` for their names.
        """
        layers, n_inputs = read_layers(source)
        with undamaged(source, "tropnet network"):
            return cls(layers, n_inputs)

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 of shapes, weights, biases and slopes: equal for equal networks, whatever file they came from."""
        return fingerprint(self.layers, self.n_inputs)


def as_network(net: Any) -> Network:
    """Return `net`, or raise an error that says how to get a network from what it is.

    Raises
    ------
    UnsupportedModuleError
        It is no `Network`.
    """
    if not isinstance(net, Network):
        kind = f"{type(net).__module__}.{type(net).__qualname__}"
        raise UnsupportedModuleError(
            f"net must be a tropnet.Network, got {kind}. For a PyTorch module use tropnet.from_torch(module), for a"
            " file tropnet.load(path)."
        )
    return net


def dense_network(net: Any) -> Network:
    """Return `net` with numpy arrays as its weights, for what does not work on sparse ones.

    Raises
    ------
    UnsupportedModuleError
        It is no `Network`.
    TooLargeError
        It would not fit into memory.
    """
    return as_network(net).dense
