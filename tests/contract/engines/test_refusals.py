"""What an engine does not do it refuses, by a value with its reason; and `auto` never refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.contract.engines.cases import CASES, EMPTY, Case, the_case
from tests.contract.engines.engines import ENGINES, Candidate, engines
from tests.contract.engines.runs import run, task_of
from tropnet import (
    Box,
    DomainError,
    Network,
    Polytope,
    ShapeError,
    count_regions,
    enumerate_regions,
    estimate_regions,
    iter_regions,
)
from tropnet.enumeration.engine import Ability, Engine, Plan, Refusal, Sampling, Task
from tropnet.enumeration.engines import REGISTRY

NET = Network.random([2, 3, 1], seed=0)
WANTED = {
    Ability.FIXED: {"fixed": {0: True}},
    Ability.SAMPLING: {"sampling": Sampling(np.ones(NET.n_neurons + 1), 1)},
}


def test_every_engine_is_under_test() -> None:
    """The list of engines under test is the registry, in ordinary and in tiny instances of the same class."""
    assert [tested.name for tested in ENGINES] == list(REGISTRY)
    for tested in ENGINES:
        assert tested.engine == REGISTRY[tested.name]
        assert type(tested.tiny) is type(tested.engine)
        assert tested.tiny != tested.engine


@engines()
def test_engines_take_what_they_must_and_refuse_the_rest(tested: Candidate) -> None:
    """An engine takes exactly the cases that it is said to, by a plan; else it gives a reason, never an error."""
    taken = []
    for item in CASES:
        answer = tested.engine.prepare(task_of(item.net, item.domain))
        if tested.takes(item.net, item.domain):
            assert isinstance(answer, Plan), (item.name, answer)
            taken.append(item)
        else:
            assert isinstance(answer, Refusal), item.name
            assert answer.reason.startswith(f"engine {tested.name!r} ")
            assert answer.reason.endswith(".")
            assert answer.missing is None
    # No kind of domain and hardly a kind of network is left out altogether.
    assert {item.name.split(", ")[1] for item in taken if ", " in item.name} == {
        item.name.split(", ")[1] for item in CASES if ", " in item.name
    }
    n_inputs = {item.net.n_inputs for item in taken}
    asked = {item.name.split(", ")[0] for item in CASES if item.net.n_inputs in n_inputs}
    left_out = asked - {item.name.split(", ")[0] for item in taken}
    assert left_out <= {"no hidden layer"}


@pytest.mark.parametrize("ability", WANTED, ids=lambda ability: ability.name)
@engines()
def test_abilities_are_what_engines_can_do(tested: Candidate, ability: Ability) -> None:
    """A task that asks for an ability gets a plan from engines that have it, and of others a refusal that names it."""
    task = task_of(NET, None, **WANTED[ability])
    assert task.asks_for == {ability}
    answer = tested.engine.prepare(task)
    if ability in tested.engine.abilities:
        assert isinstance(answer, Plan)
        assert run(answer).n_regions > 0
    else:
        assert answer == Refusal(f"engine {tested.name!r} cannot {ability.value}.", ability)


def test_public_calls_name_the_engines_that_can() -> None:
    """A refusal becomes a `ValueError` with its reason and the engines that have the ability that is missing."""
    able = ", ".join(repr(tested.name) for tested in ENGINES if Ability.SAMPLING in tested.engine.abilities)
    for tested in ENGINES:
        if Ability.SAMPLING not in tested.engine.abilities:
            with pytest.raises(ValueError, match=rf"engine {tested.name!r} cannot sample its tree. These can: {able}."):
                estimate_regions(NET, engine=tested.name)


@pytest.mark.parametrize("network", ["no hidden layer", "late inputs", "constant"])
def test_unfit_problems_are_refused_by_every_public_call(network: str) -> None:
    """No hidden layer, or cells with lines: the engine says so and names others, and `auto` copes."""
    unfit = the_case(network, "R^d", 2)
    for tested in ENGINES:
        calls = [enumerate_regions, count_regions, iter_regions]
        if Ability.SAMPLING in tested.engine.abilities:
            calls.append(estimate_regions)
        for call in calls:
            if not tested.takes(unfit.net, unfit.domain):
                with pytest.raises(ValueError, match=rf"engine {tested.name!r} needs .*use engine=.*'lp'"):
                    call(unfit.net, unfit.domain, engine=tested.name)
    assert count_regions(unfit.net, unfit.domain) == len(unfit.patterns)


def test_too_many_inputs_are_refused_by_engines_that_depend_on_them() -> None:
    """Nine inputs are too many for the vertex engine, 129 for the simplex engine; `auto` takes another."""
    for name, d in (("vertex", 9), ("simplex", 129)):
        net = Network.mlp([np.eye(d)[:2], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        with pytest.raises(ValueError, match=f"engine '{name}' needs .*at most {d - 1} inputs"):
            enumerate_regions(net, Box(-1, 1), engine=name)
        assert count_regions(net, Box(-1, 1)) == 4


def test_auto_never_refuses() -> None:
    """On every kind of network and domain `auto` counts what the oracle counts."""
    for item in CASES:
        assert count_regions(item.net, item.domain) == len(item.patterns), item.name


# --- errors are errors


@pytest.mark.parametrize("kind", EMPTY)
@engines()
def test_empty_domains_are_errors(tested: Candidate, kind: str) -> None:
    """No engine answers "no regions" for an empty domain: public calls name its rows, and plans raise, too."""
    domain, message = EMPTY[kind]
    for call in (enumerate_regions, count_regions, iter_regions):
        with pytest.raises(DomainError, match=message):
            call(NET, domain, engine=tested.engine)
        with pytest.raises(DomainError, match=message):
            call(NET, domain)
    # An engine is given domains with interior: of others, it has nothing to start from.
    for without in (domain, Polytope([[1, 1], [-1, -1]], [0, 0])):
        plan = tested.engine.prepare(task_of(NET, without))
        assert isinstance(plan, Plan)
        with pytest.raises(DomainError):
            run(plan)


@engines()
def test_domains_of_another_dimension_are_errors(tested: Candidate) -> None:
    """A domain for another number of inputs is an error about the domain, not a refusal of the engine."""
    for engine in (tested.engine, "auto"):
        for domain in (Box([-1.0] * 3, [1.0] * 3), Polytope(np.eye(3), np.ones(3))):
            with pytest.raises((DomainError, ShapeError), match=r"dimension|inputs"):
                count_regions(NET, domain, engine=engine)


class Spy(Engine):
    """An engine that counts how often it is asked for a plan, and may raise an error of its own."""

    def __init__(self, inner: Engine, error: Exception | None = None) -> None:
        self.name, self.abilities, self.compiled = inner.name, inner.abilities, inner.compiled
        self.inner, self.error, self.tasks = inner, error, []

    def _plan(self, task: Task) -> Plan | Refusal:
        self.tasks.append(task)
        if self.error is not None:
            raise self.error
        return self.inner.prepare(task)


@pytest.mark.parametrize("error", [ShapeError("of an engine"), DomainError("of an engine"), TypeError("of an engine")])
def test_errors_of_engines_are_not_taken_for_refusals(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an engine raises instead of refusing, nobody swallows that and tries the next."""
    with pytest.raises(type(error), match="of an engine"):
        count_regions(NET, engine=Spy(REGISTRY["lp"], error))
    for name, engine in list(REGISTRY.items()):
        monkeypatch.setitem(REGISTRY, name, Spy(engine, error))
    with pytest.raises(type(error), match="of an engine"):
        count_regions(NET)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (the_case("generic", "box", 2), ["polygon"]),
        (the_case("few combinations", "R^d", 2), ["polygon", "simplex"]),
        (the_case("no hidden layer", "box", 2), ["polygon", "simplex", "lp"]),
        (Case("five inputs", Network.random([5, 5, 1], seed=0), Box(-1, 1)), ["vertex"]),
        (Case("seven inputs", Network.random([7, 7, 1], seed=0), Box(-1, 1)), ["simplex"]),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_auto_asks_each_engine_at_most_once(item: Case, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every public call asks the engines in order, each once at most, until one has a plan; and one by name, once."""
    asked: list[str] = []

    class Recording(Spy):
        def _plan(self, task: Task) -> Plan | Refusal:
            asked.append(self.name)
            return super()._plan(task)

    spies = {name: Recording(engine) for name, engine in REGISTRY.items()}
    for name, spy in spies.items():
        monkeypatch.setitem(REGISTRY, name, spy)
    for call in (enumerate_regions, count_regions, lambda *problem: list(iter_regions(*problem)), estimate_regions):
        asked.clear()
        call(item.net, item.domain)
        assert asked == expected
    asked.clear()
    count_regions(item.net, item.domain, backend="exact")
    assert asked == ["lp"]
    for name in ("lp", "reference"):
        asked.clear()
        count_regions(item.net, item.domain, engine=name)
        assert asked == [name]


def test_a_plan_does_not_change_its_task() -> None:
    """Plans carry the task that they were asked for, which is a frozen value: another task is another plan."""
    for tested in ENGINES:
        task = task_of(NET, None)
        plan = tested.engine.prepare(task)
        other = plan.adapted(replace(task, only_count=True))
        assert (plan.task, other.task.only_count) == (task, True)
        assert not task.only_count
