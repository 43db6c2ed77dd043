"""Fits the prices by which the engines tell what a search costs: counted operations against measured times.

    python -m benchmarks.prices

prints for each compiled engine its prices, and by which factor the time of each run is off. What matters is the ratio
of two engines on the same task, as `auto` goes by it. Copy the prices into the engines when these have become faster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.optimize import nnls

import tropnet as tn
from benchmarks.networks import Case
from tropnet.enumeration.engine import Plan, Sampling, Task
from tropnet.enumeration.engines import REGISTRY
from tropnet.enumeration.engines.simplex import state
from tropnet.enumeration.engines.vertex import engine
from tropnet.network.domain import as_domain

# Each takes up to a tenth of a second.
CASES = (
    Case(2, (64, 64, 64), 4.0),
    Case(2, (16,) * 3, 100.0),
    Case(2, (256,) * 3, 0.5),
    Case(2, (600, 600), 0.1),
    Case(3, (32, 32), 3.0),
    Case(3, (128,) * 2, 0.5),
    Case(3, (20, 20), None),
    Case(4, (16, 16), 3.0),
    Case(4, (10,) * 6, 2.0),
    Case(4, (8, 8), None),
    Case(5, (12, 12), 3.0),
    Case(5, (50,) * 6, 0.12),
    Case(5, (100,) * 2, 0.05),
    Case(6, (12, 12), 0.7),
    Case(6, (16,), 1.0),
    Case(8, (10, 10), 0.6),
    Case(8, (40, 40), 0.03),
)
TASKS: dict[str, dict[str, bool]] = {"count": {"only_count": True}, "list": {}, "facets": {"facets": True}}


@contextmanager
def _prices(module: Any, prices: Any) -> Iterator[None]:
    before, module.PRICES = module.PRICES, tuple(prices)
    try:
        yield
    finally:
        module.PRICES = before


def _run(name: str, case: Case, options: dict[str, bool]) -> tuple[float, float]:
    """Return the seconds that a run takes, and what it says that it costs."""
    net = case.network(0)
    keeping = Sampling(np.full(net.n_neurons + 1, np.inf), 0, free=10**6)
    domain = as_domain(case.domain, case.inputs)
    plan = REGISTRY[name].prepare(Task(net, domain, "highs", tn.Tolerances(), sampling=keeping, **options))
    if not isinstance(plan, Plan):
        raise TypeError(plan.reason)
    begin = time.process_time()
    cost = sum(chunk.sample.cost for chunk in plan.run(plan.builder()) if chunk.sample is not None)
    return time.process_time() - begin, cost


def fit(name: str, module: Any) -> None:
    """Fit the prices of an engine, which are in `module.PRICES`, and print them."""
    n = len(module.PRICES)
    table, seconds, labels = [], [], []
    for case in CASES:
        for task, options in TASKS.items():
            with _prices(module, np.zeros(n)):
                best = min(_run(name, case, options)[0] for _ in range(2))
            row = []
            for k in range(n):
                with _prices(module, np.eye(n)[k]):
                    row.append(_run(name, case, options)[1])
            table.append([1.0, *row])
            seconds.append(best)
            labels.append(f"{case}, {task}")
    A, b = np.array(table), np.array(seconds)
    # The least squares of relative errors.
    size = np.maximum(A.max(axis=0), 1e-300)
    prices = nnls(A / b[:, None] / size, np.ones(len(b)))[0] / size
    print(name, "a run", f"{prices[0]:.2e}", "PRICES = (" + ", ".join(f"{price:.2e}" for price in prices[1:]) + ")")
    for label, predicted, measured in zip(labels, A @ prices, b, strict=True):
        print(f"  {measured:8.4f} s, off by {predicted / measured:5.2f}  {label}")


if __name__ == "__main__":
    fit("vertex", engine)
    fit("simplex", state)
