"""Regions found in the coordinates of a domain's affine hull, as regions of the network and the domain given."""

from __future__ import annotations

import numpy as np

from tropnet.exact.certificates import Witness
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.restriction import Restriction
from tropnet.regions.activation_region import ActivationRegion
from tropnet.regions.regions import Regions
from tropnet.regions.row_index import RowIndex

__all__ = ["lifted_region", "lifted_regions"]


def lifted_regions(net: Network, domain: Domain, restriction: Restriction | None, within: Regions) -> Regions:
    """Return regions of a restriction as those of the network and domain that it restricts; None changes nothing."""
    if restriction is None:
        return within
    points, exact = restriction.points(within.witnesses, within.rational_witnesses)
    facets = within.packed_facets
    if facets is not None:
        flags = RowIndex.of(within.network, within.domain).unpack(facets)
        facets = RowIndex.of(net, domain).pack(restriction.facets(flags))
    return Regions(
        net,
        domain,
        restriction.stripped(within.packed),
        restriction.stripped(within.packed_cuts),
        points,
        exact,
        complete=within.complete,
        undecided=tuple(prefix[restriction.n_helpers :] for prefix in within.undecided),
        stats=within.stats,
        packed_facets=facets,
    )


def lifted_region(
    net: Network, domain: Domain, restriction: Restriction | None, within: ActivationRegion
) -> ActivationRegion:
    """Return a region of `restriction` as one of the network and the domain that it restricts; None changes nothing."""
    if restriction is None:
        return within
    pattern, cuts = (np.array(bits[restriction.n_helpers :]) for bits in (within.pattern, within.cuts))
    return ActivationRegion(net, domain, pattern, cuts, restriction.point(Witness(within.certificate.homogeneous)))
