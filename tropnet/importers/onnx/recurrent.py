"""Recurrent layers of a fixed number of steps, unrolled."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.importers.common.expression import Expression, constant, stacked
from tropnet.importers.common.jumps import arithmetic
from tropnet.importers.common.lowering import RefusedError
from tropnet.importers.onnx.steps import Step, product, transposed

__all__ = ["unrolled"]

_RELU = "Relu"


def unrolled(step: Step) -> list[Any]:
    """Return the hidden states of RNN with ReLUs: those of all steps, and the last, by direction.

    ``h_t = relu(W x_t + R h_(t-1) + b)``, forwards, backwards or both.
    """
    x, attributes = step.x, step.attributes
    W, R = (np.asarray(step.fixed(place)) for place in (1, 2))
    ways = {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}[attributes.get("direction", b"forward").decode()]
    names = [name.decode() for name in attributes.get("activations", [b"Tanh"] * len(ways))]
    if set(names) != {_RELU}:
        raise RefusedError(f"has the activations {', '.join(names)}, of which only {_RELU} is piecewise linear")
    by_batch = bool(attributes.get("layout", 0))
    if by_batch:
        x = transposed(x, (1, 0, 2))
    n_steps, n_batch, _ = x.shape
    lengths, bias = step.fixed(4), step.fixed(3)
    if lengths is not None and (np.asarray(lengths) != n_steps).any():
        raise RefusedError("stops before the end of the sequence, which is not read; give sequences of full length")
    bias = np.zeros((len(ways), 2 * R.shape[2])) if bias is None else np.asarray(bias)
    start = step.inputs[5] if len(step.inputs) > 5 and step.inputs[5] is not None else None
    states = []
    for k, way in enumerate(ways):
        first = _start(start, k, (n_batch, R.shape[2]), by_batch=by_batch)
        b = bias[k].reshape(2, -1).sum(axis=0)
        states.append(_one_way(step, x, way, (W[k], R[k], b), first))
    last = [found[0 if way < 0 else -1] for found, way in zip(states, ways, strict=True)]
    every = stacked([found[t] for t in range(n_steps) for found in states])
    shape = (len(ways), n_batch, R.shape[2])
    Y, Y_h = every.reshaped((n_steps, *shape)), stacked(last).reshaped(shape)
    return [transposed(Y, (2, 0, 1, 3)), transposed(Y_h, (1, 0, 2))] if by_batch else [Y, Y_h]


def _one_way(
    step: Step, x: Expression, way: int, weights: tuple[FloatArray, FloatArray, FloatArray], state: Expression
) -> list[Expression]:
    """Return the hidden states (n_batch, n_hidden) of one direction, in the order of the sequence."""
    W, R, b = weights
    clip = step.attributes.get("clip")
    places = np.arange(x.size).reshape(x.shape)
    found = []
    for t in range(len(places))[::way]:
        z = product(x.gathered(places[t]), W.T).shifted(b)
        z = arithmetic("add", z, product(state, R.T)) if state.terms or state.constants.any() else z
        state = step.to.activation(z if clip is None else step.to.clipped(z, -clip, clip))
        found.append(state)
    return found[::way]


def _start(given: Any, direction: int, shape: tuple[int, int], *, by_batch: bool) -> Expression:
    """Return the hidden state before the first step."""
    if given is None:
        return constant(np.zeros(shape))
    whole: Expression = given if isinstance(given, Expression) else constant(given)
    places = np.arange(whole.size).reshape(whole.shape)
    return whole.gathered(places[:, direction] if by_batch else places[direction])
