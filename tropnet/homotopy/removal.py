"""Taking skips out of a network."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

from torch import nn

from tropnet.errors import SkipError
from tropnet.homotopy.skips import PlainChain, PlainSkip, WeightedChain, WeightedSkip, weighted_modules

__all__ = ["remove_skips"]

_N_LISTED = 8


def remove_skips(module: Any, *, force: bool = False) -> Any:
    """Return a copy of a module whose program holds no skip.

    Parameters
    ----------
    module
        Any torch.nn.Module with skips; it is not changed.
    force
        Drop skips of other strengths too, which changes the function.

    Returns
    -------
    torch.nn.Module
        Of the module's own type, unless that is a skip itself or compiled: a `WeightedSkip` became its `main`, and a
        `WeightedChain` an nn.Sequential of its layers, with the very same parameters.

    Raises
    ------
    SkipError
        There is no skip to remove, a strength is not 0, or there are plain skips, which have none.

    Warns
    -----
    UserWarning
        `force` dropped skips of a strength other than 0; the message names them.

    Notes
    -----
    Parameters of the skips, such as projections, and hooks on them are left out too; the names of the others lose their
    ".main" and ".layers".

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.3 ("explicitly taking their programming out of the
    network").

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
    """
    module = getattr(module, "_orig_mod", module)  # within the wrapper of torch.compile
    _refuse_plain(module)
    _refuse_strengths(weighted_modules(module), force)
    return _dropped(deepcopy(module), {})


def _refuse_plain(module: Any) -> None:
    plain = [name for name, part in module.named_modules() if isinstance(part, PlainSkip | PlainChain)]
    if plain:
        raise SkipError(
            f"only skips with a strength can be dropped, but {_listed(plain)} (plain skips) have none. Use"
            " WeightedSkip."
        )


def _refuse_strengths(weighted: dict[str, Any], force: bool) -> None:
    """Refuse strengths that are not 0; if forced, warn instead."""
    active = [f"{name or 'the module itself'} (t = {float(part.t):g})" for name, part in weighted.items() if part.t]
    if not active:
        return
    if not force:
        raise SkipError(
            f"skips can be dropped where t = 0, but {_listed(active)} would change the function. Call"
            " set_skip_strength(module, 0) first, or pass force=True."
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
            found.train(module.training)
        else:
            found = module
            # Not named_children, which names a module that stands at two places only once.
            for name, child in module._modules.items():
                if child is not None:
                    module._modules[name] = _dropped(child, done)
        done[id(module)] = found
    return done[id(module)]
