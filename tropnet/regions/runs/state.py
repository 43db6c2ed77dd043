"""What a run is of, its pieces of work, and where they lead: values, and how lines of a journal say them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tropnet.network.domain import Domain, domain_from
from tropnet.regions.runs.lines import as_json

__all__ = ["Manifest", "OpenSubtree", "Part", "Piece", "RunState", "packed_subtrees", "state_line"]


@dataclass(frozen=True)
class Manifest:
    """What a run is of.

    Attributes
    ----------
    kind
        ``"regions"`` or ``"count"``.
    identity
        All that the result depends on, as JSON: the fingerprint of the network, domain, options, versions.
    """

    kind: str
    identity: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of kind and identity, hexadecimal."""
        return hashlib.sha256(as_json([self.kind, dict(self.identity)]).encode()).hexdigest()

    @property
    def domain(self) -> Domain:
        """The domain."""
        return domain_from(self.identity["domain"])


class OpenSubtree(NamedTuple):
    """A subtree that is still to be searched: its decisions as text, and its share of the tree."""

    text: str
    share: float


class Part(NamedTuple):
    """A file of regions: its name, how many there are, and its size in bytes."""

    name: str
    n_regions: int
    n_bytes: int


@dataclass(frozen=True)
class Piece:
    """A piece of work that is done.

    Attributes
    ----------
    took, left
        The numbers of the open subtrees that it took, and what it left of them, in the order of the search.
    n_regions
        How many regions it found; `regions` are they, as a Parquet file, unless the run only counts.
    undecided
        Decision prefixes that stayed undecided, as text.
    counters, seconds
        What the engine counted, and how long it took.
    """

    took: Sequence[int]
    left: Sequence[OpenSubtree]
    n_regions: int
    regions: bytes | None = None
    undecided: Sequence[str] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class RunState:
    """Where a run stands.

    Attributes
    ----------
    open
        By number, in the order of the search, what is still to be searched.
    failed
        By number, why subtrees of these could not be searched: the last error.
    n_numbered
        How many subtrees there have been.
    seconds, elapsed
        Of all pieces together, and by the clock while somebody worked at the run.
    n_sessions
        How many processes have worked at the run, one after the other.
    engine
        Which engine was chosen for it; empty before that.
    estimate
        About how many regions there are (`n_regions`), with the `standard_error`, and the `seconds` that one core takes
        about; None if nothing is known.
    """

    open: dict[int, OpenSubtree] = field(default_factory=lambda: {0: OpenSubtree("", 1.0)})
    failed: dict[int, str] = field(default_factory=dict)
    n_numbered: int = 1
    n_pieces: int = 0
    n_regions: int = 0
    parts: list[Part] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    elapsed: float = 0.0
    n_sessions: int = 0
    engine: str = ""
    estimate: dict[str, float] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to search."""
        return not self.open

    @property
    def fraction(self) -> float:
        """The share of the tree that is searched."""
        return 1.0 if self.finished else max(1.0 - sum(subtree.share for subtree in self.open.values()), 0.0)

    def replay(self, line: Mapping[str, Any]) -> None:
        """Take over what a line of the journal says."""
        if "state" in line:
            self.__dict__.update(_state_from(line["state"]).__dict__)
        elif "session" in line:
            self.n_sessions += 1
            # Whoever comes anew tries again.
            self.failed.clear()
        elif "engine" in line:
            self.engine = str(line["engine"])
        elif "estimate" in line:
            self.estimate = {name: float(value) for name, value in line["estimate"].items()}
        elif "failed" in line:
            self.fail(line["failed"], line["error"])
        else:
            if line["part"] is not None:
                self.parts.append(Part(line["part"], line["n_regions"], line["n_bytes"]))
            self.finish(_piece_from(line))
        self.elapsed += line.get("elapsed", 0.0)

    def finish(self, piece: Piece) -> list[int]:
        """Take over what a piece of work found and left; return the numbers of the subtrees that it left."""
        for number in piece.took:
            del self.open[number]
            self.failed.pop(number, None)
        numbers = list(range(self.n_numbered, self.n_numbered + len(piece.left)))
        self.open.update(zip(numbers, piece.left, strict=True))
        self.n_numbered += len(numbers)
        self.n_pieces += 1
        self.n_regions += piece.n_regions
        self.undecided += piece.undecided
        for name, value in piece.counters.items():
            self.counters[name] = self.counters.get(name, 0) + value
        self.seconds += piece.seconds
        return numbers

    def fail(self, number: int, error: str) -> None:
        """Take over that a subtree could not be searched."""
        self.failed[number] = error


def packed_subtrees(subtrees: Sequence[OpenSubtree]) -> list[list[Any]]:
    """Return subtrees as JSON: of each text, how much of it is that of the one before, and the rest."""
    packed, before = [], ""
    for text, share in subtrees:
        n = next((i for i, (one, other) in enumerate(zip(before, text, strict=False)) if one != other), len(before))
        n = min(n, len(text))
        packed.append([n, text[n:], share])
        before = text
    return packed


def _unpacked(packed: Sequence[Sequence[Any]]) -> list[OpenSubtree]:
    subtrees, before = [], ""
    for n, rest, share in packed:
        before = before[:n] + rest
        subtrees.append(OpenSubtree(before, share))
    return subtrees


def _piece_from(line: Mapping[str, Any]) -> Piece:
    left = _unpacked(line["left"])
    return Piece(line["took"], left, line["n_regions"], None, line["undecided"], line["counters"], line["seconds"])


def state_line(state: RunState) -> dict[str, Any]:
    """Return what a line says that holds a whole state."""
    values = dict(state.__dict__)
    values["open"] = [list(state.open), packed_subtrees(list(state.open.values()))]
    values["failed"] = list(state.failed.items())
    return {"state": values}


def _state_from(values: Mapping[str, Any]) -> RunState:
    numbers, packed = values["open"]
    return RunState(
        **{
            **values,
            "open": dict(zip(numbers, _unpacked(packed), strict=True)),
            "failed": dict(values["failed"]),
            "parts": [Part(*part) for part in values["parts"]],
        }
    )
