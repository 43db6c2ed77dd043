"""An engine that is slow, fails, or kills its process, everywhere or at one region; and what directories hold."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tropnet.enumeration.engine import Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.enumeration.engines.vertex.engine import VertexEngine
from tropnet.regions.runs.journal import part_path, read_state


@dataclass(frozen=True)
class Faulty(Engine):
    """The vertex engine in slices of 256 steps, with a fault; it goes by the same name.

    Attributes
    ----------
    fault
        What happens in a piece of work before a slice is told: ``"sleep"`` for 20 ms, ``"raise"`` an error, ``"exit"``
        or ``"kill"`` the process; or nothing.
    target
        The packed pattern of the region at which it does; None is everywhere.
    """

    name = "vertex"
    abilities = VertexEngine.abilities
    compiled = True
    divides = True
    fault: str | None = None
    target: bytes | None = None
    inner: VertexEngine = field(default_factory=lambda: VertexEngine(steps=256))

    def _plan(self, task: Task) -> Plan | Refusal:
        return self.with_fault(self.inner.prepare(task))

    def with_fault(self, answer: Plan | Refusal) -> Plan | Refusal:
        return _FaultyPlan(self, answer) if isinstance(answer, Plan) else answer


class _FaultyPlan(Plan):
    def __init__(self, engine: Faulty, sound: Plan) -> None:
        self.engine, self.task, self.sound = engine, sound.task, sound

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        # Without others to share with, somebody only asks how large the tree is.
        faulty, in_a_piece = self.engine, builder.sharing is not None
        for chunk in self.sound.run(builder):
            if in_a_piece and (faulty.target is None or faulty.target in map(bytes, chunk.packed)):
                if faulty.fault == "sleep":
                    time.sleep(0.02)
                elif faulty.fault == "raise":
                    raise ArithmeticError("a fault")
                elif faulty.fault == "exit":
                    os._exit(1)
                elif faulty.fault == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
            yield chunk

    def adapted(self, task: Task) -> Plan | Refusal:
        return self.engine.with_fault(self.sound.adapted(task))


def distinct_rows(*packed: np.ndarray) -> set[bytes]:
    """Return packed patterns as a set; fails if one comes twice."""
    listed = [bytes(row) for rows in packed for row in rows]
    assert len(set(listed)) == len(listed), "a pattern comes twice"
    return set(listed)


def patterns_in(path: Path) -> set[bytes]:
    """Return the packed patterns of the parts that the journal of a run names; fails if one comes twice."""
    listed: list[bytes] = []
    for part in read_state(path).parts:
        listed += pq.read_table(part_path(path, part), columns=["pattern"])["pattern"].to_pylist()
    assert len(set(listed)) == len(listed), "a pattern comes twice"
    return set(listed)
