"""`auto` takes the engine that a pilot finds faster, the same each time, and loses nothing when it changes over."""

import pytest

from tests.checks import distinct
from tropnet import Box, Network, count_regions, enumerate_regions, iter_regions


@pytest.mark.parametrize(
    ("inputs", "widths", "facets", "engine"),
    [(3, (32, 32), False, "vertex"), (5, (12, 12), True, "vertex"), (6, (12, 12), False, "simplex")],
)
def test_the_choice_depends_on_the_task_and_not_on_the_clock(inputs, widths, facets, engine):
    """Three inputs stay with the vertex engine, six with simplex; with facets five change over after the trial."""
    net, domain = Network.random([inputs, *widths, 1], seed=0), Box([-3.0] * inputs, 3.0)
    found = [enumerate_regions(net, domain, facets=facets) for _ in range(2)]
    assert [regions.stats["engine"] for regions in found] == [engine] * 2
    assert found[0].packed.tolist() == found[1].packed.tolist()
    alone = enumerate_regions(net, domain, engine=engine)
    assert found[0].packed.tolist() == alone.packed.tolist()
    assert count_regions(net, domain) == len(alone)
    assert count_regions(net, domain, workers=2) == len(alone)
    if facets:
        assert distinct(tuple(region.pattern.tolist()) for region in iter_regions(net, domain)) == distinct(
            map(tuple, alone.patterns.tolist())
        )
    limit = len(alone) - 1
    part = enumerate_regions(net, domain, facets=facets, max_regions=limit)
    assert len(part) == limit
    assert not part.complete
