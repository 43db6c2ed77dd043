"""Other programs whose answers are compared: how they take a network, and what they return."""

from __future__ import annotations

import os
import sys
from itertools import product
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

import tropnet as tn
from benchmarks.networks import Case


def as_layers(net: tn.Network) -> list[Any]:
    """Return the hidden layers of a chain with skips (k, k + 2) as regioncam has them, in float32."""
    import regioncam as camera

    steps = []
    for index, layer in enumerate(net.hidden, start=1):
        weight = layer.weights[index - 1].T.astype(np.float32).copy()
        step = [camera.nn.Linear(weight, layer.bias.astype(np.float32)), camera.nn.ReLU()]
        # Layer index + 1 reads what layer index - 1 hands on past this one.
        is_residual = (index - 1, index + 1) in net.skips
        steps.append(camera.nn.Residual(camera.nn.Sequential(*step)) if is_residual else step)
    return steps


def regioncam(steps: list[Any], case: Case, _: int | None = None) -> int:
    """Cut the square, layer by layer; faces, edges and vertices come together."""
    from regioncam import Regioncam

    camera = Regioncam(size=case.half_width)
    for step in steps:
        for part in step if isinstance(step, list) else [step]:
            camera.add(part)
    return camera.num_faces


def edge_subdivision_folder() -> str | None:
    """Return the folder of a checkout of github.com/arturs-berzins/relu_edge_subdivision, which is in no registry."""
    return os.environ.get("TROPNET_EDGE_SUBDIVISION") or None


def as_subdivided(net: tn.Network) -> SimpleNamespace:
    """Return the hidden layers as edge subdivision has them: each layer it is given is one of cuts."""
    import torch

    linear = []
    for layer in net.hidden:
        (weight,) = layer.weights.values()
        linear.append(torch.nn.Linear(*weight.shape[::-1]))
        linear[-1].load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(layer.bias)})
    sizes = [net.n_inputs, *net.widths]

    def eval_block(points, device="cpu"):
        values = []
        for layer in linear:
            values.append(layer(points if not values else torch.relu(values[-1])))
        return torch.cat(values, dim=1).to(device)

    return SimpleNamespace(
        ks=sizes,
        ls=range(1, len(sizes)),
        eval_block=eval_block,
        to=lambda device: None,  # noqa: ARG005
    )


def edge_subdivision(net: SimpleNamespace, case: Case, _: int | None = None) -> np.ndarray:
    """Find vertices and edges in the box, in float32; return the signs of the vertices."""
    import torch

    with mock.patch.object(sys, "path", [edge_subdivision_folder() or "", *sys.path]):
        from edge_subdivision import skeletal_subdivision
    with torch.no_grad():
        box = (-case.half_width, case.half_width)
        _, _, signs = skeletal_subdivision(net, bbox=box, device=torch.device("cpu"), verbose=False)
    return signs[:, 2 * case.inputs :].numpy()


def patterns_at(signs: np.ndarray) -> np.ndarray:
    """Return the patterns of the cells around vertices, where each neuron that vanishes there has either sign."""
    found = []
    counts = (signs == 0).sum(axis=1)
    for n_zeros in np.unique(counts).tolist():
        here = signs[counts == n_zeros] > 0
        zeros = np.nonzero(signs[counts == n_zeros] == 0)[1].reshape(len(here), n_zeros)
        for bits in product((False, True), repeat=n_zeros):
            here[np.arange(len(here))[:, None], zeros] = bits
            found.append(np.packbits(here, axis=1))
    packed = np.unique(np.concatenate(found), axis=0)
    return np.unpackbits(packed, axis=1, count=signs.shape[1]).astype(bool)
