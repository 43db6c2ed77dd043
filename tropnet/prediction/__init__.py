"""Prediction through affine maps: a cache of them (Algorithm 3), and a search tree over all regions."""

from tropnet.prediction.cache import CachedPredictor, CacheInfo
from tropnet.prediction.predictor import CompiledPredictor, TreeSize, compile_regions

__all__ = ["CacheInfo", "CachedPredictor", "CompiledPredictor", "TreeSize", "compile_regions"]
