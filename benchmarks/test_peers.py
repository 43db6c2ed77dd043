"""Other programs on the same networks, in the same run, and two plain loops that fix the machine's scale."""

import os
import sys
from itertools import product
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from benchmarks.conftest import Program
from benchmarks.networks import PEERS, PLAIN, PLANE, SUBDIVIDED
from benchmarks.plain import count_by_clipping, count_by_linear_programs

pytestmark = pytest.mark.filterwarnings("default")

# Generic for these networks, unlike the origin, from which they would start.
START = 0.01


def as_module(net):
    """Return a float64 `torch.nn.Sequential` with the network's weights."""
    torch = pytest.importorskip("torch")
    modules = []
    for layer in net.layers:
        (weight,) = layer.weights.values()
        linear = torch.nn.Linear(*weight.shape[::-1], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(layer.bias)})
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def relucent(module, case, _):
    """Search breadth first over R^d in one worker process, certification at the end left out."""
    complex_ = pytest.importorskip("relucent").Complex(module)
    complex_.bfs(start=np.full(case.inputs, START), nworkers=1, verify=False, verbose=0)
    return complex_


def parx(module, case, _):
    """Search in Python over R^d (the other search needs Julia, whose absence would stop the import)."""
    with mock.patch("shutil.which", return_value="julia"):
        library = pytest.importorskip("parx")
    return library.compute_partition(module, np.full((1, case.inputs), START), method="exact_python")


def patterns_of(regions, pattern):
    """Stack patterns, True for active."""
    return np.array([pattern(region) for region in regions], dtype=bool)


RELUCENT = Program(
    "relucent",
    "output",
    relucent,
    as_module,
    lambda found: patterns_of(found, lambda cell: np.ravel(cell.ss_np) > 0),
    slow=True,
    can_stop=False,
)
PARX = Program(
    "parx",
    "output",
    parx,
    as_module,
    lambda found: patterns_of(found.regions, lambda cell: np.concatenate(cell.activation_path)),
    slow=True,
    can_stop=False,
)
LINEAR_PROGRAMS = Program(
    "plain LP",
    "count",
    lambda net, case, limit: count_by_linear_programs(net, case.half_width, limit),
    slow=True,
)


def as_layers(net):
    """Return the hidden layers of a chain with skips (k, k + 2) as regioncam has them, in float32."""
    camera = pytest.importorskip("regioncam")
    steps = []
    for index, layer in enumerate(net.hidden, start=1):
        weight = layer.weights[index - 1].T.astype(np.float32).copy()
        step = [camera.nn.Linear(weight, layer.bias.astype(np.float32)), camera.nn.ReLU()]
        # Layer index + 1 reads what layer index - 1 hands on past this one.
        is_residual = (index - 1, index + 1) in net.skips
        steps.append(camera.nn.Residual(camera.nn.Sequential(*step)) if is_residual else step)
    return steps


def regioncam(steps, case, _):
    """Cut the square, layer by layer; faces, edges and vertices come together."""
    camera = pytest.importorskip("regioncam").Regioncam(size=case.half_width)
    for step in steps:
        for part in step if isinstance(step, list) else [step]:
            camera.add(part)
    return camera.num_faces


def edge_subdivision_folder():
    """Return the folder of a checkout of github.com/arturs-berzins/relu_edge_subdivision; it is in no registry."""
    folder = os.environ.get("TROPNET_EDGE_SUBDIVISION")
    if not folder:
        pytest.skip("TROPNET_EDGE_SUBDIVISION names no folder")
    return folder


def as_subdivided(net):
    """Return the hidden layers as edge subdivision has them: each layer it is given is one of cuts."""
    torch = pytest.importorskip("torch")
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


def edge_subdivision(net, case, _):
    """Find vertices and edges in the box, in float32; return the signs of the vertices."""
    torch = pytest.importorskip("torch")
    with mock.patch.object(sys, "path", [edge_subdivision_folder(), *sys.path]):
        from edge_subdivision import skeletal_subdivision
    with torch.no_grad():
        box = (-case.half_width, case.half_width)
        _, _, signs = skeletal_subdivision(net, bbox=box, device=torch.device("cpu"), verbose=False)
    return signs[:, 2 * case.inputs :].numpy()


def patterns_at(signs):
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


# In float32 and without a proof: some of their counts may differ.
REGIONCAM = tuple(Program("regioncam", work, regioncam, as_layers, can_stop=False, exact=False)
                  for work in ("count", "facets"))  # fmt: skip
EDGE_SUBDIVISION = Program(
    "edge subdivision",
    "count",
    edge_subdivision,
    as_subdivided,
    patterns_at,
    slow=True,
    can_stop=False,
    exact=False,
)
CLIPPING = Program(
    "plain clipping",
    "count",
    lambda net, case, _: count_by_clipping(net, case.half_width),
    slow=True,
    can_stop=False,
)


@pytest.mark.parametrize("program", [RELUCENT, PARX], ids=lambda program: program.name)
@pytest.mark.parametrize("case", PEERS, ids=str)
def test_peers(benchmark, measure, case, program):
    """Other programs, patterns and points (and facets, which they cannot leave out) of chains on R^d."""
    measure(benchmark, program, case, "architectures")


@pytest.mark.parametrize("program", REGIONCAM, ids=lambda program: program.work)
@pytest.mark.parametrize("case", PLANE, ids=str)
def test_regioncam(benchmark, measure, case, program):
    """Networks in the plane, skips too: all faces, and with them their facets."""
    pytest.importorskip("regioncam")
    measure(benchmark, program, case, "architectures")


@pytest.mark.parametrize("case", SUBDIVIDED, ids=str)
def test_edge_subdivision(benchmark, measure, case):
    """Vertices and edges in a box; the regions, which it does not list, are made of its signs, untimed."""
    edge_subdivision_folder()
    measure(benchmark, EDGE_SUBDIVISION, case, "architectures")


@pytest.mark.parametrize(
    ("case", "program"),
    [(case, LINEAR_PROGRAMS) for case in PLAIN] + [(case, CLIPPING) for case in PLAIN if case.inputs == 2],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_plain_loops(benchmark, measure, case, program):
    """Plain loops in a box."""
    measure(benchmark, program, case, "architectures")
