"""How kernels are compiled: one decorator, so that all of them agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(*, inline: bool = False, reorder: bool = False) -> Callable[[_Function], _Function]:
    """Compile a kernel: cached on disk, without the interpreter lock, and without counting references.

    Kernels borrow arrays and make none, and the atomic counters of numba's arrays cost them more than the work itself.

    Parameters
    ----------
    inline
        Merge the function into its callers: passing some fifty arrays takes longer than a short function.
    reorder
        Let sums be reordered and products fused, for loops that are to vectorise. Error bounds hold in any order.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
    decorate: Callable[[_Function], _Function] = njit(
        forceinline=inline, fastmath={"contract", "reassoc"} if reorder else False, **options
    )
    return decorate
