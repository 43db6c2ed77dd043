"""Skip connections that vanish while a PyTorch network trains, and taking them out of it (extra ``tropnet[torch]``)."""

try:
    import torch as _torch  # noqa: F401 (only whether it is there)
except ImportError as error:
    from tropnet.errors import MissingExtraError

    raise MissingExtraError.of("tropnet.homotopy", "torch") from error

from tropnet.homotopy.models import (
    ActivationSlope,
    LinearActivationSlope,
    PlainChain,
    PlainSkip,
    Skips,
    WeightedChain,
    WeightedSkip,
    activation_slopes,
    resnet18,
    resnet34,
    set_skip_strength,
    skip_cnn,
)
from tropnet.homotopy.removal import remove_skips
from tropnet.homotopy.schedules import (
    PUBLISHED_SCHEDULES,
    CosineSkipStrength,
    LinearSkipStrength,
    ListSkipStrength,
    MetricSkipStrengthScheduler,
    ReduceSkipStrengthOnPlateau,
    SkipStrengthScheduler,
    ThresholdSkipStrength,
)
from tropnet.homotopy.training import StackedTrials, Trainer, accuracy

__all__ = [
    "PUBLISHED_SCHEDULES",
    "ActivationSlope",
    "CosineSkipStrength",
    "LinearActivationSlope",
    "LinearSkipStrength",
    "ListSkipStrength",
    "MetricSkipStrengthScheduler",
    "PlainChain",
    "PlainSkip",
    "ReduceSkipStrengthOnPlateau",
    "SkipStrengthScheduler",
    "Skips",
    "StackedTrials",
    "ThresholdSkipStrength",
    "Trainer",
    "WeightedChain",
    "WeightedSkip",
    "accuracy",
    "activation_slopes",
    "remove_skips",
    "resnet18",
    "resnet34",
    "set_skip_strength",
    "skip_cnn",
]
