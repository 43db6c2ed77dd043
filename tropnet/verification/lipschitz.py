"""Lipschitz constants."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.enumeration import enumerate_regions
from tropnet.network.domain import Domain
from tropnet.network.network import Network, dense_network

__all__ = ["LipschitzConstant", "check_norm", "lipschitz_constant"]

_NORMS = (1, 2, math.inf)


class LipschitzConstant(NamedTuple):
    """A Lipschitz constant, and the region (its index and pattern) whose affine map attains it."""

    value: float
    region: int
    pattern: BoolArray


def lipschitz_constant(net: Network, domain: Domain | None = None, norm: float = 2) -> LipschitzConstant:
    """Compute the best Lipschitz constant of a network on a domain.

    The smallest K with ``|y(x) - y(x')| <= K |x - x'|`` for all x, x' of the domain: since the network is continuous
    and the domain convex, the largest operator norm of the affine maps of its activation regions.

    Parameters
    ----------
    net
        The network.
    domain
        None (all of R^d), `Box` or `Polytope`.
    norm
        1, 2 or infinity, on inputs and outputs alike: the operator norm is the largest column sum of absolute values,
        the largest singular value, or the largest row sum.

    Raises
    ------
    ValueError
        Another norm.
    DomainError
        The domain is empty, flat or of the wrong dimension.

    Notes
    -----
    All regions are enumerated, exactly; the norms are float64, of weights rounded in O(depth) products.

    References
    ----------
    Jordan and Dimakis, Exactly computing the local Lipschitz constant of ReLU networks, 2020, arXiv:2003.01219.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [1.0, 1.0]], [[3.0, 4.0]]], [[0.0, 0.0], [0.0]])
    >>> lipschitz_constant(net, norm=1).value, lipschitz_constant(net, norm=np.inf).value
    (7.0, 11.0)
    """
    check_norm(norm)
    net = dense_network(net)
    patterns = enumerate_regions(net, domain).patterns
    size = max(1, (1 << 22) // (net.n_inputs * net.n_outputs))
    parts = [net.affine_maps(patterns[i : i + size])[0] for i in range(0, len(patterns), size)]
    values = np.concatenate([np.linalg.norm(part, norm, axis=(1, 2)) for part in parts])
    best = int(np.argmax(values))
    return LipschitzConstant(float(values[best]), best, patterns[best])


def check_norm(norm: float) -> None:
    """Raise ValueError unless the norm is 1, 2 or infinity."""
    if norm not in _NORMS:
        raise ValueError(f"norm must be 1, 2 or inf, got {norm!r}.")
