"""Studies: one package per published claim. Run one with ``python -m analysis.<study>``."""
