"""The shapes at which a model is read: which of its axes is a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tropnet.errors import ShapeError
from tropnet.importers.onnx.graph import Input
from tropnet.operators.operator import Shape

__all__ = ["Attempt", "attempts"]


@dataclass(frozen=True)
class Attempt:
    """How to read a model.

    Attributes
    ----------
    shapes
        Of the inputs, a batch of one included.
    rows
        How many inputs the model takes at once.
    is_open
        Whether it takes any number of them.
    """

    shapes: list[Shape]
    rows: int = 1
    is_open: bool = False


def attempts(inputs: Sequence[Input], input_shape: Sequence[int] | None) -> list[Attempt]:
    """Return the ways in which a model can be read, in the order in which they are tried.

    Raises
    ------
    ShapeError
        No input varies, a shape is left open, or `input_shape` does not fit.
    """
    if not inputs:
        raise ShapeError("the wanted output depends on no input that varies.")
    if len(inputs) > 1:
        if input_shape is not None:
            raise ShapeError(
                f"input_shape is that of one input, but {len(inputs)} vary: {', '.join(map(str, inputs))}."
            )
        return [Attempt([_closed(part) for part in inputs])]
    (part,) = inputs
    if input_shape is not None:
        return [_asked_for(part, input_shape)]
    lengths = part.lengths
    if lengths is not None and len(lengths) > 1 and lengths[0] > 1 and all(lengths):
        return [Attempt([(1, *lengths[1:])], rows=lengths[0]), Attempt([lengths])]
    return [Attempt([_closed(part)], is_open=bool(lengths) and lengths is not None and not lengths[0])]


def _closed(part: Input) -> Shape:
    """Return the shape of an input whose batch, if any, is one."""
    lengths = part.lengths
    if lengths is None or not all(lengths[1:]) or (len(lengths) == 1 and not lengths[0]):
        raise ShapeError(
            f"the input {part} leaves its shape open; pass input_shape, the shape of one input without the batch, as in"
            " (1, 28, 28)."
        )
    return (lengths[0] or 1, *lengths[1:]) if lengths else ()


def _asked_for(part: Input, input_shape: Sequence[int]) -> Attempt:
    try:
        given = tuple(int(length) for length in input_shape)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"input_shape must be a sequence of integers, as in (3, 32, 32), got {input_shape!r}."
        ) from error
    if min(given, default=1) < 1:
        raise ShapeError(f"input_shape must hold positive lengths, got {given}.")
    lengths = part.lengths
    if lengths is None:
        return Attempt([(1, *given)], is_open=True)
    if _fits(lengths, given):
        return Attempt([given])
    if lengths and _fits(lengths[1:], given):
        return Attempt([(1, *given)], rows=max(lengths[0], 1), is_open=not lengths[0])
    raise ShapeError(f"input_shape must be the shape of the input {part}, with its first axis or without, got {given}.")


def _fits(lengths: Sequence[int], given: Sequence[int]) -> bool:
    return len(lengths) == len(given) and all(n in (0, m) for n, m in zip(lengths, given, strict=True))
