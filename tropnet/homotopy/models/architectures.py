"""The convolutional networks of the second paper's experiments, for gray images, with three forms of their skips."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import nn

from tropnet.errors import ShapeError, SkipError
from tropnet.homotopy.models.skips import PlainChain, PlainSkip, WeightedChain, WeightedSkip

__all__ = ["Skips", "resnet18", "resnet34", "skip_cnn"]

Skips = Literal["weighted", "plain", "none"]

_RESNET18 = (2, 2, 2, 2)
_RESNET34 = (3, 4, 6, 3)
_IMAGE_SIZE = 28


def resnet18(
    skips: Skips = "weighted", *, t: float = 0.5, width: int = 64, n_classes: int = 10, activation: Any = nn.ReLU
) -> Any:
    """Return ResNet18 for gray images: a 7x7 convolution, eight blocks of two 3x3 convolutions, a linear layer.

    Parameters
    ----------
    skips
        "weighted" makes the skip over each block a `WeightedSkip`, "plain" the ``out + x`` of ResNet, and "none" leaves
        it out. What `remove_skips` makes of the first has the state dict of the last.
    t
        Strength of weighted skips.
    width
        Channels of the first stage, 64 in ResNet18; they double at each of the other three.
    n_classes
        Outputs.
    activation
        What makes an activation; nn.Identity for a network without.

    Returns
    -------
    nn.Sequential
        From images (n, 1, height, width), as of 28 x 28 pixels, to logits (n, n_classes).

    Raises
    ------
    SkipError
        `skips` is another word, or `t` no number in [0, 1].

    Notes
    -----
    As printed by He et al., with 1 for 3 input channels, their initialisation (normal, by the fan out), and 1x1
    projections with a stride for the skips at the beginning of a stage. Every block has its skip, as in ResNet;
    section 5.1 of the paper describes one per stage.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016, Table 1.
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.

    Examples
    --------
    >>> network = resnet18(width=4)
    >>> sum(isinstance(module, WeightedSkip) for module in network.modules())
    8
    """
    return _resnet(_RESNET18, skips, t, width, n_classes, activation)


def resnet34(
    skips: Skips = "weighted", *, t: float = 0.5, width: int = 64, n_classes: int = 10, activation: Any = nn.ReLU
) -> Any:
    """Return ResNet34 for gray images: as `resnet18`, with 3, 4, 6 and 3 blocks in its stages.

    Parameters
    ----------
    skips, t, width, n_classes, activation
        As of `resnet18`.

    Returns
    -------
    nn.Sequential
        From images (n, 1, height, width), as of 28 x 28 pixels, to logits (n, n_classes).

    Raises
    ------
    SkipError
        `skips` is another word, or `t` no number in [0, 1].

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016, Table 1.
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.

    Examples
    --------
    >>> network = resnet34(width=4)
    >>> sum(isinstance(module, WeightedSkip) for module in network.modules())
    16
    """
    return _resnet(_RESNET34, skips, t, width, n_classes, activation)


def skip_cnn(
    n_layers: int,
    skips: Skips = "weighted",
    *,
    t: float = 0.5,
    channels: int = 8,
    padded: bool = True,
    n_classes: int = 10,
    activation: Any = nn.ReLU,
) -> Any:
    """Return a CNN of 3x3 convolutions with a skip between any two layers that do not follow each other.

    With 3 layers there is one skip, from the first to the third; with 6 there are ten.

    Parameters
    ----------
    n_layers
        Convolutions, 3 and 6 in the paper; a linear classifier follows.
    skips
        "weighted" wires them by a `WeightedChain`, "plain" adds, "none" leaves the skips out.
    t
        Strength of weighted skips.
    channels
        Of every convolution; the paper does not give them.
    padded
        Pad the convolutions to keep the size of 28 x 28. If not, each takes 2 from the size, and the skips resample
        what they carry (nearest-exact), the other way of section 3.1.
    n_classes
        Outputs.
    activation
        What makes an activation; nn.Identity for the linear CNN of section 3.

    Returns
    -------
    nn.Sequential
        From images (n, 1, 28, 28) to logits (n, n_classes).

    Raises
    ------
    ShapeError
        `n_layers` is not positive, or without padding nothing of the image would be left.
    SkipError
        `skips` is another word, or `t` no number in [0, 1].

    Notes
    -----
    The paper's 3-layer CNN has "3 convolutional layers and a skip connection from the first layer to the third layer";
    the 6-layer one is read likewise: the image itself is no layer, and no skip starts there or goes to the classifier.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, (10), sections 5.2 and 5.3.

    Examples
    --------
    >>> list(skip_cnn(3)[0].skips)
    ['1-3']
    >>> len(skip_cnn(6)[0].skips)
    10
    """
    sizes = [_IMAGE_SIZE if padded else _IMAGE_SIZE - 2 * layer for layer in range(n_layers + 1)]
    if n_layers < 1 or sizes[-1] < 1:
        raise ShapeError(
            f"n_layers must be at least 1, and without padding at most {(_IMAGE_SIZE - 1) // 2}, got {n_layers}."
        )
    layers = [
        nn.Sequential(
            nn.Conv2d(channels if layer else 1, channels, 3, padding=1 if padded else 0),
            activation(),
        )
        for layer in range(n_layers)
    ]
    pairs = {
        (k, target): None if padded else nn.Upsample(size=(sizes[target - 1],) * 2, mode="nearest-exact")
        for target in range(3, n_layers + 1)
        for k in range(1, target - 1)
    }
    forms: dict[str, Callable[[], Any]] = {
        "weighted": lambda: WeightedChain(layers, pairs, t=t),
        "plain": lambda: PlainChain(layers, pairs),
        "none": lambda: nn.Sequential(*layers),
    }
    return nn.Sequential(_form(skips, forms)(), nn.Flatten(), nn.Linear(channels * sizes[-1] ** 2, n_classes))


def _form(skips: str, forms: dict[str, Callable[[], Any]]) -> Callable[[], Any]:
    if skips not in forms:
        raise SkipError(f"skips must be 'weighted', 'plain' or 'none', got {skips!r}.")
    return forms[skips]


def _resnet(
    n_blocks: Sequence[int], skips: Skips, t: float, width: int, n_classes: int, activation: Callable[[], Any]
) -> Any:
    blocks, n_in = [], width
    for stage, n in enumerate(n_blocks):
        n_out = width * 2**stage
        for index in range(n):
            blocks.append(_block(n_in, n_out, 2 if stage and not index else 1, skips, t, activation))
            n_in = n_out
    parts = OrderedDict(
        stem=nn.Sequential(
            nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            activation(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ),
        blocks=nn.Sequential(*blocks),
        classifier=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, n_classes)),
    )
    network = nn.Sequential(parts)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _block(n_in: int, n_out: int, stride: int, skips: Skips, t: float, activation: Callable[[], Any]) -> Any:
    """Return two convolutions with batch norm, the skip over them, and the activation after both."""
    main = nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        activation(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
    )

    def skip() -> Any:
        if (stride, n_in) == (1, n_out):
            return None
        return nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))

    forms: dict[str, Callable[[], Any]] = {
        "weighted": lambda: WeightedSkip(main, skip(), t=t),
        "plain": lambda: PlainSkip(main, skip()),
        "none": lambda: main,
    }
    return nn.Sequential(_form(skips, forms)(), activation())
