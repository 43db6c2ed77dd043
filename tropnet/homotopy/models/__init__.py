"""Networks whose skips, or whose activations, have a strength that may change while they train."""

from tropnet.homotopy.models.activations import ActivationSlope, LinearActivationSlope, activation_slopes
from tropnet.homotopy.models.architectures import Skips, resnet18, resnet34, skip_cnn
from tropnet.homotopy.models.skips import PlainChain, PlainSkip, WeightedChain, WeightedSkip, set_skip_strength

__all__ = [
    "ActivationSlope",
    "LinearActivationSlope",
    "PlainChain",
    "PlainSkip",
    "Skips",
    "WeightedChain",
    "WeightedSkip",
    "activation_slopes",
    "resnet18",
    "resnet34",
    "set_skip_strength",
    "skip_cnn",
]
