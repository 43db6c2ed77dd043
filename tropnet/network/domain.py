"""Input domains: a box, a polytope (bounded or not), or all of R^d."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_count, as_points, real_array
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import DomainError, ShapeError
from tropnet.exact.dyadic import float_parts, nearest_float, to_integers
from tropnet.network.frozen import Frozen

__all__ = ["Box", "Domain", "Polytope", "RationalPolytope", "WholeSpace", "as_domain", "domain_from"]

# Boxes of more inputs are written by one number a side, if one will do.
_MANY = 4


class Domain(Frozen, ABC):
    """A closed convex set {x : A x <= b}. Final subclasses say how it was given.

    It may be of lower dimension, such as a box with low = high in some coordinates: what is asked about it is then
    meant within its affine hull (see `enumerate_regions`). An empty one is an error, at the latest where it is used.
    """

    is_exact: ClassVar[bool] = True
    """Whether `halfspaces` are the domain; else they are the float64 rows nearest to `integer_rows`, which are."""

    @property
    @abstractmethod
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """`A` (m, d) and `b` (m,), float64, finite, no zero row."""

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The number of each row of `halfspaces` as the caller counts: zero rows and open sides are left out there."""
        return np.arange(len(self.halfspaces[1]))

    @property
    def dimension(self) -> int:
        """The dimension d of the space."""
        return int(self.halfspaces[0].shape[1])

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Plain JSON values from which `domain_from` makes the domain again."""

    @cached_property
    def integer_rows(self) -> IntegerArray:
        """The interior as integer rows (a | c), each meaning a x + c > 0, shape (m, d + 1); exact."""
        A, b = self.halfspaces
        return to_integers(np.column_stack([-A, b]))[0]

    def contains(self, x: ArrayLike) -> Any:
        """Return whether one point (d,) or each of many (n, d) satisfies A x <= b in float64."""
        A, b = self.halfspaces
        points, single = as_points(x, self.dimension)
        inside = np.all(points @ A.T <= b, axis=-1)
        return inside[0] if single else inside


class WholeSpace(Domain):
    """All of R^d, which is what `domain=None` means: no box, however large, stands in for it.

    Raises
    ------
    ValueError
        The dimension is no integer of at least 1.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = as_count(dimension, "dimension")

    @property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """No rows."""
        return np.empty((0, self._dimension)), np.empty(0)

    @property
    def description(self) -> dict[str, Any]:
        """The dimension."""
        return {"kind": "whole space", "dimension": self._dimension}

    def __repr__(self) -> str:
        return f"R^{self._dimension}"


class Box(Domain):
    """The box low <= x <= high.

    Parameters
    ----------
    low, high
        One number, or one per input; infinite sides are open. A number serves all inputs of the network the box
        is used with, so `Box(-1, 1)` fits every network. Where low = high, the input is fixed, and the box is one of
        lower dimension.

    Raises
    ------
    DomainError
        low <= high fails somewhere (the box is empty), a side is NaN, or low = high is infinite.

    Examples
    --------
    >>> Box(-1, [1.0, 2.0]).contains([0.0, 1.5])
    np.True_
    """

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        lows, highs = real_array(low, "low"), real_array(high, "high")
        for name, side in (("low", lows), ("high", highs)):
            if np.isnan(side).any():
                raise DomainError(f"{name} of a box must be numbers, got NaN in {side.tolist()}.")
        if lows.ndim > 1 or highs.ndim > 1:
            raise ShapeError(f"low and high must be numbers or have shape (d,), got {lows.shape} and {highs.shape}.")
        try:
            shape = np.broadcast_shapes(lows.shape, highs.shape)
        except ValueError as error:
            raise ShapeError(f"low and high must have the same length, got {lows.shape} and {highs.shape}.") from error
        self.low, self.high = _frozen(np.broadcast_to(lows, shape)), _frozen(np.broadcast_to(highs, shape))
        bad = np.flatnonzero((self.low > self.high) | (self.low == np.inf) | (self.high == -np.inf))
        if len(bad):
            i = bad[0]
            raise DomainError(
                "a box needs low <= high, finite where they are equal, in every coordinate, got"
                f" [{np.atleast_1d(self.low)[i]}, {np.atleast_1d(self.high)[i]}] in coordinate {i}: it is empty."
            )
        self.is_flat = bool((self.low == self.high).any())
        """Whether low = high somewhere."""

    def expanded(self, dimension: int) -> Box:
        """Return the box with one entry per input."""
        if self.low.ndim:
            return self
        return _cube(self.low.tobytes(), self.high.tobytes(), dimension)

    def contains(self, x: ArrayLike) -> Any:
        """Return whether one point (d,) or each of many (n, d) lies between `low` and `high`."""
        given = np.shape(x)[-1] if np.ndim(x) else 0
        points, single = as_points(x, self.low.size if self.low.ndim else given)
        inside = np.all((self.low <= points) & (points <= self.high), axis=-1)
        return inside[0] if single else inside

    @cached_property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """-x_i <= -low_i and x_i <= high_i for the finite sides, coordinate by coordinate."""
        low, high = np.atleast_1d(self.low), np.atleast_1d(self.high)
        eye = np.eye(len(low))
        A = np.stack([-eye, eye], axis=1).reshape(-1, len(low))
        b = np.stack([-low, high], axis=1).reshape(-1)
        keep = np.isfinite(b)
        return A[keep], b[keep]

    @cached_property
    def row_numbers(self) -> NDArray[np.int64]:
        """Side 2 i is x_i >= low_i, side 2 i + 1 is x_i <= high_i."""
        return np.flatnonzero(np.isfinite(np.stack([np.atleast_1d(self.low), np.atleast_1d(self.high)], axis=1)))

    @property
    def description(self) -> dict[str, Any]:
        """`low` and `high`."""
        return {"kind": "box", "low": self.low.tolist(), "high": self.high.tolist()}

    def __repr__(self) -> str:
        sides = self.low.tolist(), self.high.tolist()
        if self.low.size > _MANY and all(len(set(side)) == 1 for side in sides):
            return f"Box({sides[0][0]}, {sides[1][0]}) in R^{self.low.size}"
        return f"Box({sides[0]}, {sides[1]})"


@lru_cache(maxsize=256)
def _cube(low: bytes, high: bytes, dimension: int) -> Box:
    """Return the box with the same sides, float64 numbers, for every input; what follows from it is computed once."""
    return Box(*(np.full(dimension, np.frombuffer(side)) for side in (low, high)))


class Polytope(Domain):
    """The polyhedron {x : A x <= b}; it may be unbounded.

    Parameters
    ----------
    A, b
        float64, shapes (m, d) and (m,): one row is one inequality a @ x <= b. Rows with b = inf are dropped.

    Raises
    ------
    ShapeError
        The shapes do not pair up.
    DomainError
        An entry is NaN or infinite, or a zero row makes the set empty.

    Notes
    -----
    Whether it is empty, or of lower dimension as by a row and its negative, is decided exactly where it is used.

    Examples
    --------
    >>> Polytope([[1, 1]], [1]).contains([[0.0, 0.0], [1.0, 1.0]])
    array([ True, False])
    """

    def __init__(self, A: ArrayLike, b: ArrayLike) -> None:
        rows, sides = real_array(A, "A"), real_array(b, "b")
        if rows.ndim != 2 or sides.shape != rows.shape[:1]:
            raise ShapeError(
                f"A and b must have shapes (m, d) and (m,), got {rows.shape} and {sides.shape}. Each row is one"
                " inequality a @ x <= b"
                + ("; did you pass the transpose?" if rows.ndim > 1 and sides.shape == rows.shape[1:] else ".")
            )
        if not np.isfinite(rows).all() or np.isnan(sides).any() or np.isneginf(sides).any():
            bad = ~np.isfinite(rows).all(axis=1) | np.isnan(sides) | np.isneginf(sides)
            row = int(np.flatnonzero(bad)[0])
            raise DomainError(
                "A and b must be finite (b may be +inf for no bound),"
                f" got A[{row}] = {rows[row].tolist()}, b[{row}] = {sides[row]}."
            )
        zero = ~rows.any(axis=1)
        if (sides[zero] < 0).any():
            row = int(np.flatnonzero(zero & (sides < 0))[0])
            raise DomainError(f"row {row} reads 0 <= {sides[row]}: the domain is empty.")
        keep = ~zero & np.isfinite(sides)
        self._row_numbers = np.flatnonzero(keep)
        self.A, self.b = _frozen(rows[keep]), _frozen(sides[keep])

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The rows of the `A` and `b` given."""
        return self._row_numbers

    @property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """`A` and `b` as given, without zero rows and rows with an infinite bound."""
        return self.A, self.b

    @property
    def description(self) -> dict[str, Any]:
        """The dimension, `A`, `b` and, where rows given were left out, the numbers of those that are there."""
        kept = self.row_numbers.tolist()
        rows = {} if kept == list(range(len(kept))) else {"rows": kept}
        return {"kind": "polytope", "dimension": self.dimension, "A": self.A.tolist(), "b": self.b.tolist(), **rows}

    def __repr__(self) -> str:
        return f"Polytope({self.A.tolist()}, {self.b.tolist()})"


class RationalPolytope(Domain):
    """The polyhedron of integer rows (a | c), each meaning a x + c >= 0, that need not be float64 numbers.

    Such are the sides of a polytope of lower dimension in the coordinates of its affine hull. Compiled engines, which
    read `halfspaces`, take them as neurons (`NeuronSides`).

    Parameters
    ----------
    rows
        Integers, shape (m, d + 1), no row with a = 0.
    """

    is_exact = False

    def __init__(self, rows: IntegerArray) -> None:
        self._rows = rows

    @cached_property
    def integer_rows(self) -> IntegerArray:
        """The rows given."""
        return self._rows

    @cached_property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """The nearest float64 rows, each divided by a power of two."""
        rows = [
            [nearest_float(value, 1 << exponent) for value in row]
            for row, exponent in zip(self._rows.tolist(), self.exponents, strict=True)
        ]
        values = np.array(rows, dtype=np.float64).reshape(self._rows.shape)
        return _frozen(-values[:, :-1]), _frozen(values[:, -1])

    @cached_property
    def parts(self) -> list[list[FloatArray] | None]:
        """Float64 rows (a | c) that add up to each of the rows, divided as those; None where there are none."""
        return [float_parts(row, exponent) for row, exponent in zip(self._rows, self.exponents, strict=True)]

    @property
    def exponents(self) -> list[int]:
        """The powers of two by which rows are divided in `halfspaces`, so that coefficients are below 1."""
        return [max(abs(value) for value in row[:-1]).bit_length() for row in self._rows.tolist()]

    @property
    def dimension(self) -> int:
        """The dimension d of the space."""
        return int(self._rows.shape[1]) - 1

    @property
    def description(self) -> dict[str, Any]:
        """The rows, as text since they may be long."""
        return {"kind": "rational polytope", "rows": [[str(value) for value in row] for row in self._rows.tolist()]}

    def __repr__(self) -> str:
        A, b = self.halfspaces
        return f"RationalPolytope(A ~ {A.tolist()}, b ~ {b.tolist()})"


def as_domain(domain: Domain | None, dimension: int) -> Domain:
    """Return `domain` for inputs of `dimension`; None is all of R^d.

    Raises
    ------
    DomainError
        The domain has another dimension, or is not a domain at all.
    """
    if domain is None:
        return WholeSpace(dimension)
    if not isinstance(domain, Domain):
        raise DomainError(
            f"domain must be None (all of R^d), Box(low, high) or Polytope(A, b), got {type(domain).__name__}"
            f"{'; did you mean Box(*domain)?' if isinstance(domain, tuple | list) else '.'}"
        )
    fitted = domain.expanded(dimension) if isinstance(domain, Box) else domain
    if fitted.dimension != dimension:
        raise DomainError(
            f"the domain must have the network's input dimension {dimension}, got {fitted.dimension}: {domain}."
        )
    return fitted


def domain_from(description: Mapping[str, Any]) -> Domain:
    """Return the domain with this `description`.

    Raises
    ------
    DomainError
        It describes none of the kinds of domains.

    Examples
    --------
    >>> domain_from(Box(-1, 1).description)
    Box(-1.0, 1.0)
    """
    match description["kind"]:
        case "whole space":
            return WholeSpace(description["dimension"])
        case "box":
            return Box(description["low"], description["high"])
        case "polytope":
            kept, d = description.get("rows", range(len(description["b"]))), description["dimension"]
            # What was left out said nothing: zero rows without a bound keep its place.
            A, b = np.zeros((max(kept, default=-1) + 1, d)), np.full(max(kept, default=-1) + 1, np.inf)
            A[list(kept)], b[list(kept)] = np.reshape(description["A"], (-1, d)), description["b"]
            return Polytope(A, b)
        case "rational polytope":
            rows = [list(map(int, row)) for row in description["rows"]]
            return RationalPolytope(np.array(rows, dtype=object))
    raise DomainError(
        f"the kind of a domain must be whole space, box, polytope or rational polytope, got {description['kind']!r}."
    )


def _frozen(values: FloatArray) -> FloatArray:
    copy = np.array(values)
    copy.setflags(write=False)
    return copy
