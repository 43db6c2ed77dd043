"""The polyhedral complex of a network: adjacency graph, linear regions, decision boundary, statistics.

Facets of activation regions meet facet to facet: across a facet lies one region, or the outside of the domain. (By
induction over the layers: a neuron is affine on both sides of a facet and continuous, so it cuts the facet from both
sides in the same set, or vanishes on it and cuts neither.) Across a facet in the hyperplane h = 0 exactly those neurons
can flip whose pre-activation vanishes on the facet. In the first layer that holds such a neuron with a row, all maps
are the same on both sides, so there they do flip; `Facets.rows` names one of these, from both sides alike: the one at
which the search separated the two. Masden (2022), "Algorithmic determination of the combinatorial structure of the
linear regions of ReLU neural networks", arXiv:2207.07696, treats the generic case, in which no other neuron flips.

Everything is decided exactly; where floating point comes first, a running error bound says what it may decide.
"""

from tropnet.polyhedral_complex.adjacency import adjacency_graph, flip_path
from tropnet.polyhedral_complex.decision_boundary import DecisionBoundary, decision_boundary
from tropnet.polyhedral_complex.linear_regions import LinearRegions, count_linear_regions, linear_regions
from tropnet.polyhedral_complex.statistics import Statistics, statistics

__all__ = [
    "DecisionBoundary",
    "LinearRegions",
    "Statistics",
    "adjacency_graph",
    "count_linear_regions",
    "decision_boundary",
    "flip_path",
    "linear_regions",
    "statistics",
]
