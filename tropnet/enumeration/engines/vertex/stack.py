"""The state of a search by vertices: an explicit stack of cells, and what the numbers in it mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.kernels import Record

__all__ = [
    "ASIDE",
    "BRANCHINGS",
    "COMPLETING",
    "DECIDING",
    "DECISIONS",
    "DONE",
    "ENTERING",
    "FREE",
    "FULL",
    "GROW",
    "LEAF",
    "LOOKING",
    "MOST_SLOTS",
    "N_FRAMES",
    "N_MEMO",
    "N_PRICES",
    "N_TOTALS",
    "PAIRING",
    "QUERY",
    "RANGING",
    "REFINED",
    "REFINING",
    "ROUNDING",
    "SPLITTING",
    "UNCERTAIN",
    "VANISHED",
    "Stack",
]

DONE, FULL, GROW, QUERY, ASIDE = 0, 1, 2, 3, 4
FREE = 2
N_TOTALS = 7
N_FRAMES, N_MEMO, DECISIONS, BRANCHINGS, UNCERTAIN, REFINED, VANISHED = range(N_TOTALS)
N_PRICES = 9
DECIDING, LOOKING, LEAF, ENTERING, RANGING, COMPLETING, SPLITTING, PAIRING, REFINING = range(N_PRICES)
# Of neurons at a time; their signs at a generator are bits of a word.
MOST_SLOTS = 64
# Products and sums of D terms are wrong by less than this times D, relatively.
ROUNDING = 8.0 * UNIT_ROUNDOFF


class Stack(NamedTuple):
    """The state of a search; it can be left and entered again."""

    X: NDArray[np.float64]  # (P, D + S) generators, then z there by slot
    radius: NDArray[np.float64]  # (P,)
    tight: NDArray[np.uint64]  # (P,)
    positive: NDArray[np.uint64]  # (P,) by slot: z is certainly positive there, negative, zero
    negative: NDArray[np.uint64]
    zero: NDArray[np.uint64]
    members: NDArray[np.int32]  # (P,) the lists of the frames, one above the other
    owner: NDArray[np.int32]  # (F, 64): by bit of a mask, the place of its row (`RowIndex`), INFINITY included
    layer: NDArray[np.int64]  # (F,)
    start: NDArray[np.int64]  # (F,) into `members`
    size: NDArray[np.int64]  # (F,)
    top: NDArray[np.int64]  # (F,) into the pool
    simple: NDArray[np.bool_]  # (F,)
    spread: NDArray[np.float64]  # (F,) largest radius
    level: NDArray[np.int64]  # (F,) how many tables of slots there are up to the frame's own
    open: NDArray[np.uint64]  # (F,) by slot: undecided
    some_positive: NDArray[np.uint64]  # (F,) by slot: at some generator
    some_negative: NDArray[np.uint64]
    some_zero: NDArray[np.uint64]
    certain: NDArray[np.uint64]  # (F,) by slot: the sign at all generators is certain
    tried: NDArray[np.bool_]  # (F,) whether the regions of the last layer could not be counted by flats
    n_later: NDArray[np.int64]  # (F,)
    later: NDArray[np.int32]  # (F, widest) undecided neurons of the layer that have no slot yet
    layers: NDArray[np.int64]  # (levels,) of which the slots are
    n_slots: NDArray[np.int64]  # (levels,)
    slots: NDArray[np.int32]  # (levels, S) neurons of the layer
    norms: NDArray[np.float64]  # (levels, S) of their rows
    wrong: NDArray[np.float64]  # (levels, S) errors of their rows
    share: NDArray[np.float64]  # (F,)
    bits: NDArray[np.uint64]  # (F, words)
    cuts: NDArray[np.uint64]  # (F, words)
    sides: NDArray[np.float64]  # (m + 1, D) rows of the domain, then infinity; exact
    fixed: NDArray[np.uint8]  # (n_neurons,) bits decided beforehand, or FREE
    state: NDArray[np.uint8]  # (n_neurons,) bits decided on entering the layer, or PENDING
    listed: NDArray[np.int32]  # (L, widest) the neurons that are pending
    n_listed: NDArray[np.int64]  # (L,)
    low: NDArray[np.float64]  # (widest,) scratch: range of z over the generators
    high: NDArray[np.float64]
    z: NDArray[np.float64]
    gathered: NDArray[np.float64]  # (D * widest,) scratch: rows of some neurons of the layer
    candidates: NDArray[np.int32]  # (widest,) scratch: which
    bounds: NDArray[np.float64]  # (S,) scratch
    all: NDArray[np.int32]  # (P,) scratch: the generators of a frame
    across: NDArray[np.int32]  # (P,) scratch: those on the inactive side, and what is tight there
    across_tight: NDArray[np.uint64]  # (P,)
    flat_start: NDArray[np.int64]  # (D + 1,) scratch, by codimension: the generators of a flat in `members`
    flat_size: NDArray[np.int64]
    flat_open: NDArray[np.uint64]  # (D + 1,) its slots that are still to be restricted
    flat_top: NDArray[np.int64]  # (D + 1,) into the pool
    flat_simple: NDArray[np.bool_]  # (D + 1,)
    asked: NDArray[np.int64]  # (2,) the neuron of the layer that `memo` is about, and its slot
    rows: NDArray[np.float64]  # (D, D) scratch: facets of a generator, and what belongs to them
    inverse: NDArray[np.float64]  # (D, D)
    errors: NDArray[np.float64]  # (D,)
    residual: NDArray[np.float64]  # (D,)
    order: NDArray[np.int64]  # (D,)
    row_x: NDArray[np.float64]  # (D,)
    row_m: NDArray[np.float64]  # (D,)
    scratch: NDArray[np.uint8]  # (n_neurons + L,)
    memo: NDArray[np.int64]  # (P, 2) generators whose sign the caller gives (2: asked for)
    targets: NDArray[np.float64]  # by stratum, of the sampling; empty to keep all
    free: NDArray[np.int64]  # (1,): keep all down to this depth
    depth: NDArray[np.int64]  # (F,) branchings on the path
    weight: NDArray[np.float64]  # (F,) inverse of the probability that the frame was kept
    phase: NDArray[np.float64]  # by stratum, of the sampling
    nodes: NDArray[np.float64]  # by stratum: weighted number of nodes
    leaves: NDArray[np.float64]  # (4,) weighted number of leaves; nodes left out; cost at `prices`, and weighted
    prices: NDArray[np.float64]  # (N_PRICES, L): see `_price`
    totals: NDArray[np.int64]
    done: NDArray[np.float64]  # (1,) fraction of the tree
    residues: Record  # of `Residues`; none before the first query
    goal: Record  # of `Pursuit`
