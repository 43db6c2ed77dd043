"""Elimination over the integers without fractions: independence, ranks, determinants, null vectors, linear systems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

__all__ = ["Echelon", "determinant", "eliminate", "independent", "null_vector", "rank", "solve"]


class Echelon:
    """An echelon form of integer rows that grows a row at a time.

    Row k vanishes on the leads of the rows before it, and not on its own. Its entries are minors of the k + 1 rows
    given so far (Bareiss), so every division is exact and numbers stay as small as determinants are.

    Parameters
    ----------
    n_columns
        The length of the rows.

    Attributes
    ----------
    rows
        The reduced rows, integers.
    leads
        The column of each row's first entry that is not 0. The entry of the last row there is the minor of all
        independent rows on the columns `leads`, in this order.

    Notes
    -----
    A row costs O(r n) products, where r is the rank so far.

    References
    ----------
    E. H. Bareiss, Sylvester's identity and multistep integer-preserving Gaussian elimination, 1968,
    doi:10.2307/2004533.

    Examples
    --------
    >>> echelon = Echelon(3)
    >>> [echelon.add(row) for row in [(0, 2, 4), (0, 1, 2), (3, 1, 0)]]
    [True, False, True]
    >>> echelon.leads, echelon.null_vector()
    ([1, 0], [4, -12, 6])
    """

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self.rows: list[list[int]] = []
        self.leads: list[int] = []

    @property
    def rank(self) -> int:
        """The number of independent rows."""
        return len(self.rows)

    @property
    def minor(self) -> int:
        """The minor of the independent rows on the columns `leads`, in this order; 1 if there are none."""
        return self.rows[-1][self.leads[-1]] if self.rows else 1

    def add(self, row: Iterable[int]) -> bool:
        """Take one more row; return whether it is independent of those before (else nothing changes)."""
        left, last = list(row), 1
        for pivot, lead in zip(self.rows, self.leads, strict=True):
            left = eliminate(left, pivot, lead, last)
            last = pivot[lead]
        if any(left):
            self.rows.append(left)
            self.leads.append(next(column for column, value in enumerate(left) if value))
        return any(left)

    def null_vector(self) -> list[int]:
        """Return a vector on which rows of rank n - 1 vanish: `minor` in the column that is no lead."""
        vector = [0] * self.n_columns
        vector[next(column for column in range(self.n_columns) if column not in self.leads)] = self.minor
        # By Cramer's rule all entries are minors, so the division is exact.
        for row, lead in zip(reversed(self.rows), reversed(self.leads), strict=True):
            vector[lead] = -sum(a * x for a, x in zip(row, vector, strict=True)) // row[lead]
        return vector


def eliminate(row: Sequence[int], pivot: Sequence[int], lead: int, last: int) -> list[int]:
    """Return a combination of two rows that is 0 in column `lead`: a step of Bareiss.

    Parameters
    ----------
    row, pivot
        Rows after the steps before; `pivot` is not 0 in column `lead`.
    last
        The entry of the pivot before in its column, 1 at first: it divides all entries, which are minors.

    Examples
    --------
    >>> eliminate([4, 5], [2, 1], 0, 1)
    [0, 6]
    """
    p, q = pivot[lead], row[lead]
    return [(p * a - q * b) // last for a, b in zip(row, pivot, strict=True)]


def independent(vectors: Iterable[Sequence[int]], n_columns: int) -> list[int]:
    """Return the indices of the vectors that are independent of those before them: a basis of the span.

    Stops when the basis is complete.

    Examples
    --------
    >>> independent([(1, 2), (2, 4), (0, 1), (1, 1)], 2)
    [0, 2]
    """
    echelon = Echelon(n_columns)
    chosen = []
    for i, vector in enumerate(vectors):
        if echelon.rank == n_columns:
            break
        if echelon.add(vector):
            chosen.append(i)
    return chosen


def rank(vectors: Sequence[Sequence[int]]) -> int:
    """Return the rank of integer vectors, exactly.

    Examples
    --------
    >>> rank([(1, 2), (2, 4), (0, 1)])
    2
    """
    return len(independent(vectors, len(vectors[0]))) if len(vectors) else 0


def determinant(rows: Sequence[Sequence[int]]) -> int:
    """Return the determinant of a square matrix of integers.

    Examples
    --------
    >>> determinant([(0, 2), (3, 1)])
    -6
    """
    echelon = Echelon(len(rows))
    if not all(map(echelon.add, rows)):
        return 0
    is_odd = sum(a > b for a, b in combinations(echelon.leads, 2)) % 2
    return -echelon.minor if is_odd else echelon.minor


def null_vector(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return a vector on which rows of length n and rank n - 1 vanish; see `Echelon.null_vector`.

    Examples
    --------
    >>> null_vector([(1, 1, -2), (1, 0, -1)])
    [-1, -1, -1]
    """
    echelon = Echelon(len(rows[0]))
    for row in rows:
        echelon.add(row)
    return echelon.null_vector()


def solve(matrix: Sequence[Sequence[int]], right: Sequence[int]) -> list[Fraction] | None:
    """Solve a square system of linear equations over the integers; None if it is singular.

    Examples
    --------
    >>> solve([(2, 0), (1, 1)], [1, 1])
    [Fraction(1, 2), Fraction(1, 2)]
    """
    n = len(right)
    echelon = Echelon(n + 1)
    for row, value in zip(matrix, right, strict=True):
        if not echelon.add([*row, -value]) or echelon.leads[-1] == n:
            return None
    *solution, denominator = echelon.null_vector()
    return [Fraction(value, denominator) for value in solution]
