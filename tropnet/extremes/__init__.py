"""What regions are enumerated for: extreme values, Lipschitz constants, equality, distance to a decision boundary."""

from tropnet.extremes.boundary import BoundaryPoint, distance_to_boundary
from tropnet.extremes.comparison import Comparison, same_function
from tropnet.extremes.extremum import Extremum
from tropnet.extremes.lipschitz import LipschitzConstant, lipschitz_constant
from tropnet.extremes.optimum import maximum, minimum

__all__ = [
    "BoundaryPoint",
    "Comparison",
    "Extremum",
    "LipschitzConstant",
    "distance_to_boundary",
    "lipschitz_constant",
    "maximum",
    "minimum",
    "same_function",
]
