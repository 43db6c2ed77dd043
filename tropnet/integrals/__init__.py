"""Integrals over a domain: moments of inputs and outputs, and shares of classes and of sets of outputs."""

from tropnet.integrals.calls import moments, shares
from tropnet.integrals.results import Measured, Moments

__all__ = ["Measured", "Moments", "moments", "shares"]
