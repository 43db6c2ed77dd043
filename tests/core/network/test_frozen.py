"""What follows from a frozen value alone is computed once, and stays with it only."""

import copy
import pickle

import pytest

from tropnet import Box, Network, Polytope

VALUES = {
    "network": Network.random([2, 3, 1], seed=0),
    "box": Box(-1, [1.0, 2.0]),
    "polytope": Polytope([[1.0, 1.0]], [1.0]),
}


@pytest.mark.parametrize("name", VALUES)
def test_it_is_computed_once(name):
    value, calls = VALUES[name], []

    def make(given):
        calls.append(given)
        return len(calls)

    assert (value.derived(make), value.derived(make)) == (1, 1)
    assert calls == [value]


@pytest.mark.parametrize("name", VALUES)
def test_copies_and_pickles_leave_it_behind(name):
    value = VALUES[name]
    # No function made here could be pickled with it.
    value.derived(lambda given: (given, "derived"))
    for other in (pickle.loads(pickle.dumps(value)), copy.copy(value)):  # noqa: S301
        assert other.derived(id) == id(other)
        assert repr(other) == repr(value)


def test_a_box_for_all_dimensions_is_expanded_once_for_each():
    box = Box(-1, 1)
    assert box.expanded(3) is box.expanded(3)
    assert [box.expanded(d).dimension for d in (2, 3)] == [2, 3]
