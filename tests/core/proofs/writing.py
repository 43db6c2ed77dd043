"""Certificates for tests, written from columns by hand or by the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.strategies import halfspaces
from tropnet import Domain, Network
from tropnet.proofs.calls import plain_layers
from tropnet.proofs.files import Writer
from tropnet.proofs.statement import Statement, fingerprint

__all__ = ["statement_of", "write"]


def statement_of(net: Network, domain: Domain | None, **changes: Any) -> Statement:
    """Return what a certificate of all regions states, with other attributes where some are given."""
    sides = halfspaces(domain, net.n_inputs)
    rows, bounds = tuple(tuple(a) for a, _ in sides), tuple(b for _, b in sides)
    network = fingerprint(plain_layers(net), net.n_inputs)
    return replace(Statement(network, net.n_inputs, net.n_neurons, rows, bounds), **changes)


def write(path: Path, statement: Statement, regions: Sequence[Mapping[str, Any]]) -> Path:
    """Write a file of these regions; what they leave out is empty."""
    empty = {"pattern": [b""] * 0}
    names = dict.fromkeys(name for region in regions for name in region)
    lists = {name: "" if name.endswith("exact") else [] for name in names}
    columns = {name: [region.get(name) or lists[name] or None for region in regions] for name in names}
    for name, values in columns.items():
        if not name.endswith("exact"):
            columns[name] = [[] if value is None else value for value in values]
    with Writer(path, statement) as writer:
        writer.append(columns or empty)
    return path
