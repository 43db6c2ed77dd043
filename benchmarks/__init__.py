"""Measurements: tropnet's engines, other programs, and plain loops that fix the scale of the machine."""
