"""What regions are enumerated for: extreme values, Lipschitz constants, equality, distance to a decision boundary."""

from tropnet.verification.boundary import BoundaryPoint, distance_to_boundary
from tropnet.verification.comparison import Comparison, same_function
from tropnet.verification.extremum import Extremum
from tropnet.verification.lipschitz import LipschitzConstant, lipschitz_constant
from tropnet.verification.maximum_and_minimum import maximum, minimum
from tropnet.verification.robustness import RobustnessCurve, robustness_curve

__all__ = [
    "BoundaryPoint",
    "Comparison",
    "Extremum",
    "LipschitzConstant",
    "RobustnessCurve",
    "distance_to_boundary",
    "lipschitz_constant",
    "maximum",
    "minimum",
    "robustness_curve",
    "same_function",
]
