"""Hypothesis strategies of tensor shapes and options, for operators and linear CNNs."""

import numpy as np
from hypothesis import strategies as st

__all__ = ["generator", "option", "shapes"]


def generator(data):
    """Draw a seeded generator: random weights do not need to shrink."""
    return np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))


@st.composite
def shapes(draw, groups, *, shortest=1, longest=7):
    """Draw (channels, length) or (channels, height, width); `groups` divides the channels."""
    n_axes = draw(st.integers(1, 2))
    channels = groups * draw(st.integers(1, 2))
    return (channels, *draw(st.lists(st.integers(shortest, longest), min_size=n_axes, max_size=n_axes)))


def option(n_axes, low, high):
    """Draw one integer for all axes or one per axis."""
    values = st.integers(low, high)
    return st.one_of(values, st.lists(values, min_size=n_axes, max_size=n_axes).map(tuple))
