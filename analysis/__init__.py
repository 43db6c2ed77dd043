"""Studies: one module per published claim. Run one with ``python -m analysis.<claim>``."""
