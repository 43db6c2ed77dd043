"""Skip connections of a strength t, which interpolate between a network of skips and one without, and plain ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from tropnet.errors import ShapeError, SkipError

__all__ = [
    "PlainChain",
    "PlainSkip",
    "WeightedChain",
    "WeightedSkip",
    "checked_strength",
    "set_skip_strength",
    "strengths",
    "weighted_modules",
]


def checked_strength(t: Any, what: str = "t") -> float:
    """Return a skip strength as a float.

    Raises
    ------
    SkipError
        It is no number in [0, 1].
    """
    try:
        value = float(t)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise SkipError(
            f"{what} must be a skip strength in [0, 1], got {t!r}: 0 is a network without skips, 1 one of skips alone."
        )
    return value


class _Weighted(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """A module with skips of strength `t`, a buffer, so that it moves, is saved and is replicated with the module."""

    def __init__(self, t: float) -> None:
        super().__init__()
        self.register_buffer("t", torch.tensor(checked_strength(t)))

    def extra_repr(self) -> str:
        """Return the strength, which the list of submodules does not show."""
        return "t without data" if self.t.is_meta else f"t={float(self.t):g}"


class WeightedSkip(_Weighted):
    """Compute ``(1 - t) main(x) + t skip(x)``, a homotopy from a skip connection to `main` alone.

    Parameters
    ----------
    main
        The layers that the skip leaps over.
    skip
        What the skip does to its input: any module whose output has the shape of that of `main`, as a projection or a
        resampling; None is the identity.
    t
        Strength of the skip, in [0, 1]: 0 is `main` alone, 1 the skip alone, 1/2 the standard skip connection, halved.

    Attributes
    ----------
    t
        Buffer of shape (): part of the state dict, of the module's dtype and on its device. Set it by
        `set_skip_strength` or a `SkipStrengthScheduler`, which write into it: graphs that torch.compile made read the
        new value, and nothing is compiled again. (Those of torch.fx.symbolic_trace keep the old one.)

    Raises
    ------
    SkipError
        `t` is no number in [0, 1].
    ShapeError
        When called: the outputs of `main` and `skip` have different shapes (which PyTorch would broadcast).

    Notes
    -----
    (23) of the paper prints t on the main branch, but its text, by which t = 0 is "no skip connections", has it on the
    skip; so it is here. At t = 0 the output equals that of `main` exactly wherever the skip is finite, but the skip is
    still computed: `remove_skips` takes it out of the program. In float32, t is rounded to float32.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 4, (23).

    Examples
    --------
    >>> block = WeightedSkip(nn.LeakyReLU(3.0), t=0.25)
    >>> block(torch.tensor([-1.0, 2.0]))
    tensor([-2.5000,  2.0000])
    >>> set_skip_strength(block, 0.0)
    >>> block(torch.tensor([-1.0, 2.0]))
    tensor([-3.,  2.])
    """

    def __init__(self, main: Any, skip: Any = None, *, t: float = 0.5) -> None:
        super().__init__(t)
        self.main = main
        self.skip = nn.Identity() if skip is None else skip

    def forward(self, x: Any) -> Any:
        """Return ``(1 - t) main(x) + t skip(x)``."""
        main, skip = self.main(x), self.skip(x)
        _refuse_broadcasting(main, skip)
        return (1 - self.t) * main + self.t * skip


class PlainSkip(nn.Module):  # type: ignore[misc]  # as above
    """Compute ``main(x) + skip(x)``, the skip connection of ResNet: what weighted and removed skips compare with.

    Parameters
    ----------
    main, skip
        As of `WeightedSkip`.

    Raises
    ------
    ShapeError
        When called: the outputs of `main` and `skip` have different shapes (which PyTorch would broadcast).

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> PlainSkip(nn.ReLU())(torch.tensor([-1.0, 2.0]))
    tensor([-1.,  4.])
    """

    def __init__(self, main: Any, skip: Any = None) -> None:
        super().__init__()
        self.main = main
        self.skip = nn.Identity() if skip is None else skip

    def forward(self, x: Any) -> Any:
        """Return ``main(x) + skip(x)``."""
        main, skip = self.main(x), self.skip(x)
        _refuse_broadcasting(main, skip)
        return main + skip


class WeightedChain(_Weighted):
    """Layers with skips between any two of them: layer l reads ``(1 - t) f_{l-1} + t (mean of the skips to l)``.

    The recursion (10) of the paper with one strength t: the weights of what a layer reads sum to 1.

    Parameters
    ----------
    layers
        Modules in order; f_l is the output of layer l, and f_0 the input of the chain.
    skips
        Pairs (k, l), 0 <= k < l - 1, whose skip adds f_k to the input of layer l, or {(k, l): module} with what the
        skip does to f_k on its way (None is the identity); layers count from 1.
    t
        Strength of all its skips, in [0, 1].

    Attributes
    ----------
    t
        Buffer, as that of `WeightedSkip`.
    layers, skips
        nn.ModuleList of the layers; nn.ModuleDict of the skips by their names, as "1-3".

    Raises
    ------
    SkipError
        A pair is no skip of such a chain, or `t` no number in [0, 1].
    ShapeError
        When called: what a skip gives and what it is added to have different shapes.

    Notes
    -----
    The paper gives one t for one skip into a layer; with several, each has t divided by their number here.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, (10) and (23).

    Examples
    --------
    Layer 3 reads (1 - 1/4) f_2 + 1/4 f_1 = 3/4 (-3) + 1/4 (-1), and triples it:

    >>> chain = WeightedChain([nn.Identity(), nn.LeakyReLU(3.0), nn.LeakyReLU(3.0)], [(1, 3)], t=0.25)
    >>> chain(torch.tensor([-1.0]))
    tensor([-7.5000])
    """

    def __init__(
        self, layers: Iterable[Any], skips: Iterable[tuple[int, int]] | Mapping[tuple[int, int], Any], *, t: float = 0.5
    ) -> None:
        super().__init__(t)
        self.layers, self.skips, self._sources = _wired(layers, skips)

    def forward(self, x: Any) -> Any:
        """Return the output of the last layer."""
        outputs = [x]
        for index, layer in enumerate(self.layers, start=1):
            arriving = _arriving(self.skips, self._sources.get(index, ()), outputs, index)
            if arriving:
                mean = sum(arriving[1:], start=arriving[0])
                joined = (1 - self.t) * outputs[-1] + (self.t / len(arriving)) * mean
            else:
                joined = outputs[-1]
            outputs.append(layer(joined))
        return outputs[-1]


class PlainChain(nn.Module):  # type: ignore[misc]  # as above
    """Layers with plain skips between any two of them: layer l reads ``f_{l-1}`` plus the skips to l.

    Parameters
    ----------
    layers, skips
        As of `WeightedChain`.

    Raises
    ------
    SkipError
        A pair is no skip of such a chain.
    ShapeError
        When called: what a skip gives and what it is added to have different shapes.

    Examples
    --------
    >>> PlainChain([nn.ReLU(), nn.Identity(), nn.Identity()], [(1, 3)])(torch.tensor([-1.0, 2.0]))
    tensor([0., 4.])
    """

    def __init__(self, layers: Iterable[Any], skips: Iterable[tuple[int, int]] | Mapping[tuple[int, int], Any]) -> None:
        super().__init__()
        self.layers, self.skips, self._sources = _wired(layers, skips)

    def forward(self, x: Any) -> Any:
        """Return the output of the last layer."""
        outputs = [x]
        for index, layer in enumerate(self.layers, start=1):
            arriving = _arriving(self.skips, self._sources.get(index, ()), outputs, index)
            outputs.append(layer(sum(arriving, start=outputs[-1])))
        return outputs[-1]


def _wired(layers: Any, skips: Any) -> tuple[Any, Any, dict[int, tuple[int, ...]]]:
    """Return the layers, the skips by name, and the sources of the skips to each layer."""
    layers = nn.ModuleList(layers)
    modules = dict(skips) if isinstance(skips, Mapping) else dict.fromkeys(skips)
    sources: dict[int, tuple[int, ...]] = {}
    for k, target in sorted(modules):
        if not 0 <= k < target - 1 < len(layers):
            raise SkipError(
                f"a skip (k, l) must have 0 <= k < l - 1 and l <= {len(layers)}, the number of layers, got"
                f" ({k}, {target}). Layers count from 1; the input is 0."
            )
        sources[target] = (*sources.get(target, ()), k)
    named = {_name(k, target): nn.Identity() if m is None else m for (k, target), m in modules.items()}
    return layers, nn.ModuleDict(named), sources


def _name(k: int, target: int) -> str:
    return f"{k}-{target}"


def _arriving(skips: Any, sources: Iterable[int], outputs: list[Any], target: int) -> list[Any]:
    found = [skips[_name(k, target)](outputs[k]) for k in sources]
    for skip in found:
        _refuse_broadcasting(outputs[-1], skip)
    return found


def _refuse_broadcasting(main: Any, skip: Any) -> None:
    # Symbols of torch.fx are no tensors and have no shape to compare; what torch.jit.trace compares, it warns of.
    if torch.jit.is_tracing() or not isinstance(main, torch.Tensor):
        return
    if main.shape != skip.shape:
        raise ShapeError(
            f"the skip must give the shape that it is added to, {tuple(main.shape)}, got {tuple(skip.shape)}. Give it a"
            " projection (a 1x1 convolution) or a resampling."
        )


def strengths(module: Any) -> dict[str, float]:
    """Return the strength of each module with skips of a strength, by qualified name; there may be none."""
    return {name: float(part.t) for name, part in module.named_modules() if isinstance(part, _Weighted)}


def weighted_modules(module: Any) -> dict[str, Any]:
    """Return the modules with skips of a strength within a module, itself included, by qualified name.

    Raises
    ------
    SkipError
        There is none.
    """
    found = {name: part for name, part in module.named_modules() if isinstance(part, _Weighted)}
    if not found:
        raise SkipError(
            f"the module must hold a WeightedSkip or WeightedChain, but {type(module).__name__} holds none. Wrap the"
            " layers that a skip leaps over: WeightedSkip(main, skip)."
        )
    return found


def set_skip_strength(module: Any, t: float) -> None:
    """Set the strength of all skips of a module.

    Parameters
    ----------
    module
        Any torch.nn.Module that holds a `WeightedSkip` or `WeightedChain`, or is one; compiled or not.
    t
        The new strength, in [0, 1]. The buffers are written into, not replaced, so call backward() of outputs at the
        strength before first: PyTorch refuses it afterwards ("modified by an inplace operation").

    Raises
    ------
    SkipError
        `t` is no number in [0, 1], or the module holds no such skip.

    Examples
    --------
    >>> network = nn.Sequential(WeightedSkip(nn.ReLU()), WeightedSkip(nn.ReLU()))
    >>> set_skip_strength(network, 0.125)
    >>> [skip.t.item() for skip in network]
    [0.125, 0.125]
    """
    strength = checked_strength(t)
    for part in weighted_modules(module).values():
        part.t.fill_(strength)
