"""Activation regions: one (`ActivationRegion`), many (`Regions`, columnar), in a directory (`Run`). No search here."""

from tropnet.regions.activation_region import ActivationRegion
from tropnet.regions.arrays import Balls, Facets, Halfspaces, Vertices, VolumeEstimates
from tropnet.regions.regions import Regions
from tropnet.regions.runs.run import Run

__all__ = ["ActivationRegion", "Balls", "Facets", "Halfspaces", "Regions", "Run", "Vertices", "VolumeEstimates"]
