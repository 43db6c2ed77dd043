"""Arithmetic that never rounds: integers and rationals, linear algebra and programs over them, certificates."""
