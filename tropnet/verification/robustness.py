"""How far around each of many points the class stays the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_points, finite_array
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.progress import track
from tropnet.verification.boundary import distance_to_boundary, exact_decision
from tropnet.verification.lipschitz import check_norm

__all__ = ["RobustnessCurve", "robustness_curve"]


@dataclass(frozen=True, eq=False)
class RobustnessCurve:
    """The largest balls around points in which no decision changes.

    Attributes
    ----------
    radii
        float64, shape (n,): the decision is the same at all points of the domain nearer than that, and changes at one
        that is no farther; infinite where it changes nowhere. 0 where it is not the one asked for.
    targets
        int64, shape (n,): the class that is reached at that distance; -1 if none is, or the decision is wrong.
    points
        float64, shape (n, d): where it is reached; NaN if nowhere.
    norm
        1, 2 or infinity.
    """

    radii: FloatArray
    targets: NDArray[np.int64]
    points: FloatArray
    norm: float

    def __repr__(self) -> str:
        middle = float(np.median(self.radii))
        return f"{type(self).__name__}({len(self.radii)} points, norm={self.norm}, median radius {middle!r})"

    def share(self, radius: ArrayLike) -> FloatArray:
        """Return the share of the points whose ball is larger than each radius: the curve, same shape as `radius`.

        With labels it is the certified accuracy at that radius.
        """
        at = np.asarray(radius, dtype=np.float64)
        return np.asarray((self.radii > at[..., None]).mean(axis=-1))


def robustness_curve(
    net: Network,
    points: ArrayLike,
    domain: Domain | None = None,
    norm: float = np.inf,
    *,
    labels: ArrayLike | None = None,
    progress: bool = False,
) -> RobustnessCurve:
    """Find the largest ball around each of many points in which the decision of a network does not change, exactly.

    Parameters
    ----------
    net
        The network; its decision is the largest output, or the sign of a single one.
    points
        float64, shape (n, d), in the domain.
    domain
        None (all of R^d), `Box` or `Polytope`: what lies outside does not count.
    norm
        1, 2 or infinity (boxes).
    labels
        Integers of shape (n,): points with another decision get the radius 0. None: all decisions are right. For one
        output, 1 if it is positive, else 0.
    progress
        Show a progress bar on standard error.

    Raises
    ------
    ShapeError, NonFiniteError
        Points or labels do not fit.
    ValueError
        Another norm.
    DomainError
        The domain is empty, of the wrong dimension, or lacks a point.

    Notes
    -----
    Each radius is that of `distance_to_boundary`, with its cost: in up to eight dimensions milliseconds to seconds.

    References
    ----------
    Wong and Kolter, Provable defenses against adversarial examples via the convex outer adversarial polytope, 2018,
    arXiv:1711.00851, for the curve.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-2.0]])
    >>> curve = robustness_curve(net, [[0.0, 0.0], [3.0, 3.0]])
    >>> curve.radii, curve.share([0.5, 1.5])
    (array([1., 2.]), array([1. , 0.5]))
    """
    check_norm(norm)
    net = dense_network(net)
    x, _ = as_points(points, net.n_inputs)
    wrong = np.zeros(len(x), dtype=np.bool_)
    if labels is not None:
        wanted = finite_array(labels, "labels")
        if wanted.shape != (len(x),):
            raise ShapeError(f"labels must have shape ({len(x)},), one per point, got {wanted.shape}.")
        wrong = np.array([exact_decision(net, point) for point in x], dtype=np.int64) != wanted
    fitted = as_domain(domain, net.n_inputs)
    radii, targets = np.zeros(len(x)), np.full(len(x), -1)
    places = np.full(x.shape, np.nan)
    with track("measuring", "points", enabled=progress) as update:
        for i in np.flatnonzero(~wrong).tolist():
            found = distance_to_boundary(net, x[i], fitted, norm)
            radii[i], targets[i], places[i] = found.distance, found.target, found.point
            update(i + 1, (i + 1) / len(x))
    return RobustnessCurve(radii, targets, places, float(norm))
