"""What integrals give: values with rigorous bounds or standard errors, and, on request, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import finite_array
from tropnet.arrays.rounding import EPSILON, LARGEST, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError, TropnetError
from tropnet.exact.dyadic import nearest_float, to_fractions

__all__ = ["Measured", "Moments", "ratio", "rounded"]


class Measured(NamedTuple):
    """Numbers, and how wrong they may be.

    Attributes
    ----------
    values
        float64.
    errors
        float64, of the same shape: the true values lie within these of `values`, rounding included. Of an estimate from
        random points, standard errors.
    is_proven
        Whether `errors` are bounds.
    exact
        The true values, `fractions.Fraction` in an array of the same shape, if they were asked for.
    """

    values: FloatArray
    errors: FloatArray
    is_proven: bool = True
    exact: Any = None


@dataclass(frozen=True, eq=False)
class Moments:
    """Integrals of all products of two of the inputs, the outputs and 1: what any polynomial of degree two needs.

    Attributes
    ----------
    n_inputs, n_outputs
        The numbers d of inputs and m of outputs.
    integrals
        Shape (d + m + 1, d + m + 1): entry [i, j] is the integral of z_i z_j times the density, z = (x, y, 1). The last
        entry is the mass: the volume, if there is no density.
    samples
        Of an estimate, z at points drawn from the density, float64 (n, d + m + 1); 0 where a point lies outside the
        domain or the set of outputs. Else None.

    Examples
    --------
    The mean of relu(x) on [-1, 1] is 1/4, that of its square 1/6:

    >>> from tropnet import Box, Network
    >>> from tropnet.integrals import moments
    >>> relu = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> found = moments(relu, Box(-1, 1), exact=True)
    >>> found.outputs.exact, found.squares.exact
    (array([Fraction(1, 4)], dtype=object), array([Fraction(1, 6)], dtype=object))
    """

    n_inputs: int
    n_outputs: int
    integrals: Measured
    samples: FloatArray | None = None

    @property
    def mass(self) -> Measured:
        """The integral of the density: the volume, if there is none. Shape ()."""
        values, errors, is_proven, exact = self.integrals
        return Measured(values[-1, -1], errors[-1, -1], is_proven, None if exact is None else exact[-1, -1])

    @property
    def inputs(self) -> Measured:
        """The means of the inputs, shape (d,)."""
        return self._means(np.eye(self.n_inputs, self._size)[:, :, None] * self._one)

    @property
    def outputs(self) -> Measured:
        """The means of the outputs, shape (m,)."""
        return self._means(np.eye(self.n_outputs, self._size, self.n_inputs)[:, :, None] * self._one)

    @property
    def squares(self) -> Measured:
        """The means of the squares of the outputs, shape (m,)."""
        rows = np.eye(self.n_outputs, self._size, self.n_inputs)
        return self._means(rows[:, :, None] * rows[:, None, :])

    def mean(
        self, linear: ArrayLike | None = None, quadratic: ArrayLike | None = None, constant: float = 0.0
    ) -> Measured:
        """Return the mean of a polynomial of degree two in inputs and outputs, ``z Q z + a z + c``, z = (x, y).

        Parameters
        ----------
        linear
            a, float64 of shape (d + m,); 0 if left out.
        quadratic
            Q, float64 of shape (d + m, d + m); 0 if left out.
        constant
            c.

        Returns
        -------
        Measured
            Of shape (). Means are integrals divided by the mass. Where a polynomial nearly cancels, as (y - c)^2 for
            outputs near c, the bound is that of its terms; with ``exact=True`` nothing is lost.

        Raises
        ------
        ShapeError, NonFiniteError
            A coefficient does not fit or is not finite.
        TropnetError
            The mass may be 0.

        Examples
        --------
        The mean of x y for y = relu(x), x from -1 to 1:

        >>> from tropnet import Box, Network
        >>> from tropnet.integrals import moments
        >>> relu = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
        >>> moments(relu, Box(-1, 1), exact=True).mean(quadratic=[[0, 1], [0, 0]]).exact.item()
        Fraction(1, 6)
        """
        n = self._size - 1
        form = np.zeros((n + 1, n + 1))
        for given, name, shape in (
            (linear, "linear", (n,)),
            (quadratic, "quadratic", (n, n)),
            (constant, "constant", ()),
        ):
            if given is None:
                continue
            values = finite_array(given, name)
            if values.shape != shape:
                raise ShapeError(
                    f"{name} must have shape {shape}, for {self.n_inputs} inputs and then {self.n_outputs} outputs, got"
                    f" {values.shape}."
                )
            form[(slice(n), slice(n)) if name == "quadratic" else (slice(n), n) if name == "linear" else (n, n)] = (
                values
            )
        return self._means(form[None], single=True)

    @property
    def _size(self) -> int:
        return self.n_inputs + self.n_outputs + 1

    @property
    def _one(self) -> FloatArray:
        one = np.zeros(self._size)
        one[-1] = 1.0
        return one

    def _means(self, forms: FloatArray, *, single: bool = False) -> Measured:
        """Return the means of quadratic forms (k, n, n) of z."""
        shape = () if single else (len(forms),)
        if self.samples is not None:
            inside = self.samples[self.samples[:, -1] > 0]
            values = np.einsum("kij,ni,nj->kn", forms, inside, inside)
            if not len(inside):
                raise _no_mass("no point that was drawn lies in the set: draw more")
            means = values.mean(axis=1)
            errors = np.sqrt(((values - means[:, None]) ** 2).sum(axis=1)) / len(inside)
            return Measured(means.reshape(shape), errors.reshape(shape), is_proven=False)
        values, errors, _, exact = self.integrals
        if exact is not None:
            sums = [(to_fractions(form) * exact).sum() for form in forms]
            return ratio(Measured(values, errors, True, np.array(sums, dtype=object).reshape(shape)), self.mass)
        sizes = np.abs(forms)
        terms = len(forms[0]) ** 2 + 2
        wrong = np.einsum("kij,ij->k", sizes, errors + terms * EPSILON * np.abs(values)) * (1 + terms * EPSILON)
        found = np.einsum("kij,ij->k", forms, values)
        return ratio(Measured(found.reshape(shape), wrong.reshape(shape)), self.mass)

    def __repr__(self) -> str:
        kind = "exact" if self.integrals.exact is not None else "proven" if self.integrals.is_proven else "estimated"
        return f"Moments(mass={self.mass.values:.6g} of {self.n_inputs} inputs and {self.n_outputs} outputs, {kind})"


def ratio(part: Measured, whole: Measured) -> Measured:
    """Return the ratios of integrals to one positive integral.

    Raises
    ------
    TropnetError
        That may be 0.
    """
    if part.exact is not None:
        if not whole.exact:
            raise _no_mass("it is 0")
        return rounded(part.exact / whole.exact)
    least = float(whole.values - whole.errors)
    if not least > 0:
        raise _no_mass("float64 does not tell it from 0: use exact=True")
    values = part.values / whole.values
    with np.errstate(invalid="ignore"):
        errors = (part.errors + np.abs(values) * whole.errors) / least
        errors = errors * (1 + 8 * EPSILON) + EPSILON * np.abs(values) + SMALLEST_NORMAL
    # Where something overflowed, nothing is known.
    return Measured(values, np.where(np.isnan(errors), np.inf, errors))


def rounded(exact: Any) -> Measured:
    """Return exact numbers, fractions in an array, with the float64 numbers nearest to them."""
    fractions = np.asarray(exact, dtype=object)
    values = np.array([nearest_float(x.numerator, x.denominator) for x in fractions.ravel()]).reshape(fractions.shape)
    # Beyond float64 the nearest number is not near.
    beyond = np.array([abs(x) > LARGEST for x in fractions.ravel()], dtype=np.bool_).reshape(fractions.shape)
    errors = np.where(beyond, np.inf, EPSILON * np.abs(values) + SMALLEST_NORMAL)
    return Measured(values, errors, True, fractions)


def _no_mass(reason: str) -> TropnetError:
    return TropnetError(f"a mean needs a set of positive mass; {reason}.")
