"""Slow, exact oracles for activation patterns, derived from the definitions alone.

Nothing here imports the library under test, so a mistake in it cannot hide here. Three
mechanisms answer the same question: Fourier-Motzkin elimination over all bit vectors
(`brute_force`), polygon clipping (`planar`) and counting by deletion-restriction (`zaslavsky`).
"""
