"""Leaving off what turns scores into probabilities or a class: the last softmax, sigmoid or argmax of a module."""

from __future__ import annotations

from typing import Any

import torch

from tropnet.importers.torch.affine_steps import step_name
from tropnet.importers.torch.tracing import Trace

__all__ = ["without_last_step"]

_LAST = frozenset(
    ("softmax", "softmax2d", "softmin", "log_softmax", "logsoftmax", "sigmoid", "logsigmoid", "log_sigmoid", "argmax",
     "argmin")
)  # fmt: skip
_MOVES = frozenset(
    ("identity", "flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze", "ravel", "permute", "transpose",
     "contiguous", "dropout")
)  # fmt: skip
# The logarithm of probabilities is left off with what gives them.
_LOG = "log"


def without_last_step(graph: Trace) -> Trace:
    """Return a graph without softmax, sigmoid and argmax where only moves and logarithms follow; it is changed."""
    steps = graph.graph_module.graph
    output = next(node for node in steps.nodes if node.op == "output")
    node = output.args[0]
    logarithms: list[Any] = []
    while getattr(node, "op", "").startswith("call_"):
        source = next(iter((*node.args, *node.kwargs.values())), None)
        name = _name(graph, node)
        if name in _LAST:
            for step in (*logarithms, node):
                given = next(iter((*step.args, *step.kwargs.values())))
                if name == "softmin" and step is node:  # the softmax of the negative
                    with steps.inserting_before(node):
                        given = steps.call_function(torch.neg, (source,))
                step.replace_all_uses_with(given)
                steps.erase_node(step)
            logarithms = []
        elif name == _LOG:
            logarithms.append(node)
        elif name not in _MOVES:
            break
        node = source
    graph.graph_module.recompile()
    return graph


def _name(graph: Trace, node: Any) -> str | None:
    if node.op == "call_module":
        called = graph.called(node)
        return type(called).__name__.lower() if type(called).__module__.startswith("torch.nn.modules.") else None
    return step_name(node.op, node.target, node.args)
