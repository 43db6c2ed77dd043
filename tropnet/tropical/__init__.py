"""Small networks in tropical form: the recurrences of the first paper, and polynomials whose difference they are."""

from tropnet.tropical.polynomials import TropicalPolynomial, TropicalRational, tropical_rational
from tropnet.tropical.recurrences import LayerTerms, tropical_recurrences

__all__ = ["LayerTerms", "TropicalPolynomial", "TropicalRational", "tropical_rational", "tropical_recurrences"]
