"""Parts of a kernel that are compiled by themselves, when a run first needs them, and called by their address.

The code of a kernel holds that of all it calls. What only some runs need would be compiled for all, and what several
kernels need once for each of them. So such a part is machine code of its own, cached on disk, and the kernel is lent a
table of addresses: 0 of what is not compiled so far, on which it stops before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin
from numpy.typing import NDArray

from tropnet.kernels.records import Record

__all__ = ["Addresses", "Parts", "call_part"]


class Addresses(NamedTuple):
    """Where the machine code of each part is, 0 of what is not compiled."""

    of: NDArray[np.int64]


@final
class Parts:
    """The parts of a kernel for records of some types.

    Parameters
    ----------
    parts
        Kernels compiled with `apart`: each takes records, then integers (int64), and returns one.
    """

    def __init__(self, *parts: Callable[..., int]) -> None:
        self._parts: Sequence[Any] = parts
        self._lent: dict[tuple[int, ...], Record] = {}

    def lend(self, *records: Record) -> Record:
        """Return the `Addresses` for records of such types, as a record."""
        key = tuple(id(record.type) for record in records)
        lent = self._lent.get(key)
        if lent is None:
            lent = self._lent.setdefault(key, Record(Addresses(np.zeros(len(self._parts), np.int64))))
        return lent

    def load(self, lent: Record, number: int, records: Sequence[Record], n_integers: int) -> None:
        """Put the address of a part into a table, if it is not there: compiled now, or read from the disk."""
        addresses = lent.state.of
        if addresses[number]:
            return
        part = self._parts[number]
        kinds = (*(record.type for record in records), *(types.int64 for _ in range(n_integers)))
        part.compile(kinds)
        code = part.overloads[kinds]
        addresses[number] = code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)


def call_part(_address: int, *_arguments: Any) -> int:
    """Call the part at an address, in kernels, with records and then integers."""
    raise NotImplementedError("only kernels call parts")


@infer_global(call_part)
class _Call(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, _kws: Any) -> Any:
        numbers = types.Number | types.Boolean
        return signature(types.int64, *(types.int64 if isinstance(kind, numbers) else kind for kind in args))


@lower_builtin(call_part, types.VarArg(types.Any))  # type: ignore[untyped-decorator]
def _call(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    address, *rest = arguments
    function = ir.FunctionType(ir.IntType(64), [argument.type for argument in rest])
    return builder.call(builder.inttoptr(address, function.as_pointer()), rest)
