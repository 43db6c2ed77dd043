"""Taking skips out of a network: dropped where their strength is 0, or carried through its layers at any strength."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from tropnet.errors import SkipError, UnsupportedModuleError
from tropnet.homotopy.models.skips import PlainChain, PlainSkip, WeightedChain, WeightedSkip, weighted_modules
from tropnet.homotopy.removal.carry import carried
from tropnet.homotopy.removal.copies import copied

__all__ = ["remove_skips"]

_N_LISTED = 8


def remove_skips(module: Any, *, method: str = "drop", force: bool = False) -> Any:
    """Return a copy of a module whose program holds no skip.

    Parameters
    ----------
    module
        Any torch.nn.Module with skips; it is not changed.
    method
        "drop" leaves a `WeightedSkip` its `main`, and of a `WeightedChain` its layers, with copies of their parameters.
        That is the same function where all strengths are 0.

        "carry" returns the same function at any strength, for plain skips too, however they are written: additional
        channels carry what a skip leaps with through the layers in between, which become wider ("reserve and merge").
    force
        Drop skips of other strengths too, which changes the function.

    Returns
    -------
    torch.nn.Module
        By "drop", the module's own type, unless that is a skip itself or compiled. By "carry", an nn.Sequential in eval
        mode, with batch norm folded into the layers before it.

    Raises
    ------
    SkipError
        There is no skip to remove, or with "drop": a strength is not 0, or there are plain skips, which have none; or
        `method` is another word, or `module` no torch.nn.Module or `StackedTrials`.
    UnsupportedModuleError
        The module has no data (on the meta device) or cannot be copied. With "drop": a skip is of a class or with a
        forward of its own, has forward hooks, or stands in a list, dict or the like of a module too, by which it would
        run on. With "carry": the forward cannot be traced, or a step is not one through which channels can be carried.
        The message names the module or function.

    Warns
    -----
    UserWarning
        `force` dropped skips of a strength other than 0; the message names them.

    Notes
    -----
    The parameters of the result are new ones: an optimizer of the module goes on training the module, so make another.

    "drop" also leaves out the parameters of skips, such as projections; the names of the others lose their ".main" and
    ".layers", and a forward that reads those of a skip (``self.block.main``) fails when it is called. What
    torch.compile wrapped, at whatever depth, is not compiled in the result.

    "carry" reads the graph of the module (torch.fx) in eval mode, for inputs in batches; all parameters of the layers
    that it makes can be trained, of frozen ones too. A BatchNorm1d among linear layers is read as of (n, features);
    where no nn.Flatten says so, the result begins with one, so that it refuses inputs with axes between.

    Values after a ReLU are not negative, so a further ReLU leaves them as they are, and a convolution takes them along
    by an identity (Dirac) kernel; where it has a stride, every so many pixels. Values of either sign are carried as
    relu(x) and relu(-x). Everything between two ReLU becomes one layer: convolutions or linear layers, batch norm, sums
    and products with constants are composed in float64 and rounded to the type of the parameters. Layers are as wide as
    what is alive beside them: a block of C channels with an identity skip has layers of 2 C channels within. PReLU and
    LeakyReLU that a skip leaps over become relu(z) - a relu(-z), of twice the channels; parametrisations (weight_norm,
    spectral_norm, orthogonal) are evaluated. Refused by name where a skip leaps over it: pooling, flattening, other
    activations, groups, convolutions that change the size other than by their stride; and a skip past a stride that is
    not a 1x1 convolution of the same stride.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.3 ("explicitly taking their programming out of the
    network"). F. Meng, H. Cheng, J. Zhuang, K. Li and X. Sun, "RMNet: equivalently removing residual connection from
    networks", arXiv:2111.00687.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), WeightedSkip(nn.Linear(3, 3), t=0.0), nn.ReLU())
    >>> remove_skips(network)
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=3, bias=True)
      (3): ReLU()
    )

    A plain skip over two layers, carried by three more neurons:

    >>> block = PlainSkip(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)))
    >>> remove_skips(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), block), method="carry")
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=7, bias=True)
      (3): ReLU()
      (4): Linear(in_features=7, out_features=3, bias=True)
    )
    """
    if method == "carry":
        return carried(module)
    if method != "drop":
        raise SkipError(f"method must be 'drop' or 'carry', got {method!r}.")
    copy = copied(module)
    _refuse_plain(copy)
    weighted = weighted_modules(copy)
    for name, part in weighted.items():
        _refuse_own_ways(part, name or "the module itself")
    _refuse_held(copy)
    _refuse_strengths(weighted, force)
    return _dropped(copy, {})


def _refuse_own_ways(part: Any, name: str) -> None:
    """Refuse a skip that does more than what is dropped of it."""
    forwards = {WeightedSkip.forward, WeightedChain.forward}
    if type(part).forward not in forwards or "forward" in vars(part):
        raise UnsupportedModuleError(
            f"{name} ({type(part).__name__}) has a forward of its own, of which dropping the skip would leave nothing."
            " Move what it does into a module beside a WeightedSkip or WeightedChain."
        )
    if part._forward_hooks or part._forward_pre_hooks:
        raise UnsupportedModuleError(f"{name} has forward hooks, which would go with the skip. Remove the hooks.")


def _refuse_held(module: Any) -> None:
    """Refuse skips in plain containers, by which a forward would run them still."""
    for name, part in module.named_modules():
        for key, value in vars(part).items():
            if key not in ("_modules", "_parameters", "_buffers") and _holds_skip(value):
                raise UnsupportedModuleError(
                    f"{name or 'the module itself'} holds a skip in its attribute {key!r}, by which it would run on."
                    " Hold it as a submodule only, or in an nn.ModuleList."
                )


def _holds_skip(value: Any) -> bool:
    if isinstance(value, WeightedSkip | WeightedChain):
        return True
    values = value.values() if isinstance(value, dict) else value
    return isinstance(value, dict | list | tuple | set | frozenset) and any(map(_holds_skip, values))


def _refuse_plain(module: Any) -> None:
    plain = [name for name, part in module.named_modules() if isinstance(part, PlainSkip | PlainChain)]
    if plain:
        raise SkipError(
            f"only skips with a strength can be dropped, but {_listed(plain)} (plain skips) have none. Use"
            " WeightedSkip, or method='carry'."
        )


def _refuse_strengths(weighted: dict[str, Any], force: bool) -> None:
    """Refuse strengths that are not 0; if forced, warn instead."""
    active = [f"{name or 'the module itself'} (t = {float(part.t):g})" for name, part in weighted.items() if part.t]
    if not active:
        return
    if not force:
        raise SkipError(
            f"skips can be dropped where t = 0, but {_listed(active)} would change the function. Call"
            " set_skip_strength(module, 0) first, use method='carry' (the same function at any strength), or force=True"
            " (another function)."
        )
    warnings.warn(
        f"dropped skips of a strength other than 0, so the result is another function than the module:"
        f" {_listed(active)}.",
        UserWarning,
        stacklevel=3,
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(name or "the module itself" for name in names[:_N_LISTED])
    return f"{shown} and {len(names) - _N_LISTED} more" if len(names) > _N_LISTED else shown


def _dropped(module: Any, done: dict[int, Any]) -> Any:
    """Return a module without its skips; its other modules are changed in place. `done` keeps shared modules shared."""
    if id(module) not in done:
        if isinstance(module, WeightedSkip):
            found = _dropped(module.main, done)
        elif isinstance(module, WeightedChain):
            found = nn.Sequential(*(_dropped(layer, done) for layer in module.layers))
            # Not train(), which would set the mode of the layers too.
            found.training = module.training
        else:
            found = module
            # Not named_children, which names a module that stands at two places only once.
            for name, child in module._modules.items():
                if child is not None:
                    module._modules[name] = _dropped(child, done)
        done[id(module)] = found
    return done[id(module)]
