"""How kernels are compiled: one decorator, so that all of them agree; how they count bits and sample."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["compiled", "copied", "popcount", "weight_if_kept"]

_Result = TypeVar("_Result")
_State = TypeVar("_State")


def _digest_of_kernels() -> str:
    """Return a digest of all files of the package that hold kernels."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"@compiled(" in source:
            digest.update(source)
    return digest.hexdigest()


_DIGEST = _digest_of_kernels()


class _Decorator(Protocol):
    """Leaves the types of the arguments to numba, whose integers are not Python's."""

    def __call__(self, function: Callable[..., _Result], /) -> Callable[..., _Result]: ...


def compiled(*, entry: bool = False, inline: bool = False, reorder: bool = False) -> _Decorator:
    """Compile a kernel: cached on disk, without the interpreter lock, and without counting references.

    Compiled code holds that of the kernels it calls, of whose files numba does not ask whether they changed; so what is
    cached is valid for one digest of all kernels' files. Kernels borrow arrays and make none, and the atomic counters
    of numba's arrays cost them more than the work itself.

    Parameters
    ----------
    entry
        Make it callable from Python. Other kernels compile faster, but a call from Python would crash; a test checks
        that kernels only call them.
    inline
        Merge the function into its callers: passing some fifty arrays takes longer than a short function.
    reorder
        Let sums be reordered and products fused, for loops that are to vectorise. Error bounds hold in any order.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
    if not entry:
        options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compile_kernel = njit(forceinline=inline, fastmath={"contract", "reassoc"} if reorder else False, **options)

    def decorate(function: Callable[..., _Result]) -> Callable[..., _Result]:
        kernel: Any = compile_kernel(function)
        # A numba without this place keeps its own stamp, the time and size of the function's file.
        if hasattr(kernel._cache, "_cache_file"):
            kernel._cache._cache_file._source_stamp = _DIGEST
        result: Callable[..., _Result] = kernel
        return result

    return decorate


def copied(state: _State) -> _State:
    """Return a named tuple of arrays with a copy of each, for a kernel that goes on from there elsewhere."""
    arrays: Any = state
    copies = {name: array.copy() for name, array in arrays._asdict().items() if isinstance(array, np.ndarray)}
    copy: _State = arrays._replace(**copies)
    return copy


@compiled(entry=True)
def weight_if_kept(phase: Any, targets: Any, stratum: int, weight: float) -> float:
    """Return the weight with which a node of a sampled tree is kept, or 0: systematic sampling within strata.

    A node whose weight is below the target of its stratum is kept with probability weight / target, at least 1/2, so
    that a path goes on. `phase`, float64 by stratum, is random in [0, 1) at the start: each node is kept with just that
    probability, and of neighbours, which are alike, about as many as that says.
    """
    probability = min(max(weight / targets[stratum], 0.5), 1.0)
    phase[stratum] += probability
    if phase[stratum] < 1.0:
        return 0.0
    phase[stratum] -= 1.0
    return float(weight / probability)


def _count_bits(_typing_context: Any, _x: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(count, [arguments[0]])

    return types.int64(types.uint64), generate


popcount: Any = intrinsic(_count_bits)
"""Counts the bits of a uint64."""
