"""How one program is measured on one case, and how answers are compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import tropnet as tn
from benchmarks.networks import QUICK, Case
from benchmarks.published import Fixed
from tropnet.arrays.patterns import pack


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    seconds
        A round takes as many networks as this needs.
    rounds
        How often the same networks, drawn afresh, are done; the median counts.
    most_regions
        Where a network is cut off: no more is learnt from it.
    sample
        The same for programs that do some hundred regions a second.
    """

    seconds: float = 0.5
    rounds: int = 1
    most_regions: int = 1_000_000
    sample: int = 500


EFFORT = Effort(seconds=0.02, rounds=1, most_regions=1_000, sample=10) if QUICK else Effort()


@dataclass(frozen=True)
class Program:
    """One program doing one kind of work.

    Attributes
    ----------
    name, work
        For the report; equal work is compared.
    run
        (argument, case, max_regions) -> answer: what is timed.
    prepare
        Makes the argument from a network, untimed.
    patterns
        Returns the patterns of an answer, bool (R, n_neurons); None if it is only a count.
    slow
        One round over one network, cut off at `Effort.sample` if `can_stop`.
    divisor
        By which to divide where a network is cut off.
    exact
        Whether its answers must agree with the others'; else the report says how many do not.
    """

    name: str
    work: str
    run: Callable[[Any, Case | Fixed, int | None], Any]
    prepare: Callable[[tn.Network], Any] = lambda net: net
    patterns: Callable[[Any], np.ndarray] | None = None
    slow: bool = False
    can_stop: bool = True
    divisor: int = 1
    exact: bool = True


class Measure:
    """Measure programs, and compare all answers to the same question."""

    def __init__(self) -> None:
        self.answers: dict[tuple[Case | Fixed, int], tuple[str, int]] = {}
        self.patterns: dict[tuple[Case | Fixed, int], tuple[str, bytes]] = {}

    def __call__(self, benchmark: BenchmarkFixture, program: Program, case: Case | Fixed, topic: str) -> None:
        """Time `program` on the first networks of `case`, check its answers and note what the report needs."""
        most = (EFFORT.sample if program.slow else EFFORT.most_regions) // program.divisor
        limit = most if program.can_stop else None

        def networks(n: int) -> list[Any]:
            return [program.prepare(case.network(index)) for index in range(n)]

        def run(arguments: list[Any]) -> list[Any]:
            return [program.run(argument, case, limit) for argument in arguments]

        # Compiles and imports what the first call does.
        half_width = case.half_width if isinstance(case, Case) else 1.0
        small = Case(case.inputs, (case.inputs + 1, 2), half_width)
        program.run(program.prepare(small.network(0)), small, limit)
        n = 1
        if not program.slow:
            n = self._networks_for(EFFORT.seconds, lambda: run(networks(1)))
            # Whoever is first would pay for the memory that all answers of a round take.
            run(networks(n))
        results = benchmark.pedantic(run, setup=lambda: ((networks(n),), {}), rounds=EFFORT.rounds, iterations=1)
        counts = [result if program.patterns is None else len(program.patterns(result)) for result in results]
        n_differ = 0
        for index, (count, result) in enumerate(zip(counts, results, strict=True)):
            if not program.exact:
                n_differ += count != self.answers.get((case, index), (program.name, count))[1]
            elif count != limit:
                self._agree(self.answers, (case, index), program.name, count)
                if program.patterns is not None:
                    packed = np.unique(pack(program.patterns(result)), axis=0)
                    assert len(packed) == count, "a pattern comes twice"
                    self._agree(self.patterns, (case, index), program.name, packed.tobytes())
        benchmark.extra_info.update(
            topic=topic,
            architecture=case.architecture,
            domain=case.where,
            work=program.work,
            program=program.name,
            n_networks=n,
            n_cut_off=counts.count(limit),
            n_regions=sum(counts),
            n_differ=n_differ,
        )

    @staticmethod
    def _networks_for(seconds: float, run: Callable[[], Any]) -> int:
        """Return how many networks take so long, judging by the first."""
        begin = time.perf_counter()
        run()
        return math.ceil(seconds / (time.perf_counter() - begin))

    @staticmethod
    def _agree(answers: dict[Any, tuple[str, Any]], question: Any, program: str, answer: Any) -> None:
        first, expected = answers.setdefault(question, (program, answer))
        case, index = question
        shown = f": {answer} and {expected} regions" if isinstance(answer, int) else ""
        assert answer == expected, f"{program} and {first} differ on network {index} of {case}{shown}"


@pytest.fixture(scope="session")
def measure() -> Measure:
    """Measure programs, and compare all answers given in this run."""
    return Measure()
