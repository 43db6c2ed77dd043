"""Is an open cell non-empty? Three backends, one contract, three-way answers that carry proofs."""

from __future__ import annotations

from importlib import import_module

from tropnet.errors import MissingExtraError
from tropnet.feasibility.contract import Answer, Backend, Cascade, Feasible, Infeasible, Undecided
from tropnet.feasibility.exact import ExactBackend
from tropnet.feasibility.tolerances import EXACTLY, Tolerances

__all__ = [
    "BACKENDS",
    "Answer",
    "Backend",
    "Cascade",
    "Feasible",
    "Infeasible",
    "Undecided",
    "deciding_backend",
    "make_backend",
]

BACKENDS = ("highs", "cvxpy", "exact")


def make_backend(name: str, dimension: int, tolerances: Tolerances) -> Backend:
    """Return the named backend; behind a floating-point one stands the exact one.

    Parameters
    ----------
    name
        ``"highs"``, ``"cvxpy"`` or ``"exact"``.

    Raises
    ------
    ValueError
        Another name.
    MissingExtraError
        ``"cvxpy"`` without the extra.
    """
    exact = ExactBackend(dimension, tolerances)
    match name:
        case "highs":
            from tropnet.feasibility.highs import HighsBackend

            return Cascade(HighsBackend(dimension, tolerances), exact)
        case "cvxpy":
            try:
                convex = import_module("tropnet.feasibility.convex")
            except ImportError as error:
                raise MissingExtraError.of("backend 'cvxpy'", "cvxpy") from error
            return Cascade(convex.CvxpyBackend(dimension, tolerances), exact)
        case "exact":
            return exact
        case _:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}.")


def deciding_backend(dimension: int, name: str = "highs") -> Backend:
    """Return a backend that decides everything: what floating point leaves open exact arithmetic settles, at any cost.

    Parameters and errors as for `make_backend`.
    """
    return make_backend(name, dimension, EXACTLY)
