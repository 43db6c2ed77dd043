"""How kernels are compiled: one decorator, so that all of them agree; how they count bits and sample."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, Flags
from numba.core.compiler_machinery import PassManager
from numba.extending import intrinsic

__all__ = ["compiled", "copied", "popcount", "weight_if_kept"]

_Result = TypeVar("_Result")
_State = TypeVar("_State")


def _digest_of_kernels() -> str:
    """Return a digest of all files of the package that hold kernels, or say how they are compiled."""
    digest, here = sha256(), Path(__file__).parent
    for path in sorted(here.parent.rglob("*.py")):
        source = path.read_bytes()
        if b"@compiled(" in source or path.parent == here:
            digest.update(source)
    return digest.hexdigest()


_DIGEST = _digest_of_kernels()


class _InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel that only kernels call: optimised and made machine code with each entry it is part of.

    By itself numba does so with each function and all that it calls: with one that is six calls deep, six times.
    """

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            if hasattr(library, "_reload_init"):  # since numba 0.61
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, _name: str) -> int:
        """Return that there is no function to call from Python."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> _InnerLibrary:
        """What is told of the function's environment, which is for calls of the interpreter."""
        return self

    def set_env(self, _name: str, _environment: Any) -> None:
        """Leave it out."""


class _Flags(Flags):  # type: ignore[misc]
    """Flags that are compared by what is set; numba looks up each of forty, several times for each call it types."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return bool(self._values == other._values if isinstance(other, _Flags) else super().__eq__(other))


class _KernelCompiler(CompilerBase):  # type: ignore[misc]
    """Compiles a kernel, without numba's passes for closures, generators, literals and expressions of arrays."""

    def __init__(self, typing: Any, target: Any, library: Any, args: Any, result: Any, flags: Any, names: Any) -> None:
        super().__init__(typing, target, library, args, result, _Flags(flags), names)

    def define_pipelines(self) -> list[PassManager]:
        _announce(self.state.func_id.modname)
        return _steps()


class _InnerCompiler(_KernelCompiler):
    """Compiles a kernel that only kernels call."""

    def define_pipelines(self) -> list[PassManager]:
        self.state.library = _InnerLibrary(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return _steps()


_STEPS = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    untyped_passes.DeadBranchPrune,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


def _steps() -> list[PassManager]:
    """Return the passes."""
    steps = PassManager("kernel")
    for step in _STEPS:
        steps.add_pass(step, step.__name__)
    steps.finalize()
    return [steps]


@cache
def _announce(module: str) -> None:
    """Say that kernels of a module are compiled, which a cache on disk lacks; not if `TROPNET_QUIET` is set.

    Those of this module are small, and others call them.
    """
    if module == __name__:
        return
    if sys.stderr is not None and not os.environ.get("TROPNET_QUIET"):
        sys.stderr.write(f"tropnet: compiling kernels of {module}, new on this machine (up to 10 s) ...\n")
        sys.stderr.flush()


class _Decorator(Protocol):
    """Leaves the types of the arguments to numba, whose integers are not Python's."""

    def __call__(self, function: Callable[..., _Result], /) -> Callable[..., _Result]: ...


def compiled(*, entry: bool = False, apart: bool = False, inline: bool = False, reorder: bool = False) -> _Decorator:
    """Compile a kernel: an entry cached on disk, without the interpreter lock, and without counting references.

    Compiled code holds that of the kernels it calls, of whose files numba does not ask whether they changed; so what is
    cached is valid for one digest of all kernels' files. Kernels borrow arrays and make none, and the atomic counters
    of numba's arrays cost them more than the work itself. A named tuple of arrays is lent as a `Record`.

    Parameters
    ----------
    entry
        Make it callable from Python. Other kernels compile faster, but a call from Python would crash; a test checks
        that kernels only call them.
    apart
        Compile it to be called by its address (see `kernels.parts`), cached on disk as an entry is.
    inline
        Merge the function into its callers: passing some fifty arrays takes longer than a short function.
    reorder
        Let sums be reordered and products fused, for loops that are to vectorise. Error bounds hold in any order.
    """
    options: dict[str, Any] = {
        "cache": entry or apart,
        "nogil": True,
        "_nrt": False,
        "error_model": "numpy",
        "no_cfunc_wrapper": not apart,
        "no_cpython_wrapper": not entry,
        "pipeline_class": _KernelCompiler if entry or apart else _InnerCompiler,
    }
    compile_kernel = njit(forceinline=inline, fastmath={"contract", "reassoc"} if reorder else False, **options)

    def decorate(function: Callable[..., _Result]) -> Callable[..., _Result]:
        kernel: Any = compile_kernel(function)
        of_types = kernel.get_call_template
        # A number that is written out is of a type of its own, for which numba would compile the kernel once more.
        kernel.get_call_template = lambda args, kws: of_types(tuple(map(types.unliteral, args)), kws)
        # A numba without this place keeps its own stamp, the time and size of the function's file.
        if (entry or apart) and hasattr(kernel._cache, "_cache_file"):
            files = kernel._cache._cache_file
            files._source_stamp = _DIGEST
            files._load_index = _but_of_other_versions(files._load_index)
        result: Callable[..., _Result] = kernel
        return result

    return decorate


def _but_of_other_versions(load: Callable[[], Any]) -> Callable[[], Any]:
    """Return what reads an index of compiled code, but nothing from one that names types which are no more."""

    def load_index() -> Any:
        try:
            return load()
        except (ImportError, AttributeError):
            return {}

    return load_index


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
