"""The public calls: moments of inputs and outputs, and shares of classes and of sets of outputs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from tropnet.arrays.checks import as_count
from tropnet.enumeration import enumerate_regions
from tropnet.errors import DomainError
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.geometry.volumes import MAX_DIMENSION
from tropnet.integrals.cells import Cells, OutputSet, OutputSets
from tropnet.integrals.density import Density, as_densities, within_support
from tropnet.integrals.regional import over_regions
from tropnet.integrals.results import Measured, Moments, ratio
from tropnet.integrals.sampling import Sample
from tropnet.network.affine_hull import affine_hull
from tropnet.network.domain import Box, Domain, as_domain
from tropnet.network.network import Network, dense_network

__all__ = ["moments", "shares"]

_SAMPLES = 100_000


def moments(
    net: Network,
    domain: Domain | None = None,
    where: OutputSet | None = None,
    *,
    density: Sequence[Any] | None = None,
    exact: bool = False,
    n_samples: int | None = None,
    seed: int = 0,
    workers: int | Executor = 1,
    progress: bool = False,
) -> Moments:
    """Integrate all products of two of the inputs, the outputs and 1 over a domain: means, squares, mixed moments.

    With z = (x, y(x), 1) and a density w, these are the integrals of ``z_i z_j w(x)`` over the points of the domain
    whose outputs lie in a set. The mean of every polynomial of degree two in inputs and outputs follows
    (`Moments.mean`).

    Parameters
    ----------
    net
        The network y(x).
    domain
        A bounded `Box` or `Polytope`; or an unbounded box, or None (all of R^d), if densities that are 0 outside an
        interval bound what is open. Of a domain of lower dimension k, the integral is by k-dimensional volume.
    where
        Integrate only where the outputs lie in a set: a class c (the first of the largest outputs is y_c; of one
        output, 1 means y > 0 and 0 the rest), a polytope ``Polytope(A, b)`` of outputs, {y : A y <= b}, or a list of
        polytopes, their union. None is everything.
    density
        w(x) = product of w_i(x_i): one entry per input, None for 1, or a pair ``(points, values)`` of two float64
        arrays (k,), k >= 2: w_i is linear between the points and 0 outside, ``([a, b, c], [0, 1, 0])`` a tent,
        ``([a, b], [1, 1])`` uniform. It need not be normalised. None is 1 for all inputs.
    exact
        Also return the integrals over the rationals, as `fractions.Fraction`.
    n_samples
        Estimate from so many random points, at least 2, instead. By default that is done with more than five inputs
        that are not fixed, with 100,000 points, unless `exact`.
    seed
        Of the random points.
    workers, progress
        As for `tropnet.enumerate_regions`.

    Returns
    -------
    Moments
        The true integrals lie within `Measured.errors` of the float64 values, all rounding included, unless they are
        estimates, with standard errors.

    Raises
    ------
    DomainError
        The domain is empty, unbounded or of the wrong dimension, or the density is 0 on it; or, with `exact`, it is of
        lower dimension and its volumes are not rational.
    ShapeError, NonFiniteError
        `where` or `density` does not fit the network.
    ValueError
        `n_samples` or `seed` is no count, a density is negative or its points do not ascend, or `exact` and `n_samples`
        are both given.

    Notes
    -----
    Regions of a network that has more neurons are enumerated: one for each breakpoint of a density, x_i - t, and for
    each row of a polytope, A y - b; and one for each class but the first, y_j less the largest output before it. On
    each of them the integrand is a polynomial. It is integrated in closed form over simplices that the region is made
    of, in bulk (up to five inputs), with a bound that holds the errors of vertices, rows and composed maps; a region
    for which that proves less than nine digits is integrated over the rationals. A region costs about 15 microseconds
    in two and three dimensions, 40 in four and 200 in five; a tent in each input makes that several times as much in
    many dimensions. With `exact` a region costs about 1 ms in two dimensions and 100 ms in four, and the sum has a
    denominator as long as those of all vertices together: for hundreds of regions, not for millions.

    References
    ----------
    Baldoni et al., How to integrate a polynomial over a simplex, 2011, doi:10.1090/S0025-5718-2010-02378-6.
    Grundmann and Möller, Invariant integration formulas for the n-simplex by combinatorial methods, 1978,
    doi:10.1137/0715019.

    Examples
    --------
    >>> from tropnet import Box, Network
    >>> relu = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> found = moments(relu, Box(-1, 1))
    >>> found.outputs.values.round(12), bool(found.outputs.errors.max() < 1e-12)
    (array([0.25]), True)

    Under a tent around 1, only where y >= 1:

    >>> from tropnet import Polytope
    >>> moments(relu, where=Polytope([[-1.0]], [-1.0]), density=[([0, 1, 2], [0, 1, 0])], exact=True).mass.exact
    Fraction(1, 2)
    """
    question = _prepare(net, domain, [] if where is None else [where], density, n_samples, seed, exact=exact)
    if question.n_samples is None:
        regions = enumerate_regions(question.cells.network, question.domain, workers=workers, progress=progress)
        found = over_regions(question.cells, regions, with_outputs=True, exact=exact)
        last = Measured(found.values[-1], found.errors[-1], True, None if found.exact is None else found.exact[-1])
        return Moments(question.net.n_inputs, question.net.n_outputs, last)
    sample = question.sample(seed)
    kept = sample.inside
    if where is not None:
        kept = kept & question.sets.of_outputs(sample.z[:, question.net.n_inputs : -1])[0]
    z = np.where(kept[:, None], sample.z, 0.0)
    return Moments(question.net.n_inputs, question.net.n_outputs, sample.integrals(z), z)


def shares(
    net: Network,
    domain: Domain | None = None,
    sets: Sequence[OutputSet] | None = None,
    *,
    density: Sequence[Any] | None = None,
    exact: bool = False,
    n_samples: int | None = None,
    seed: int = 0,
    workers: int | Executor = 1,
    progress: bool = False,
) -> Measured:
    """Return which share of a domain each class takes, or each of some sets of outputs.

    The share of a set S is the mass of {x in the domain : y(x) in S} divided by that of the domain, mass being the
    integral of the density: the volume, if there is none.

    Parameters
    ----------
    sets
        What `where` of `moments` can be, for each share: classes, polytopes {y : A y <= b}, lists of polytopes, which
        mean unions. None is all classes: max(2, n_outputs).
    net, domain, density, exact, n_samples, seed, workers, progress
        As for `moments`.

    Returns
    -------
    Measured
        Of shape (n_sets,). Of a tie between classes on a part with volume the first class gets it. A polytope holds its
        sides; where an output is constant on a region, that can make a difference.

    Raises
    ------
    DomainError, ShapeError, NonFiniteError, ValueError
        As for `moments`.

    Notes
    -----
    Costs as for `moments`; only volumes are integrated, if there is no density.

    Examples
    --------
    How much of the square from 0 to 1 has y = relu(x_0 - x_1) > 1/2, and where is x_0 the larger?

    >>> from tropnet import Box, Network, Polytope
    >>> net = Network.mlp([[[1.0, -1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> shares(net, Box([0, 0], 1), [Polytope([[-1.0]], [-0.5]), 1], exact=True).exact
    array([Fraction(1, 8), Fraction(1, 2)], dtype=object)
    >>> shares(net, Box([0, 0], 1)).values.round(12)
    array([0.5, 0.5])
    """
    classes = range(max(2, net.n_outputs)) if isinstance(net, Network) else ()
    asked = list(classes if sets is None else sets)
    question = _prepare(net, domain, asked, density, n_samples, seed, exact=exact)
    if question.n_samples is None:
        regions = enumerate_regions(question.cells.network, question.domain, workers=workers, progress=progress)
        values, errors, _, fractions = over_regions(question.cells, regions, with_outputs=False, exact=exact)
        parts, whole = (
            Measured(values[some, 0, 0], errors[some, 0, 0], True, None if fractions is None else fractions[some, 0, 0])
            for some in (slice(1, None), 0)
        )
        return ratio(parts, whole)
    sample = question.sample(seed)
    inside = sample.inside
    n = int(inside.sum())
    if not n:
        raise DomainError(f"none of {len(inside)} random points of a box around the domain lies in it; draw more.")
    found = question.sets.of_outputs(sample.z[inside, question.net.n_inputs : -1]).mean(axis=1)
    return Measured(found, np.sqrt(found * (1 - found) / n), is_proven=False)


class _Question(NamedTuple):
    """What is asked: checked, with the domain cut down to the support of the density."""

    net: Network
    domain: Domain
    densities: list[Density]
    sets: OutputSets
    n_samples: int | None

    @property
    def cells(self) -> Cells:
        return Cells(self.net, self.densities, self.sets)

    def sample(self, seed: int) -> Sample:
        return Sample(self.net, self.domain, self.densities, self.n_samples or 0, seed)


def _prepare(
    net: Network,
    domain: Domain | None,
    sets: Sequence[OutputSet],
    density: Sequence[Any] | None,
    n_samples: int | None,
    seed: int,
    *,
    exact: bool,
) -> _Question:
    """Check the arguments of a call."""
    net = dense_network(net)
    densities = as_densities(density, net.n_inputs)
    chosen = OutputSets(net.n_outputs, sets)
    given = within_support(as_domain(domain, net.n_inputs), densities)
    hull = affine_hull(given)
    bounded = np.isfinite([given.low, given.high]).all() if isinstance(given, Box) else _is_bounded(given)
    if not bounded:
        raise DomainError(
            f"integrals need a bounded domain, got {given}; give a Box with finite sides, a polytope, or densities"
            " ([a, ..., b], [...]) of the inputs that are not bounded."
        )
    seed = as_count(seed, "seed", 0)
    if n_samples is not None:
        n_samples = as_count(n_samples, "n_samples", 2)
        if exact:
            raise ValueError(f"exact=True takes no n_samples, got {n_samples}: random points give estimates.")
    elif not exact and (net.n_inputs if hull is None else hull.dimension) > MAX_DIMENSION:
        n_samples = _SAMPLES
    return _Question(net, given, densities, chosen, n_samples)


def _is_bounded(domain: Domain) -> bool:
    """Return whether a domain that is no box is bounded, exactly."""
    hull = affine_hull(domain)
    if hull is None:
        return Polyhedron(domain.integer_rows).is_bounded()
    return not hull.dimension or Polyhedron(hull.side_rows).is_bounded()
