"""Which rows of one polyhedron in hundreds of dimensions define facets: rays and multipliers, proposed by HiGHS.

The proofs are those of `tropnet.geometry.facets`, whose compiled programs are for fewer dimensions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.centred import Centred
from tropnet.geometry.facets import DOUBTFUL, FACET, IMPLIED

__all__ = ["facets_of_one", "meet_first"]

_BEYOND = 1e-9


def facets_of_one(rows: Centred, extent: float) -> NDArray[np.int8]:
    """Return what is proven of each row, as `facets` does: along its own normal first, else by a linear program.

    Parameters
    ----------
    rows
        Of one polyhedron.
    extent
        No two of its points are farther apart than this.
    """
    # Imported where it is used: few polyhedra have so many dimensions.
    from scipy.optimize import linprog

    known = np.where(meet_first(rows, rows.units), FACET, DOUBTFUL).astype(np.int8)
    matrix = sparse.csr_array(rows.units)
    for i in np.flatnonzero(known == DOUBTFUL).tolist():
        others = np.flatnonzero((known != IMPLIED) & (np.arange(len(known)) != i))
        found = linprog(-rows.units[i], matrix[others], rows.sides[others], bounds=(None, None), method="highs")
        if found.status != 0:
            continue
        if -found.fun > rows.sides[i] * (1 + _BEYOND):
            known[i] = FACET if meet_first(rows, found.x[None], np.array([i]))[0] else DOUBTFUL
        elif _is_implied(rows, i, others, np.maximum(-found.ineqlin.marginals, 0.0), extent / rows.reach[0]):
            known[i] = IMPLIED
    return known


def meet_first(rows: Centred, directions: FloatArray, which: NDArray[np.int64] | None = None) -> BoolArray:
    """Return whether rays from the point inside surely meet a row each before all others.

    There the polyhedron ends at that row alone, which is a facet then.

    Parameters
    ----------
    rows
        Of one polyhedron.
    directions
        float64, shape (k, d).
    which
        The row for each of them; all rows in order if not given.

    Notes
    -----
    Row j is met by t v where t u_j v = s_j. With errors e of the rows, f of the sides and r of the product, that of
    row i is at most (s_i + f_i) / (u_i v - e_i |v| - r), and that of row j at least (s_j - f_j) / (u_j v + e_j |v| + r)
    or, if that divisor is not positive, nowhere.

    Examples
    --------
    A square, and a row that cuts off no corner of it:

    >>> from tropnet.geometry.centred import centred
    >>> A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0]])
    >>> rows = centred(A, np.array([1.0, 1, 1, 1, 3]), np.array([0, 5]), np.zeros((1, 2)))
    >>> meet_first(rows, rows.units).tolist()
    [True, True, True, True, False]
    """
    own = np.arange(len(directions)) if which is None else which
    known = (rows.side_errors < rows.sides) & (rows.unit_errors < 1)
    if not (known.all() and 0 < rows.reach[0] < np.inf):
        return np.zeros(len(directions), dtype=np.bool_)
    # Unit rows and sums of squares are off by less than that.
    rounding = (rows.units.shape[1] + 8) * 2 * EPSILON
    lengths = np.linalg.norm(directions, axis=1) * (1 + rounding)
    rates = rows.units @ directions.T
    wrong = ((1 + rounding) * rows.unit_errors + 2 * rounding)[:, None] * lengths
    fastest = rates + wrong
    with np.errstate(all="ignore"):
        least = np.where(fastest > 0, (rows.sides - rows.side_errors)[:, None] / fastest, np.inf)
        place = own, np.arange(len(directions))
        least[place] = np.inf
        slowest = rates[place] - wrong[place]
        most = (rows.sides + rows.side_errors)[own] / slowest
        first = most * (1 + 8 * EPSILON) < least.min(axis=0, initial=np.inf) * (1 - 8 * EPSILON)
    return np.asarray(first & (slowest > 0))


def _is_implied(rows: Centred, i: int, others: NDArray[np.int64], multipliers: FloatArray, extent: float) -> bool:
    """Return whether multipliers of other rows prove that row i does not touch the polyhedron (weak duality)."""
    n, d = len(others), rows.units.shape[1]
    rounding = (n + d + 10) * 2 * EPSILON
    rest = rows.units[i] - multipliers @ rows.units[others]
    total = float(multipliers.sum())
    error = rounding * (1 + total) + rows.unit_errors[i] + float(multipliers @ rows.unit_errors[others])
    length = float(np.linalg.norm(rest)) + 2 * error
    level = float(multipliers @ (rows.sides + rows.side_errors)[others])
    bound = (level + length * extent) * (1 + 4 * rounding)
    return bool(bound < (rows.sides[i] - rows.side_errors[i]) * (1 - 4 * EPSILON))
