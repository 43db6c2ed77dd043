"""Named tuples of arrays as kernels take them: one address.

To numba a named tuple is all its values, of an array seven: a function that takes three of fifty arrays has a thousand
arguments, each of which takes part in every pass of the compiler and in every call. A `Record` is the address of a
table of where each array is and its shape: so a kernel takes one pointer, and reads from the table what it needs.
"""

from __future__ import annotations

from ctypes import c_size_t
from hashlib import sha256
from typing import Any, NamedTuple, final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

__all__ = ["Lender", "Record"]


class _Field(NamedTuple):
    """Where in the table a field begins, and its type."""

    at: int
    type: Any


class _RecordType(types.Type):  # type: ignore[misc]
    """The type of a record: the fields of its table by name."""

    def __init__(self, name: str, fields: dict[str, _Field]) -> None:
        self.fields = fields
        super().__init__(f"{name}_{sha256(repr(fields).encode()).hexdigest()[:12]}")


_TYPES: dict[Any, _RecordType] = {}


def _read_address(array: np.ndarray[Any, Any]) -> int:
    """Return where the numbers of an array are: what follows the head of the object, since numpy's first version."""
    return c_size_t.from_address(id(array) + object.__basicsize__).value


def _ask_address(array: np.ndarray[Any, Any]) -> int:
    """Return where the numbers of an array are, four times slower."""
    return array.ctypes.data


_SAMPLE = np.zeros(1)
_address = _read_address if _read_address(_SAMPLE) == _ask_address(_SAMPLE) else _ask_address


@final
class Record:
    """A named tuple of arrays, numbers (float) and further records, to be lent to kernels.

    A kernel reads `record.name` as of the tuple itself. What the arrays hold may change, by kernels or others; another
    array takes another record.

    Parameters
    ----------
    state
        Its arrays are in C order, and of types that numba knows.
    """

    __slots__ = ("_table", "address", "state", "type")
    _table: NDArray[np.int64]
    address: int
    state: Any
    type: _RecordType

    def __init__(self, state: Any) -> None:
        table: list[int] = []
        kinds: list[Any] = [type(state)]
        for value in state:
            if isinstance(value, np.ndarray):
                if not value.flags.c_contiguous:
                    raise ValueError("a record's arrays must be in C order")
                table.append(_address(value))
                table += value.shape
                kinds += value.dtype.char, value.ndim
            elif isinstance(value, Record):
                # The state keeps it.
                table.append(value.address)
                kinds.append(value.type)
            else:
                table.append(int(np.float64(value).view(np.int64)))
                kinds.append(float)
        self.state = state
        self._table = np.array(table, np.int64)
        self.address = _address(self._table)
        key = tuple(kinds)
        self.type = _TYPES.get(key) or _TYPES.setdefault(key, _type_of(state))


class Lender:
    """Lends named tuples to kernels again and again; a tuple's record is made when it is another than the last time.

    Parameters
    ----------
    records
        Of the first tuples, where they are made already.
    """

    def __init__(self, *records: Record) -> None:
        self._records = list(records)

    def lend(self, *states: Any) -> list[Record]:
        """Return a record for each tuple, or the record that is given."""
        records = self._records
        if len(records) < len(states):
            records += [_record_of(state) for state in states[len(records) :]]
        for place, state in enumerate(states):
            if records[place].state is not state and records[place] is not state:
                records[place] = _record_of(state)
        return records


def _record_of(state: Any) -> Record:
    return state if isinstance(state, Record) else Record(state)


def _type_of(state: Any) -> _RecordType:
    """Return the type of a named tuple with such values."""
    fields, at = {}, 0
    for name, value in state._asdict().items():
        if isinstance(value, np.ndarray):
            fields[name] = _Field(at, types.Array(from_dtype(value.dtype), value.ndim, "C"))
            at += 1 + value.ndim
        else:
            fields[name] = _Field(at, value.type if isinstance(value, Record) else types.float64)
            at += 1
    return _RecordType(type(state).__name__, fields)


register_model(_RecordType)(models.OpaqueModel)


@typeof_impl.register(Record)  # type: ignore[untyped-decorator]
def _typeof(record: Record, _context: Any) -> _RecordType:
    return record.type


@unbox(_RecordType)  # type: ignore[untyped-decorator]
def _unbox(_type: Any, record: Any, context: Any) -> Any:
    address = context.pyapi.object_getattr_string(record, "address")
    pointer = context.pyapi.long_as_voidptr(address)
    context.pyapi.decref(address)
    return NativeValue(pointer)


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = _RecordType

    def generic_resolve(self, record: _RecordType, name: str) -> Any:
        field = record.fields.get(name)
        return None if field is None else field.type


@lower_getattr_generic(_RecordType)  # type: ignore[untyped-decorator]
def _attribute(context: Any, builder: Any, record: _RecordType, pointer: Any, name: str) -> Any:
    """Read a field of the table, which never changes: so the compiler may read it once, and before a loop."""
    field = record.fields[name]
    never_changes = builder.module.add_metadata([])

    def load(at: int, kind: Any) -> Any:
        table = builder.bitcast(pointer, kind.as_pointer())
        word = builder.load(builder.gep(table, [ir.Constant(ir.IntType(64), at)], inbounds=True))
        word.set_metadata("invariant.load", never_changes)
        return word

    if not isinstance(field.type, types.Array):
        return load(field.at, context.get_value_type(field.type))
    array = make_array(field.type)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(field.type.dtype))
    shape = [load(field.at + 1 + axis, ir.IntType(64)) for axis in range(field.type.ndim)]
    strides = [ir.Constant(ir.IntType(64), size)]
    for length in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], length, flags=["nsw"]))
    data = load(field.at, context.get_data_type(field.type.dtype).as_pointer())
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()
