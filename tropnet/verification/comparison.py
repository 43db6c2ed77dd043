"""Whether two networks are the same function, and where they differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.enumeration import enumerate_regions
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network
from tropnet.network.restriction import within_hull
from tropnet.network.side_by_side import side_by_side
from tropnet.regions import Regions
from tropnet.verification.extremum import Extremum, lifted_extremum, over_regions
from tropnet.verification.objective import Candidates, candidates

__all__ = ["Comparison", "same_function"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Whether two networks are the same function on a domain; truthy iff they are.

    Attributes
    ----------
    difference
        The largest absolute difference of an output: 0.0 iff the networks are equal, may be infinite.
    output
        The output that differs most; None if the networks are equal.
    extremum
        Where, with exact value and point (see `Extremum`); None if the networks are equal. The pattern is that of the
        first network followed by that of the second.
    """

    difference: float
    output: int | None = None
    extremum: Extremum | None = None

    @property
    def equal(self) -> bool:
        """Whether the networks are equal on the whole domain, exactly."""
        return self.extremum is None

    def __repr__(self) -> str:
        if self.extremum is None:
            return "Comparison(equal)"
        return f"Comparison(difference={self.difference!r}, output={self.output}, at {self.extremum.point.tolist()})"

    def __bool__(self) -> bool:
        return self.equal


def same_function(
    net_a: Network, net_b: Network, domain: Domain | None = None, *, progress: bool = False
) -> Comparison:
    """Decide whether two networks are the same function on a domain, or find where they differ most.

    Both are put into one network, whose outputs are those of the first and then those of the second. They are equal
    iff on each of its regions the two affine maps are, which is decided over the integers.

    Parameters
    ----------
    net_a, net_b
        Networks with as many inputs and outputs as each other; their depths and widths may differ.
    domain
        None (all of R^d), `Box` or `Polytope`.
    progress
        Show a progress bar on standard error; a search that will take hours says so.

    Returns
    -------
    Comparison
        Exact for the stored float64 networks: networks that differ by rounding differ.

    Raises
    ------
    ShapeError
        The networks have different numbers of inputs or outputs.
    DomainError
        The domain is empty or of the wrong dimension.

    Notes
    -----
    The regions of the joint network are searched as by `maximum` for the largest difference, and those that may hold it
    solved exactly. Where the networks are equal, that is all regions, each of which costs an exact map.

    Examples
    --------
    ``max(0, x) + max(0, -x)`` is ``|x|``:

    >>> from tropnet.network.domain import Box
    >>> two = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> one = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=(-1, 1))
    >>> bool(same_function(two, one))
    True
    >>> relu = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> same_function(one, relu).difference, same_function(one, relu, Box(-3, 5)).extremum.point
    (inf, array([-3.]))
    """
    joint = side_by_side(net_a, net_b)
    n_outputs = joint.n_outputs // 2
    within, inside, restriction = within_hull(joint, as_domain(domain, joint.n_inputs))
    eye = np.eye(n_outputs)
    forms = [sign * np.concatenate([eye[i], -eye[i]]) for i in range(n_outputs) for sign in (1.0, -1.0)]
    # The largest difference is at least 0.
    found, least = candidates(within, inside, forms, 0.0, progress=progress)
    if found is None:
        regions = enumerate_regions(within, inside, progress=progress)
        found = Candidates(regions, np.full(len(regions), np.inf))
    if least == 0:
        found = found.only(_differ(found.regions))
    if not len(found.regions):
        return Comparison(0.0)
    which, extremum = over_regions(found.regions, forms, found.upper)
    extremum = lifted_extremum(restriction, extremum)
    return Comparison(extremum.value, which // 2, extremum)


def _differ(regions: Regions) -> BoolArray:
    """Return on which regions the two halves of the outputs are not equal, exactly."""
    net = regions.network
    half = net.n_outputs // 2
    maps = (net.integer_maps(pattern)[-1] for pattern in regions.patterns)
    return np.array([bool((rows[:half] != rows[half:]).any()) for rows in maps], dtype=np.bool_)
