"""Prediction through affine maps: a cache of them (Algorithm 3), and a search tree over all regions, also as C."""

from tropnet.prediction.c_source import export_c
from tropnet.prediction.cache import CachedPredictor, CacheInfo
from tropnet.prediction.control_law import export_mpc
from tropnet.prediction.predictor import CompiledPredictor, TreeSize, compile_regions

__all__ = ["CacheInfo", "CachedPredictor", "CompiledPredictor", "TreeSize", "compile_regions", "export_c", "export_mpc"]
