"""tropnet's engines through the public calls."""

import inspect

import pytest

import tropnet as tn
from benchmarks.conftest import Program
from benchmarks.networks import ARCHITECTURES, EVERYWHERE, PEERS, PLAIN, PLANE, QUICK, SMALL_BOXES, SUBDIVIDED, SWEEPS
from benchmarks.published import TIES, published
from tropnet.enumeration import ENGINES
from tropnet.enumeration.engine import Plan, Task
from tropnet.enumeration.engines import REGISTRY
from tropnet.network.domain import as_domain

# "auto" first, which chooses among the others.
COMPILED = [engine for engine in ENGINES if engine not in ("lp", "reference")]
# With more inputs a cell has too many vertices.
MOST_INPUTS = {"vertex": 6}
MOST_INPUTS_FOR_FACETS = 8


def program(engine, work):
    """One engine doing one kind of work."""
    call, patterns = WORKS[work]
    return Program(
        engine,
        work,
        lambda net, case, limit: call(net, case.domain, engine=engine, max_regions=limit),
        patterns=patterns,
        slow=engine == "lp",
        divisor=1 if engine == "lp" else {"count": 1, "output": 5, "facets": 50}[work],
    )


# The kinds of work: the call, and how to read the patterns from what it returns.
WORKS = {
    "count": (tn.count_regions, None),
    "output": (tn.enumerate_regions, lambda regions: regions.patterns),
}

# --- Hook: all facets in bulk, as soon as the enumeration can keep them.
if "facets" in inspect.signature(tn.enumerate_regions).parameters:

    def _with_facets(*args, **options):
        regions = tn.enumerate_regions(*args, facets=True, **options)
        regions.facets()
        return regions

    WORKS["facets"] = (_with_facets, lambda regions: regions.patterns)
# ---


def runs(cases, engines):
    """Pairs of a case and an engine made for it."""
    pairs = [(case, engine) for case in dict.fromkeys(cases) for engine in engines]
    return [
        (case, engine)
        for case, engine in pairs
        if case.inputs <= MOST_INPUTS.get(engine, case.inputs) and (engine == "auto" or takes(engine, case))
    ]


def takes(engine, case):
    """Whether an engine does not refuse a case."""
    domain = as_domain(case.domain, case.inputs)
    return isinstance(REGISTRY[engine].prepare(Task(case.network(0), domain, "highs", tn.Tolerances())), Plan)


@pytest.mark.parametrize(
    ("case", "engine", "work"),
    [
        (case, engine, work)
        for case, engine in runs([*ARCHITECTURES, *EVERYWHERE, *PEERS, *PLAIN, *SUBDIVIDED], [*COMPILED, "lp"])
        for work in (WORKS if engine != "lp" else ["output"])
        if (work != "facets" or case.inputs <= MOST_INPUTS_FOR_FACETS)
        and (engine != "lp" or case not in (*PLANE, *SMALL_BOXES))
    ],
    ids=str,
)
def test_architectures(benchmark, measure, case, engine, work):
    """Every engine on the architectures: how fast, and that all agree."""
    measure(benchmark, program(engine, work), case, "architectures")


@pytest.mark.parametrize(
    ("topic", "case", "engine"),
    [(topic, *run) for topic, cases in SWEEPS.items() for run in runs(cases, COMPILED[1:])],
    ids=str,
)
def test_growth(benchmark, measure, topic, case, engine):
    """How the cost of a region grows with the number of regions, width, depth, dimension and skips."""
    measure(benchmark, program(engine, "count"), case, topic)


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("case", [*TIES, *published()], ids=str)
def test_published_networks(benchmark, measure, case, work):
    """Networks as they are: trained and published, and with ties."""
    if QUICK and case.inputs > 2 and case not in TIES:
        pytest.skip("a published network takes longer to read than to measure")
    topic = "ties" if case in TIES else "published"
    measure(benchmark, program("auto", work), case, topic)
