"""Piecewise-linear networks: layers, forward and composed maps, domains, bounds on what they can do."""

from tropnet.network.affine import AffineMap
from tropnet.network.domain import Box, Domain, Polytope, WholeSpace
from tropnet.network.layers import Layer
from tropnet.network.network import Network, load

__all__ = ["AffineMap", "Box", "Domain", "Layer", "Network", "Polytope", "WholeSpace", "load"]
