"""Piecewise-linear networks: layers, forward and composed maps, domains, bounds on what they can do."""

from typing import Any

from tropnet.moved import moved_name
from tropnet.network.affine import AffineMap
from tropnet.network.domain import Box, Domain, Polytope, WholeSpace
from tropnet.network.layers import Layer
from tropnet.network.network import Network

__all__ = ["AffineMap", "Box", "Domain", "Layer", "Network", "Polytope", "WholeSpace"]


def __getattr__(name: str) -> Any:
    """Find what moved from here."""
    return moved_name(__name__, name)
