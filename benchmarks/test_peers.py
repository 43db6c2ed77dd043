"""Other programs on the same networks, in the same run, and two plain loops that fix the machine's scale."""

from unittest import mock

import numpy as np
import pytest

from benchmarks.conftest import Program
from benchmarks.networks import PEERS, PLAIN, PLANE, SUBDIVIDED
from benchmarks.peers import (
    as_layers,
    as_subdivided,
    edge_subdivision,
    edge_subdivision_folder,
    patterns_at,
    regioncam,
)
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
    if edge_subdivision_folder() is None:
        pytest.skip("TROPNET_EDGE_SUBDIVISION names no folder")
    measure(benchmark, EDGE_SUBDIVISION, case, "architectures")


@pytest.mark.parametrize(
    ("case", "program"),
    [(case, LINEAR_PROGRAMS) for case in PLAIN] + [(case, CLIPPING) for case in PLAIN if case.inputs == 2],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_plain_loops(benchmark, measure, case, program):
    """Plain loops in a box."""
    measure(benchmark, program, case, "architectures")
