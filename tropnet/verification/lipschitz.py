"""Lipschitz constants."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration import enumerate_regions
from tropnet.enumeration.engine import Goal, GoalKind
from tropnet.enumeration.promising import promising_regions
from tropnet.exact.dyadic import float_or_inf
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.restriction import Restriction, within_hull
from tropnet.regions.crossings import bounded_rows, parts
from tropnet.verification.objective import with_outputs

__all__ = ["LipschitzConstant", "check_norm", "lipschitz_constant"]

_NORMS = (1, 2, math.inf)
# How much larger another region's norm may be, relative to the value that is returned.
_SLACK = Fraction(1, 10**12)


class LipschitzConstant(NamedTuple):
    """A Lipschitz constant (infinite beyond float64), and the pattern of a region whose map attains it."""

    value: float
    pattern: BoolArray

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value={self.value!r})"


def lipschitz_constant(
    net: Network, domain: Domain | None = None, norm: float = 2, *, progress: bool = False
) -> LipschitzConstant:
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
    progress
        Show a progress bar on standard error; a search that will take hours says so.

    Raises
    ------
    ValueError
        Another norm, or one that is not 2 on a domain of lower dimension whose affine hull is parallel to no axes.
    DomainError
        The domain is empty or of the wrong dimension.

    Notes
    -----
    On a domain of lower dimension it is that of the network's restriction to it, which can be far smaller than the
    norms of its affine maps. If its hull is parallel to no axes, exact maps of all regions are composed.

    The regions are searched; parts of the domain in which intervals bound the derivatives below the best that is known
    are left out. Float64 with a bound on all its errors says which regions' norms may be the largest; those are
    computed from exact maps, in the order of their bounds, until no other can be larger by more than 1e-12 of the
    value. For 1 and infinity the value is the float64 nearest to the exact norm of the region's map, for 2 it is right
    to about 1e-15; a norm beyond float64 is infinite. Costs at most O(R) composed maps, and about a millisecond for
    each region whose bound lies within 1e-12 of the largest norm.

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
    fitted = as_domain(domain, net.n_inputs)
    net, inside, restriction = within_hull(net, fitted)
    if restriction is not None and not restriction.keeps_lengths:
        patterns = enumerate_regions(net, inside, progress=progress).patterns
        found = _skew_constant(net, patterns, restriction, norm)
    else:
        found = _constant(net, inside, norm, progress=progress)
    value, pattern = found
    if restriction is not None:
        value, pattern = value / restriction.scale, pattern[restriction.n_helpers :]
    return LipschitzConstant(float_or_inf(value), pattern)


def _constant(net: Network, domain: Domain, norm: float, *, progress: bool) -> tuple[Fraction, BoolArray]:
    """Return the largest norm, and of which pattern it is."""
    goal = Goal(GoalKind.NORM, 1, np.array([-np.inf]), norm=norm)
    chunks = promising_regions(with_outputs(net), domain, goal, progress=progress)
    if chunks is None:
        lists = iter([enumerate_regions(net, domain, progress=progress).patterns])
    else:
        lists = (unpack(chunk.packed, net.n_neurons) for chunk in chunks)
    largest, best = Fraction(-1), np.empty(0, dtype=np.bool_)
    for patterns in lists:
        largest, best = _larger(net, patterns, norm, largest, best)
        goal.best[0] = float_or_inf(largest * (1 + _SLACK))
    return largest, best


def _larger(
    net: Network, patterns: BoolArray, norm: float, largest: Fraction, best: BoolArray
) -> tuple[Fraction, BoolArray]:
    """Return the largest norm, and of which pattern it is, of some more."""
    upper = np.concatenate(
        [np.empty(0), *(_upper_bounds(net, patterns[part], norm) for part in parts(len(patterns), net))]
    )
    for i in np.argsort(-upper, kind="stable").tolist():
        if len(best) == net.n_neurons and upper[i] < math.inf and Fraction(upper[i]) <= largest * (1 + _SLACK):
            break
        value = _exact_norm(net.integer_maps(patterns[i])[-1][:, :-1], norm) / (1 << net.integers.exponents[-1])
        if value > largest:
            best, largest = patterns[i], value
    return largest, best


def _skew_constant(
    net: Network, patterns: BoolArray, restriction: Restriction, norm: float
) -> tuple[Fraction, BoolArray]:
    """Return the largest norm, and of which pattern it is, where the inputs of `net` are not orthonormal.

    Raises
    ------
    ValueError
        The norm is not 2.
    """
    if norm != 2:
        raise ValueError(
            f"norm must be 2 on a domain of lower dimension whose affine hull is parallel to no axes, got {norm!r}."
        )
    square, scale = restriction.dual_metric
    # |a| in x is |a factor| for functions a t: factor factor^T = square / scale.
    factor = np.linalg.cholesky(np.array([[value / scale for value in row] for row in square.tolist()]))
    maps = (net.integer_maps(pattern)[-1][:, :-1] for pattern in patterns)
    values = [_spectral_norm(weight, factor) / (1 << net.integers.exponents[-1]) for weight in maps]
    best = max(range(len(values)), key=values.__getitem__)
    return values[best], patterns[best]


def _upper_bounds(net: Network, patterns: BoolArray, norm: float) -> FloatArray:
    """Return numbers that the norms of the regions' maps do not exceed; infinite where float64 cannot tell."""
    maps, errors = (rows[:, net.n_neurons :, :-1] for rows in bounded_rows(net, patterns))
    known = np.asarray((np.isfinite(maps) & np.isfinite(errors)).all(axis=(1, 2)), dtype=np.bool_)
    unit = 8 * (net.n_inputs + net.n_outputs) * EPSILON
    with np.errstate(over="ignore"):
        values = np.linalg.norm(np.where(known[:, None, None], maps, 0.0), norm, axis=(1, 2)) * (1 + unit)
        # The largest singular value exceeds the geometric mean of the other two norms nowhere.
        wrong = [np.linalg.norm(np.where(known[:, None, None], errors, 0.0), p, axis=(1, 2)) for p in (1, math.inf)]
        bounds = values + np.maximum(*wrong) * (1 + unit) + SMALLEST_NORMAL
    return np.where(known, bounds, math.inf)


def _exact_norm(weight: IntegerArray, norm: float) -> Fraction:
    """Return the operator norm of an integer matrix: exactly for 1 and infinity, rounded for 2."""
    sizes = np.abs(weight)
    if norm != 2:
        return Fraction(max(sizes.sum(axis=0 if norm == 1 else 1).tolist()))
    return _spectral_norm(weight, np.eye(weight.shape[1]))


def _spectral_norm(weight: IntegerArray, factor: FloatArray) -> Fraction:
    """Return the largest singular value of weight @ factor, rounded."""
    head: int = max(np.abs(weight).ravel().tolist())
    if not head:
        return Fraction(0)
    # Divided by the largest entry, so that nothing overflows and what underflows does not count.
    scaled = np.array([[value / head for value in row] for row in weight.tolist()])
    return Fraction(float(np.linalg.norm(scaled @ factor, 2))) * head


def check_norm(norm: float) -> None:
    """Raise ValueError unless the norm is 1, 2 or infinity."""
    if norm not in _NORMS:
        raise ValueError(f"norm must be 1, 2 or inf, got {norm!r}.")
