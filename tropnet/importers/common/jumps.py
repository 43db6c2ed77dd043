"""Comparisons, signs and what is computed from them, until it is continuous again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.importers.common.expression import Expression, combined, constant
from tropnet.importers.common.lowering import Lowering, RefusedError
from tropnet.network.affine import Matrix
from tropnet.operators.operator import Shape, sparse_identity

__all__ = ["Jump", "arithmetic", "chosen", "computed", "positive"]

# Rounding in which two computations of one affine map may differ.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Jump:
    """A tensor that jumps: base + factor where a difference is positive, and base elsewhere.

    What it is where the difference is zero does not matter, as only continuous functions are read.

    Attributes
    ----------
    base, factor, difference
        Of equal shapes; a comparison has base 0 and factor 1.
    """

    base: Expression
    factor: Expression
    difference: Expression

    @property
    def shape(self) -> Shape:
        """The shape of the tensor."""
        return self.base.shape


def arithmetic(kind: str, left: Any, right: Any) -> Expression:
    """Return a sum, difference, product or quotient of tensors that broadcast; at least one is an expression."""
    shape = np.broadcast_shapes(*(np.shape(part) if _is_array(part) else part.shape for part in (left, right)))
    both = [np.broadcast_to(part, shape) if _is_array(part) else part for part in (left, right)]
    found = combined(kind, both[0], both[1], shape)
    if found is None:
        raise RefusedError("multiplies values that both depend on the input, or divides by such a value or by zero")
    return found


def _is_array(part: Any) -> bool:
    return not isinstance(part, Expression)


def positive(difference: Expression, base: float = 0.0, factor: float = 1.0) -> Jump:
    """Return base + factor where a difference is positive, and base elsewhere."""
    shape = difference.shape
    return Jump(constant(np.full(shape, base)), constant(np.full(shape, factor)), difference)


def computed(kind: str, to: Lowering, left: Any, right: Any) -> Expression | Jump:
    """Return a sum, difference, product or quotient ("add", "sub", "mul", "div") where one of the two may jump."""
    first = isinstance(left, Jump)
    if first and isinstance(right, Jump):
        raise RefusedError("computes with two values that jump")
    if not first and not isinstance(right, Jump):
        return arithmetic(kind, left, right)
    jump, other = (left, right) if first else (right, left)
    match kind:
        case "mul":
            return _times(to, jump, other)
        case "add":
            return _shifted(to, jump, other, 1.0)
        case "sub":
            return _shifted(to, jump, other, -1.0 if first else 1.0, of_jump=1.0 if first else -1.0)
        case _:
            if not first or isinstance(other, Expression) or not np.all(other):
                raise RefusedError("divides by a value that depends on the input, or by zero")
            return _times(to, jump, 1.0 / np.asarray(other))


def _times(to: Lowering, jump: Jump, other: Any) -> Expression | Jump:
    """Return the product with a tensor or a constant."""
    if isinstance(other, Expression) and (jump.base.terms or jump.factor.terms):
        raise RefusedError("multiplies values that both depend on the input")
    parts = [
        arithmetic("mul", part.constants.reshape(part.shape) if isinstance(other, Expression) else part, other)
        for part in (jump.base, jump.factor)
    ]
    return _settled(to, parts[0], parts[1], jump.difference)


def _shifted(to: Lowering, jump: Jump, other: Any, sign: float, *, of_jump: float = 1.0) -> Expression | Jump:
    """Return of_jump * jump + sign * other, for a tensor or a constant."""
    added = other.scaled(sign) if isinstance(other, Expression) else np.asarray(other) * sign
    base = arithmetic("add", jump.base.scaled(of_jump), added)
    return _settled(to, base, jump.factor.scaled(of_jump), jump.difference)


def chosen(to: Lowering, where: Jump, left: Any, right: Any) -> Expression | Jump:
    """Return left where a comparison holds and right elsewhere."""
    if isinstance(right, Jump):
        raise RefusedError("chooses a value that jumps itself")
    shape = np.broadcast_shapes(where.shape, *(getattr(part, "shape", ()) for part in (left, right)))
    other = _whole(right, shape)
    if isinstance(left, Jump):
        return _two_sided(to, where, left, other, shape)
    gain = _whole(left, shape).plus(other, -1.0)
    factors = [part.broadcast_to(shape).constants.reshape(shape) for part in (where.base, where.factor)]
    base = other.plus(gain.scaled(factors[0]))
    return _settled(to, base, gain.scaled(factors[1]), where.difference)


def _settled(to: Lowering, base: Expression, factor: Expression, difference: Expression) -> Expression | Jump:
    """Return base + factor [difference > 0], which is continuous iff factor is a multiple of the difference.

    Then it is base + multiple relu(difference).
    """
    shape = np.broadcast_shapes(base.shape, difference.shape)
    base, factor, difference = (part.broadcast_to(shape) for part in (base, factor, difference))
    found = _multiples(factor, difference, base)
    if found is None:
        return Jump(base, factor, difference)
    return base.plus(to.activation(difference).scaled(found.reshape(shape)))


def _multiples(left: Expression, right: Expression, beside: Expression) -> FloatArray | None:
    """Return factors with left = factors * right, up to the rounding of `beside`, None if there are none."""
    widths = {k: _matrix(m, x.size).shape[1] for x in (left, right, beside) for k, m in x.terms.items()}
    rows, others = _rows(left, widths), _rows(right, widths)
    largest, each = np.asarray(abs(others).argmax(axis=1)).ravel(), np.arange(left.size)
    divisors = np.asarray(others[each, largest]).ravel()
    quotients = np.asarray(rows[each, largest]).ravel()
    factors: FloatArray = np.divide(quotients, divisors, out=np.zeros(left.size), where=divisors != 0)
    left_over = _largest(rows - sparse.csr_array(sparse.diags_array(factors) @ others))
    sizes = _largest(rows) + _largest(_rows(beside, widths))
    return None if (left_over > _ROUNDING * sizes).any() else factors


def _two_sided(to: Lowering, where: Jump, left: Jump, right: Expression, shape: Shape) -> Expression:
    """Return left where a comparison of |x| holds and right elsewhere, for a left that jumps at x = 0.

    As x - t sign(x) where |x| > t, and 0 elsewhere. It is read if the comparison fails around x = 0 and the two are
    equal where it starts to hold, on either side.
    """
    if where.base.constants.any() or (where.factor.constants != 1).any():
        raise RefusedError("chooses a value that jumps itself")
    x, limit = (part.broadcast_to(shape) for part in (left.difference, where.difference))
    below = _whole(left.base, shape).plus(right, -1.0)
    above = below.plus(_whole(left.factor, shape))
    result = right
    for gain, sign in ((above, 1.0), (below, -1.0)):
        reached = _unfolded(to, limit, x, sign)
        slopes = None if reached is None else _multiples(_linear_part(reached), _linear_part(x), x)
        if reached is None or slopes is None or (sign * slopes <= 0).any():
            raise RefusedError("chooses a value that jumps itself")
        # limit = slope x - rest on this side, so that it fails up to x = 0 if the rest is not negative.
        rest = slopes * x.constants - reached.constants
        multiples = _multiples(gain, reached, right.plus(gain))
        if (rest < 0).any() or multiples is None:
            raise RefusedError("chooses a value that jumps itself")
        result = result.plus(to.activation(reached).scaled(multiples.reshape(shape)))
    return result


def _unfolded(to: Lowering, value: Expression, x: Expression, sign: float) -> Expression | None:
    """Return what a value that depends on |x| only is where x has a sign, None if it depends on anything else."""
    found = constant(value.constants.reshape(value.shape))
    for k, matrix in value.terms.items():
        unit = to.units[k - 1] if k else None
        if unit is None or unit.value.size != x.size or (unit.slopes != (-1.0, 1.0)).any():
            return None
        if _multiples(unit.value.reshaped(x.shape), x, x) is None:
            return None
        image = Expression(x.shape, unit.value.terms, unit.value.bias)
        weight = _matrix(matrix, x.size)
        found = found.plus(image.mapped(weight, None, value.shape).scaled(sign))
    return found


# --- rows


def _linear_part(x: Expression) -> Expression:
    return Expression(x.shape, x.terms)


def _whole(part: Any, shape: Shape) -> Expression:
    return (part if isinstance(part, Expression) else constant(part)).broadcast_to(shape)


def _rows(x: Expression, widths: Mapping[int, int]) -> sparse.csr_array:
    """Return the coefficients of each entry in those of some units, and its constant."""
    blocks = [
        sparse.csr_array(_matrix(x.terms[k], x.size)) if k in x.terms else sparse.csr_array((x.size, width))
        for k, width in widths.items()
    ]
    return sparse.csr_array(sparse.hstack([*blocks, sparse.csr_array(x.constants[:, None])], format="csr"))


def _matrix(matrix: Matrix | None, size: int) -> Matrix:
    return sparse_identity(size) if matrix is None else matrix


def _largest(rows: sparse.csr_array) -> FloatArray:
    return np.asarray(abs(rows).max(axis=1).todense()).ravel()
