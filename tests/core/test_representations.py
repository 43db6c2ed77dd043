"""What results look like when they are printed: a line of numbers, no raw arrays of bits, no certificates."""

import pytest

import tropnet as tn

NET, OTHER, BOX = tn.Network.random([2, 30, 2], seed=0), tn.Network.random([2, 30, 2], seed=1), tn.Box(-1, 1)
RESULTS = {
    "maximum": lambda: tn.maximum(NET, BOX, 0),
    "lipschitz_constant": lambda: tn.lipschitz_constant(NET, BOX),
    "distance_to_boundary": lambda: tn.distance_to_boundary(NET, [0.0, 0.0], BOX),
    "same_function, different": lambda: tn.same_function(NET, OTHER, BOX),
    "same_function, equal": lambda: tn.same_function(NET, NET, BOX),
    "statistics": lambda: tn.statistics(tn.enumerate_regions(NET, BOX, facets=True)),
    "regions": lambda: tn.enumerate_regions(NET, BOX),
    "linear_regions": lambda: tn.linear_regions(tn.enumerate_regions(NET, BOX, facets=True)),
    "decision_boundary": lambda: tn.decision_boundary(tn.enumerate_regions(NET, BOX, facets=True)),
    "regions_near": lambda: tn.regions_near(NET, [0.0, 0.0], BOX, max_regions=3),
    "estimate_regions": lambda: tn.estimate_regions(NET, BOX),
    "compile_regions": lambda: tn.compile_regions(NET, BOX),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_print_as_one_short_line(case):
    text = repr(RESULTS[case]())
    assert len(text) < 160
    assert "\n" not in text
    assert "array(" not in text
    assert "homogeneous" not in text


def test_regions_too_far_to_draw():
    """A box of 1.7e308 is refused by its size, not by an x that nobody gave."""
    with pytest.raises(tn.DomainError, match=r"regions reach to 1\.7e\+308, too far to draw in float64"):
        tn.plot_regions(tn.enumerate_regions(tn.Network.random([2, 4, 1], seed=0), tn.Box(-1.7e308, 1.7e308)))
