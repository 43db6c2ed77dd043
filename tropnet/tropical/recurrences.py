"""The tropical recurrences: a network as a difference F - G of convex piecewise-linear functions, layer by layer.

They display the structure and carry the papers' proofs. Their entries grow like products of |W| and cancel in F - G,
so nothing here decides a sign: the enumeration works on nu = F - G itself, the ordinary composed affine map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.exact.dyadic import to_fractions
from tropnet.network.layers import Layer
from tropnet.network.network import Network
from tropnet.network.recurrence import identity_map

__all__ = ["FORMS", "LayerTerms", "convex_terms", "tropical_recurrences"]

FORMS = ("convex", "printed")


@dataclass(frozen=True, eq=False)
class LayerTerms:
    """The terms of one layer on one activation pattern, as rows (a | c) of affine functions a x + c.

    Attributes
    ----------
    H, G
        The pre-activation: z = H - G. On the pattern's region H > G exactly at the active neurons.
    F, E
        The post-activation: nu = F - E. For ReLU, F = max(H, G) and E = G; two slopes scale and add.
    """

    H: NDArray[Any]
    G: NDArray[Any]
    F: NDArray[Any]
    E: NDArray[Any]

    @property
    def H_A(self) -> NDArray[Any]:
        """Coefficients of H, shape (n_l, d)."""
        return self.H[:, :-1]

    @property
    def h_b(self) -> NDArray[Any]:
        """Constants of H, shape (n_l,)."""
        return self.H[:, -1]

    @property
    def G_A(self) -> NDArray[Any]:
        """Coefficients of G, shape (n_l, d)."""
        return self.G[:, :-1]

    @property
    def g_b(self) -> NDArray[Any]:
        """Constants of G, shape (n_l,)."""
        return self.G[:, -1]

    @property
    def F_A(self) -> NDArray[Any]:
        """Coefficients of F, shape (n_l, d)."""
        return self.F[:, :-1]

    @property
    def f_b(self) -> NDArray[Any]:
        """Constants of F, shape (n_l,)."""
        return self.F[:, -1]


def tropical_recurrences(
    net: Network, pattern: ArrayLike | Sequence[ArrayLike], *, form: str = "convex", exact: bool = False
) -> list[LayerTerms]:
    """Compute F, G and H of every layer on an activation pattern: (14)-(16), with skips (51)-(54).

    With ``W = W_+ - W_-`` the positive and negative parts, summed over the sources k of layer l, ::

        H = sum W_+ F_k + W_- E_k + b,    G = sum W_+ E_k + W_- F_k,

    then F = H and E = G at active ReLU neurons, F = E = G at inactive ones. For slopes (s_neg, s_pos) see
    `convex_terms`.

    Parameters
    ----------
    net
        The network.
    pattern
        bool, flat or one array per hidden layer; True means active. It need not occur.
    form
        ``"convex"``: as above. ``"printed"``: as (51)-(54) print it, a skip enters as ``W_+ (F_k - E_k)`` and
        ``W_- (F_k - E_k)``. The difference H - G is the same, but for a skip from layer 2 or later the printed F and G
        are not convex, so they are no tropical polynomials.
    exact
        Return `fractions.Fraction` entries (dtype object) instead of float64.

    Returns
    -------
    list of LayerTerms
        One per layer 1, ..., L + 1. The output layer has no activation: F = H and E = G.

    Raises
    ------
    ShapeError, ValueError
        The pattern does not fit, or `form` is unknown.

    References
    ----------
    Joyce and Verschelde, Computing Linear Regions in Neural Networks with Skip Connections, (14)-(16), (51)-(54).

    Examples
    --------
    The worked example of section 3, with (10, -7 | 1) as second row of layer 2:

    >>> net = Network.mlp(
    ...     [[[-4, 1], [-4, -1]], [[-8, 3], [10, -7]], [[1, 1]]],
    ...     [[2, 3], [3, 1], [0]],
    ... )
    >>> one, two, _ = tropical_recurrences(net, [[True, True], [True, False]])
    >>> one.G_A.tolist(), one.H_A.tolist(), one.h_b.tolist()
    ([[4.0, 0.0], [4.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]], [2.0, 3.0])
    >>> two.G_A[0].tolist(), two.g_b[0], two.H_A[0].tolist(), two.h_b[0]
    ([12.0, 11.0], np.float64(16.0), [32.0, 0.0], np.float64(12.0))

    Its inequalities 4x - y <= 2, 4x + y <= 3, -20x + 11y <= -4 are G - H at active neurons:

    >>> (one.G_A - one.H_A).tolist(), one.h_b.tolist()
    ([[4.0, -1.0], [4.0, 1.0]], [2.0, 3.0])
    >>> (two.G_A - two.H_A)[0].tolist(), two.h_b[0] - two.g_b[0]
    ([-20.0, 11.0], np.float64(-4.0))
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}.")
    flat = net.as_pattern(pattern)
    kind: Any = to_fractions if exact else np.asarray
    identity = kind(identity_map(net.n_inputs, np.float64))
    outputs = [(identity, kind(np.zeros(identity.shape)))]
    terms, first = [], 0
    for index, layer in enumerate(net.layers, start=1):
        H, G = _pre_activation(layer, index, outputs, form, kind)
        if index > len(net.hidden):
            F, E = H, G
        else:
            slopes = kind(np.asarray(layer.slopes))
            neurons = zip(H, G, slopes, flat[first : first + layer.width].tolist(), strict=True)
            pairs = [_activated(h, g, neg, pos, bit) for h, g, (neg, pos), bit in neurons]
            F, E = (np.array(rows, dtype=H.dtype) for rows in zip(*pairs, strict=True))
            first += layer.width
        terms.append(LayerTerms(H, G, F, E))
        outputs.append((F, E))
    return terms


def convex_terms(H: Any, G: Any, s_neg: Any, s_pos: Any) -> tuple[Any, Any, Any]:
    """Write act(H - G) as max(first, second) - rest, or rest - max(first, second), with convex pieces.

    A slope s = s_+ - s_- times z is P - M with P = s_+ H + s_- G and M = s_- H + s_+ G. For s_neg <= s_pos,
    act(z) = max(s_pos z, s_neg z) = max(P1 + M2, P2 + M1) - (M1 + M2); for s_neg > s_pos it is a minimum and the
    roles of F and G swap: (P1 + P2) - max(M1 + P2, M2 + P1).

    Returns
    -------
    first, second, rest
        `first` is the larger (on the active side) of the maximum's arguments.

    Examples
    --------
    ReLU: max(H, G) - G.

    >>> convex_terms(5, 3, 0, 1)
    (5, 3, 3)
    """
    P1, M1 = _scaled(H, G, s_pos)
    P2, M2 = _scaled(H, G, s_neg)
    if s_neg > s_pos:
        return M1 + P2, M2 + P1, P1 + P2
    return P1 + M2, P2 + M1, M1 + M2


def _scaled(H: Any, G: Any, slope: Any) -> tuple[Any, Any]:
    plus, minus = max(slope, 0), max(-slope, 0)
    return plus * H + minus * G, minus * H + plus * G


def _activated(h: Any, g: Any, s_neg: Any, s_pos: Any, bit: bool) -> tuple[Any, Any]:
    if s_neg == s_pos:
        return _scaled(h, g, s_pos)
    first, second, rest = convex_terms(h, g, s_neg, s_pos)
    largest = first if bit else second
    return (rest, largest) if s_neg > s_pos else (largest, rest)


def _pre_activation(
    layer: Layer, index: int, outputs: Sequence[tuple[Any, Any]], form: str, kind: Any
) -> tuple[Any, Any]:
    H, G = (0 * kind(np.zeros((layer.width, outputs[0][0].shape[1]))) for _ in range(2))
    for source, plus, minus in _signed_parts(layer, kind):
        F, E = outputs[source]
        if form == "printed" and source != index - 1:
            H = H + plus @ (F - E)
            G = G + minus @ (F - E)
        else:
            H = H + plus @ F + minus @ E
            G = G + plus @ E + minus @ F
    H[:, -1] += kind(layer.bias)
    return H, G


def _signed_parts(layer: Layer, kind: Any) -> Iterator[tuple[int, Any, Any]]:
    for source, weight in layer.weights.items():
        yield source, kind(np.maximum(weight, 0)), kind(np.maximum(-weight, 0))
