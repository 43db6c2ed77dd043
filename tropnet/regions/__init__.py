"""Activation regions: one (`ActivationRegion`) and many (`Regions`, columnar). No search happens here."""

from tropnet.regions.activation_region import ActivationRegion
from tropnet.regions.arrays import Balls, Facets, Halfspaces, Vertices, VolumeEstimates
from tropnet.regions.regions import Regions

__all__ = ["ActivationRegion", "Balls", "Facets", "Halfspaces", "Regions", "Vertices", "VolumeEstimates"]
