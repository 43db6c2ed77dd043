"""Every engine finds every pattern that occurs, once, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import show
from tests.contract.engines.cases import PLAIN, Case
from tests.contract.engines.engines import ENGINES, Candidate, asked
from tests.contract.engines.laws import check_regions
from tests.contract.engines.runs import prepared, run, run_case, task_of
from tests.oracles.zaslavsky import zaslavsky
from tests.strategies import problems
from tropnet import Domain, Network, Tolerances, enumerate_regions

N = settings().max_examples


@asked(fewer=PLAIN)
def test_the_patterns_are_those_of_the_oracle(tested: Candidate, cases: list[Case]) -> None:
    """On every kind of network and domain the patterns are those of brute force or of clipped polygons."""
    for case in cases:
        found = run_case(tested.engine, case)
        assert found.patterns == case.patterns
        assert found.undecided == []


@pytest.mark.parametrize("n_inputs", [1, 2, 3])
@settings(max_examples=2 * N)
@given(data=st.data())
def test_drawn_problems(n_inputs: int, data: st.DataObject) -> None:
    """On drawn problems all engines find the patterns of the brute force, whatever proposes the decisions and how."""
    net, domain = data.draw(problems(n_inputs, max_neurons=7 if n_inputs < 3 else 6))
    backend = data.draw(st.sampled_from(["highs", "exact"]))
    slack = data.draw(st.sampled_from([1e-9, 1e-9, 0.0, 1e-16, 1e-4, 0.5, 0.999]))
    show(net, domain)
    drawn = Case("drawn", net, domain)
    for tested in ENGINES:
        # Two to the number of neurons linear programs: what Algorithm 2 is not for.
        if tested.takes(net, domain) and (tested.max_neurons > net.n_neurons + 1 or net.n_neurons < 6):
            check_regions(
                drawn,
                enumerate_regions(net, domain, engine=tested.name, backend=backend, tolerances=Tolerances(slack=slack)),
            )


@settings(max_examples=N // 3)
@given(problem=problems(max_neurons=3))
def test_drawn_problems_by_cvxpy(problem: tuple[Network, Domain | None]) -> None:
    """Over the cvxpy backend, too, all engines find the patterns of the brute force."""
    net, domain = problem
    show(net, domain)
    drawn = Case("drawn", net, domain)
    for tested in ENGINES:
        if tested.takes(net, domain):
            check_regions(drawn, enumerate_regions(net, domain, engine=tested.name, backend="cvxpy"))


def arrangement(n: int, d: int, scale: float) -> Network:
    """Return one layer of n hyperplanes in general position in R^d."""
    rng = np.random.default_rng(0)
    return Network.mlp([rng.normal(size=(n, d)), np.ones((1, n))], [scale * rng.normal(size=n), [0]])


ARRANGEMENTS = [
    pytest.param(tested, d, n, scale, id=f"{tested.name}-{n} in R^{d}-{scale}")
    for tested in ENGINES
    for d, n in ((2, 7), (3, 8), (6, 7), (2, 40), (3, 20), (6, 11), (8, 9), (10, 11), (2, 230))
    for scale in (*((1e-12, 1e12) if n < 9 else (1e-9, 1e9) if n <= 40 else ()), 1.0)
    if tested.is_asked(arrangement(n, d, scale), None, zaslavsky(n, d))
]


@pytest.mark.parametrize(("tested", "d", "n", "scale"), ARRANGEMENTS)
def test_one_layer_has_the_count_of_zaslavsky(tested: Candidate, d: int, n: int, scale: float) -> None:
    """One layer in general position has sum C(n, i) cells in R^d, at any scale of its biases, and in many words."""
    net = arrangement(n, d, scale)
    found = run(prepared(tested.engine, task_of(net, None, only_count=scale != 1.0)))
    assert found.n_regions == zaslavsky(n, d)
    if scale == 1.0:
        assert len(found.patterns) == zaslavsky(n, d)
