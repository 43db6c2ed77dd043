"""The maximum and minimum of an output over a domain."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from numpy.typing import ArrayLike

from tropnet.enumeration import enumerate_regions
from tropnet.enumeration.promising import MAX_DIMENSION
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.restriction import within_hull
from tropnet.verification.branch_and_bound import bounding_box, branch_and_bound
from tropnet.verification.extremum import Extremum, lifted_extremum, output_form, over_regions
from tropnet.verification.objective import largest_value

__all__ = ["maximum", "minimum"]

_METHODS = ("auto", "search", "enumerate", "branch")
# Beyond what can be searched: up to here enumeration takes about a second, less than branch and bound.
_FEW_REGIONS, _FEW_INPUTS = 2_000, 10


def maximum(
    net: Network,
    domain: Domain | None = None,
    form: int | ArrayLike | None = None,
    *,
    method: str = "auto",
    tolerance: float = 0.0,
    progress: bool = False,
) -> Extremum:
    """Find the exact maximum over the closed domain of an output, or of a linear form c . y of the outputs.

    Parameters
    ----------
    net
        The network y(x).
    domain
        None (all of R^d), `Box` or `Polytope`; where it is unbounded the supremum may be infinite.
    form
        The index of an output, or c, float64 of shape (n_outputs,); may be left out if there is one output.
    method
        ``"search"``: regions are searched by their vertices, cells that cannot hold more than the best so far left
        out (up to eight inputs). ``"branch"``: branch and bound on the signs of neurons by linear programs, for
        bounded domains of any dimension. ``"enumerate"``: all regions, one exact linear program each where vertices
        do not rule a region out. ``"auto"``: the search where it can; else enumeration of small networks (up to ten
        inputs and 2000 regions) and unbounded domains; else branch and bound.
    tolerance
        Let branch and bound (only) leave a subtree whose bound exceeds the best value found by at most this;
        `Extremum.gap` says how much was left.
    progress
        Show a progress bar on standard error, of regions or of the nodes of branch and bound; an enumeration
        that will take hours says so.

    Returns
    -------
    Extremum
        Value, point (a vertex of a region, or a point of a face on which the form is constant) and pattern.

    Raises
    ------
    ShapeError, NonFiniteError
        `form` does not fit the outputs.
    ValueError
        `method` or `tolerance` is none of the above, or ``"branch"`` on an unbounded domain.
    DomainError
        The domain is empty or of the wrong dimension.

    Notes
    -----
    On a region the form is affine: a primal simplex over the integers, started at the region's witness, finds the exact
    maximum over its closure. The search visits cells depth first as the vertex engine does. When a cell enters a
    layer, zonotopes bound what the later layers can make of it, and a cell whose bound, rounding included, does not
    exceed a value that is attained is left out; whether such bounds pay is measured while it runs. What is left at the
    end are the few regions whose largest value at a vertex float64 cannot tell from the maximum, each of which is
    solved exactly. Any output of the ACAS Xu networks on properties 1 to 4 takes up to four seconds, half of them less
    than one; random networks of three to six inputs 50 to 1000 times less than branch and bound.

    A node of branch and bound costs one linear program in HiGHS over the triangle relaxation
    of its open neurons; its bound is made rigorous by weighing the rows with the dual values, whatever their error,
    and bounding what is left over a box. Only regions, solved exactly, give the value. The exact programs are meant for
    up to some tens of inputs.

    References
    ----------
    Ehlers, Formal verification of piece-wise linear feed-forward neural networks, 2017,
    doi:10.1007/978-3-319-68167-2_19. Singh, Gehr, Mirman, Pueschel and Vechev, Fast and effective robustness
    certification, 2018. Neumaier and Shcherbina, Safe bounds in linear and mixed-integer linear
    programming, 2004, doi:10.1007/s10107-003-0433-3.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> net = Network.mlp([[[1.0], [-1.0]], [[-1.0, -1.0]]], [[-1.0, 1.0], [3.0]])
    >>> top = maximum(net, Box(-4, 4))
    >>> top.exact, top.point
    (Fraction(3, 1), array([1.]))
    >>> minimum(net).value, maximum(net).value
    (-inf, 3.0)
    """
    return _largest(net, domain, form, 1.0, method, tolerance, progress=progress)


def minimum(
    net: Network,
    domain: Domain | None = None,
    form: int | ArrayLike | None = None,
    *,
    method: str = "auto",
    tolerance: float = 0.0,
    progress: bool = False,
) -> Extremum:
    """Find the exact minimum over the closed domain; parameters, errors and cost as for `maximum`.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-1.0, 1.0], [3.0]])
    >>> minimum(net).exact
    Fraction(3, 1)
    """
    top = _largest(net, domain, form, -1.0, method, tolerance, progress=progress)
    return replace(top, value=0.0 - top.value, exact=None if top.exact is None else -top.exact)


def _largest(
    net: Network,
    domain: Domain | None,
    form: int | ArrayLike | None,
    sign: float,
    method: str,
    tolerance: float,
    *,
    progress: bool,
) -> Extremum:
    """Return the maximum of `sign` times the form; arguments as for `maximum`."""
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}.")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be a number of at least 0, got {tolerance!r}.")
    net = dense_network(net)
    fitted = as_domain(domain, net.n_inputs)
    c = sign * output_form(net, form)
    within, inside, restriction = within_hull(net, fitted)
    if method in ("auto", "search"):
        found = largest_value(within, inside, [c], progress=progress)
        if found is not None:
            return lifted_extremum(restriction, found[1])
        if method == "search":
            raise ValueError(
                f"method 'search' needs cells with vertices and at most {MAX_DIMENSION} inputs, got {fitted};"
                " use 'auto'."
            )
    bounds = None if method == "enumerate" else bounding_box(inside)
    if method == "auto" and bounds is not None and within.n_inputs <= _FEW_INPUTS:
        regions = enumerate_regions(within, inside, max_regions=_FEW_REGIONS)
        if regions.complete:
            return lifted_extremum(restriction, over_regions(regions, [c])[1])
    if bounds is not None:
        allowed = Fraction(tolerance) * (1 if restriction is None else restriction.scale)
        return lifted_extremum(restriction, branch_and_bound(within, inside, c, bounds, allowed, progress=progress))
    if method == "branch":
        raise ValueError(f"method 'branch' needs a bounded domain, got {fitted}; use 'enumerate'.")
    return lifted_extremum(restriction, over_regions(enumerate_regions(within, inside, progress=progress), [c])[1])
