"""Properties of networks, from VNN-LIB files or from Python, and whether they hold: exact verdicts."""

from tropnet.properties.formula import AllOf, AnyOf, Inequality
from tropnet.properties.monotonicity import is_monotone
from tropnet.properties.property import Property
from tropnet.properties.verdict import Counterexample, Remainder, Verdict
from tropnet.properties.verification import verify
from tropnet.properties.vnnlib import parse_vnnlib, read_vnnlib, vnnlib_text

__all__ = [
    "AllOf",
    "AnyOf",
    "Counterexample",
    "Inequality",
    "Property",
    "Remainder",
    "Verdict",
    "is_monotone",
    "parse_vnnlib",
    "read_vnnlib",
    "verify",
    "vnnlib_text",
]
