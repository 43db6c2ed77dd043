"""Drawings (extra ``tropnet[plot]``)."""
