"""A maximum or minimum, and the exact one over given regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import finite_array
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import ShapeError, TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import nearest_float, to_integers, unit_rows
from tropnet.exact.linear_programs import Optimum, maximise
from tropnet.network.network import Network
from tropnet.network.restriction import Restriction
from tropnet.regions import Regions
from tropnet.regions.crossings import bounded_rows, parts
from tropnet.regions.measures import VERTEX_ACCURACY

__all__ = [
    "FEW_DIMENSIONS",
    "Extremum",
    "as_extremum",
    "lifted_extremum",
    "objective_rows",
    "output_form",
    "over_regions",
]

# Where vertices in bulk cost less than exact programs.
FEW_DIMENSIONS, _MANY_REGIONS = 3, 100


@dataclass(frozen=True, eq=False)
class Extremum:
    """A maximum or minimum, and where it is.

    Attributes
    ----------
    value
        float64, nearest to the exact value; infinite if there is no bound.
    exact
        The exact value; None if infinite.
    certificate
        The exact point of the closed domain at which the value is attained; if infinite, one from which it is left
        along `ray`.
    pattern
        bool, shape (n_neurons,): an activation region whose closure holds the point (and the ray).
    ray
        Unit vector, float64 of shape (d,), along which the value becomes infinite; None if it is finite.
    gap
        The true extremum is at most so much beyond `value`; 0.0 if `value` is proven to be it.
    n_solved
        How many regions (or, in branch and bound, nodes) were solved exactly.
    """

    value: float
    exact: Fraction | None
    certificate: Witness
    pattern: BoolArray
    ray: FloatArray | None = None
    gap: float = 0.0
    n_solved: int = 0

    def __repr__(self) -> str:
        gap = f", gap={self.gap!r}" if self.gap else ""
        return (
            f"{type(self).__name__}(value={self.value!r}, point={self.point.tolist()}, n_solved={self.n_solved}{gap})"
        )

    @property
    def point(self) -> FloatArray:
        """The float64 point nearest to the exact one, shape (d,)."""
        return self.certificate.point


def output_form(net: Network, form: int | ArrayLike | None) -> FloatArray:
    """Return the coefficients of a form of the outputs.

    Raises
    ------
    ShapeError, NonFiniteError
        It does not fit the outputs, or is left out though there are several.
    """
    m = net.n_outputs
    if form is None and m > 1:
        raise ShapeError(f"the network has {m} outputs; pass form, the index of one or coefficients of shape ({m},).")
    if form is None or isinstance(form, int | np.integer | bool):
        index = 0 if form is None else int(form)
        if isinstance(form, bool) or not 0 <= index < m:
            raise ShapeError(f"form must be the index of an output, 0 to {m - 1}, got {form}.")
        return np.array(np.eye(m)[index])
    c = finite_array(form, "form")
    if c.shape != (m,):
        raise ShapeError(f"form must be an index or have shape ({m},), one coefficient per output, got {c.shape}.")
    return c


def over_regions(
    regions: Regions, forms: Sequence[FloatArray], upper: FloatArray | None = None
) -> tuple[int, Extremum]:
    """Return the largest of the forms' maxima, and which form that is.

    One exact program per form and region, but only where a bound on the values, all rounding included, exceeds what was
    found: those with the highest bounds are solved first. `upper`, float64 of shape (R,), are bounds that are known;
    otherwise there are some in few dimensions, by the vertices.

    Raises
    ------
    TropnetError
        There are no regions.
    """
    best: tuple[int, Extremum] | None = None
    net = regions.network
    objectives = [objective_rows(net, c) for c in forms]
    bounds = _upper_bounds(regions, forms) if upper is None else np.repeat(upper[:, None], len(forms), axis=1)
    n_solved = 0
    highest = bounds.max(axis=1, initial=-math.inf)
    for index in np.argsort(-highest, kind="stable").tolist():
        if best is not None and not _exceeds(highest[index], best[1]):
            break
        region, n_solved = regions[index], n_solved + 1
        outputs = net.integer_maps(region.pattern)[-1]
        for i, (objective, scale) in enumerate(objectives):
            if best is not None and not _exceeds(bounds[index, i], best[1]):
                continue
            row = objective @ outputs
            found = best[1].exact if best is not None else None
            if found is not None and not row[:-1].any() and row[-1] <= found * scale:
                # Constant, as on many regions of a plateau.
                continue
            optimum = maximise(region.integer_rows, region.certificate, row)
            if best is None or found is None or optimum.ray or optimum.value > found * scale:
                best = i, as_extremum(optimum, scale, region.pattern)
            if optimum.ray:
                return i, replace(best[1], n_solved=n_solved)
    if best is None:
        raise TropnetError("the enumeration found no region to maximise over.")
    return best[0], replace(best[1], n_solved=n_solved)


def _exceeds(bound: float, best: Extremum) -> bool:
    """Return whether a value up to a bound can be more than the best one."""
    return best.exact is None or not bound < math.inf or Fraction(bound) > best.exact


def _upper_bounds(regions: Regions, forms: Sequence[FloatArray]) -> FloatArray:
    """Return what no form exceeds on a region, (R, n_forms), by its vertices; infinite where that is not known."""
    d, net = regions.domain.dimension, regions.network
    if d > FEW_DIMENSIONS or len(regions) < _MANY_REGIONS or not regions.bounded().all():
        return np.full((len(regions), len(forms)), np.inf)
    corners, offsets = regions.vertices()
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    size = np.abs(corners)
    # What `Regions.vertices` promises: the nearest side is no farther from the witness than a vertex.
    steps = np.abs(corners - regions.witnesses[owner]).max(axis=1)
    off = 2 * d * VERTEX_ACCURACY * steps + 4 * EPSILON * size.max(axis=1) + SMALLEST_NORMAL
    bounds = np.empty((len(regions), len(forms)))
    for part in parts(len(regions), net):
        maps, errors = (rows[:, net.n_neurons :] for rows in bounded_rows(net, regions.patterns[part]))
        stop = min(part.stop, len(regions))
        first, last = offsets[part.start], offsets[stop]
        own = owner[first:last] - part.start
        for i, c in enumerate(forms):
            with np.errstate(over="ignore", invalid="ignore"):
                rows, wrong = c @ maps, np.abs(c) @ errors + (len(c) + 2) * EPSILON * (np.abs(c) @ np.abs(maps))
                wrong += (d + 4) * EPSILON * np.abs(rows) + SMALLEST_NORMAL
                values = (rows[own, :-1] * corners[first:last]).sum(axis=1) + rows[own, -1]
                values += (wrong[own, :-1] * size[first:last]).sum(axis=1) + wrong[own, -1]
                values += (np.abs(rows) + wrong)[own, :-1].sum(axis=1) * off[first:last]
                values += 16 * EPSILON * np.abs(values) + SMALLEST_NORMAL
            values[np.isnan(values)] = np.inf
            bounds[part, i] = np.maximum.reduceat(values, offsets[part.start : stop] - first)
    return bounds


def objective_rows(net: Network, c: FloatArray) -> tuple[IntegerArray, int]:
    """Return integer coefficients for the rows of `net.integer_maps` and by how much they multiply the form."""
    integers, exponent = to_integers(c)
    return integers, 1 << (exponent + net.integers.exponents[-1])


def lifted_extremum(restriction: Restriction | None, within: Extremum) -> Extremum:
    """Return an extremum of the network of a restriction as one of the network that it restricts; None is nothing."""
    if restriction is None:
        return within
    exact = None if within.exact is None else within.exact / restriction.scale
    gap = Fraction(within.gap) / restriction.scale if math.isfinite(within.gap) else None
    return replace(
        within,
        value=within.value if exact is None else nearest_float(exact.numerator, exact.denominator),
        exact=exact,
        certificate=restriction.point(within.certificate),
        pattern=within.pattern[restriction.n_helpers :],
        ray=None if within.ray is None else restriction.direction(within.ray),
        gap=within.gap if gap is None else nearest_float(gap.numerator, gap.denominator),
    )


def as_extremum(optimum: Optimum, scale: int, pattern: BoolArray) -> Extremum:
    """Return an exact optimum of integers that are `scale` times the form as an extremum."""
    if optimum.ray:
        direction = unit_rows(np.array([[*optimum.ray, 0]], dtype=object), len(optimum.ray))[0, :-1]
        return Extremum(math.inf, None, optimum.point, pattern, direction)
    exact = optimum.value / scale
    return Extremum(nearest_float(exact.numerator, exact.denominator), exact, optimum.point, pattern)
