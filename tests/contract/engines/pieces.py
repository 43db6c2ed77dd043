"""Searches in pieces: what runs hand over is searched again until nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tests.contract.engines.runs import Run, prepared
from tropnet.enumeration.engine import Chunk, Plan, Rest, Sharing
from tropnet.enumeration.engines.lp import LpEngine

__all__ = ["Pieces"]


class Pieces:
    """A search in pieces: runs hand over what they have left, which is searched again, as subtrees or as it is.

    With a seed, `Sharing.wanted` and `Sharing.split` are random, and what goes on as it is, else everything is handed
    over as subtrees at every look. A subtree of which nothing was decided before is searched with twice the patience.
    """

    def __init__(self, plan: Plan, seed: int | None) -> None:
        self.plan = plan
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.chunks: list[Chunk] = []
        # What is left: its share of all, and of all the share of the tree that it says its own shares of.
        self.open: list[tuple[Rest | Mapping[int, bool], float, float, int]] = [(plan.task.fixed, 1.0, 1.0, 1)]
        while self.open:
            self._search(*self.open.pop())

    def _search(self, work: Rest | Mapping[int, bool], share: float, tree: float, patience: int) -> None:
        looks, rests = 0, []

        def wanted() -> bool:
            nonlocal looks
            looks += 1
            return looks > patience and (self.rng is None or self.rng.random() < 0.5)

        def split(n: int) -> int:
            assert n > 0
            return n if self.rng is None else int(self.rng.integers(0, n + 1))

        builder = self.plan.builder()
        builder.sharing = Sharing(wanted, rests.append, split)
        self.chunks += work.run(builder) if isinstance(work, Rest) else self._below(work).run(builder)
        left: list[tuple[Rest | Mapping[int, bool], float, float, int]] = []
        for rest in rests:
            parts = [(fixed, tree * part, tree * part, 1) for fixed, part in rest.subtrees()]
            as_it_is = self.rng is not None and self.rng.random() < 0.5
            left += [(rest, sum(part for _, part, _, _ in parts), tree, 1)] if as_it_is else parts
        if len(left) == 1 and left[0][0] == work:
            left = [(work, share, tree, 2 * patience)]
        assert sum(part for _, part, _, _ in left) + tree * builder.fraction == pytest.approx(share, rel=1e-9)
        self.open += left

    def _below(self, fixed: Mapping[int, bool]) -> Plan:
        task = replace(self.plan.task, fixed=fixed)
        plan = self.plan.adapted(task)
        return plan if isinstance(plan, Plan) else prepared(LpEngine(seconds_per_chunk=0.0), task)

    @property
    def found(self) -> Run:
        """What all pieces found."""
        return Run(self.plan.task.network, tuple(self.chunks), self.plan.builder())
