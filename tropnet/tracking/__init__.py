"""The activation regions of a network while it trains: counts, births and deaths, and numbers that stay."""

from tropnet.tracking.tracker import RegionTracker

__all__ = ["RegionTracker"]
