"""The parts, in the order of what they settle, each with the minutes it may take before the next one begins."""

from __future__ import annotations

from dataclasses import dataclass

# The minutes of a whole run that those of the parts are made for; others scale them.
MINUTES = 12.0


@dataclass(frozen=True)
class Part:
    """A command of a study.

    Attributes
    ----------
    name
        What it settles.
    module
        In `analysis`.
    minutes
        After so many the next part begins; what is left of the time goes to those that are not done, in their order.
    arguments
        Beside the folder and the device.
    workers
        Whether it takes the number of processes that share the GPU.
    mixed_precision
        Whether it trains in mixed precision where that was shown to change nothing.
    summarised
        Whether, stopped, it can report on what it has done so far (--summarise).
    """

    name: str
    module: str
    minutes: float
    arguments: tuple[str, ...] = ()
    workers: bool = False
    mixed_precision: bool = False
    summarised: bool = False


_REMOVAL = ("--rounds", "101", "--batches", "8", "--go-on")
PARTS = (
    Part(
        "AR section 5.2: prediction times before and after collapse",
        "linear_collapse",
        1.5,
        ("--epochs", "1", "--resnet-epochs", "1", "--time-on", "{device}"),
        summarised=True,
    ),
    Part("AR section 5.3: removal of skips, eager", "skip_removal_speed", 1.0, ("--mode", "eager", *_REMOVAL)),
    Part("mixed precision against float32", "gpu_studies.precision", 1.25, workers=True),
    Part(
        "AR Fig. 3: skips that vanish, five trials",
        "static_vs_scheduled",
        4.5,
        workers=True,
        mixed_precision=True,
        summarised=True,
    ),
    Part(
        "AR Fig. 2: strengths of skips",
        "skip_strength_sweep",
        1.75,
        workers=True,
        mixed_precision=True,
        summarised=True,
    ),
    Part(
        "AR Fig. 1: linear networks, ten epochs",
        "linear_collapse",
        1.5,
        ("--epochs", "10", "--time-on", "{device}"),
        summarised=True,
    ),
    Part(
        "AR section 5.3: removal of skips, compiled",
        "skip_removal_speed",
        0.5,
        ("--mode", "eager", "--mode", "compiled", *_REMOVAL),
    ),
)


def arguments(
    part: Part, *, out: str, device: str, workers: int, mixed_precision: str | None, quick: bool
) -> list[str]:
    """Return the arguments of a part's command.

    Examples
    --------
    >>> arguments(PARTS[1], out="work", device="cpu", workers=2, mixed_precision=None, quick=True)
    ['--out', 'work', '--device', 'cpu', '--mode', 'eager', '--rounds', '101', '--batches', '8', '--go-on', '--quick']
    """
    found = ["--out", out, "--device", device, *(argument.format(device=device) for argument in part.arguments)]
    if part.workers:
        found += ["--workers", str(workers)]
    if part.mixed_precision and mixed_precision is not None:
        found += ["--mixed-precision", mixed_precision]
    return [*found, "--quick"] if quick else found
