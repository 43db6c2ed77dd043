"""What a collision-avoidance network advises, by where the intruder is: exact borders, in two of its five inputs.

The advisory is the output of the least score. With an ONNX file of the ACAS Xu benchmark as argument, that network is
drawn; without, one that the script trains on a rule like it. The other three inputs are fixed: the intruder crosses.
"""

from pathlib import Path

import numpy as np
from pictures import arguments, figure, save, train

import tropnet as tn

ADVISORIES = ("clear of conflict", "weak left", "weak right", "strong left", "strong right")
# Distance, bearing, heading and both speeds, scaled as in the benchmark.
LOW, HIGH = [-0.328, -0.5, -0.5, -0.5, -0.5], [0.679, 0.5, 0.5, 0.5, 0.5]
FIXED = [0.0, 0.0, -0.25, 0.3, 0.3]


def rule(inputs: np.ndarray) -> np.ndarray:
    """Return five scores (n, 5): far away nothing is to be done; near, turn from the intruder, the nearer the more."""
    near = np.exp(-6 * (inputs[:, 0] + 0.33) - 2 * inputs[:, 1] ** 2)
    side = np.sin(2 * np.pi * (inputs[:, 1] + 0.3 * inputs[:, 2]))
    return np.stack([near - 0.3, 0.3 * side, -0.3 * side, 0.5 - near + side, 0.5 - near - side], axis=1)


parser = arguments(__doc__, "advisories")
parser.add_argument("model", nargs="?", type=Path, help="an ONNX file with five inputs and five scores")
options = parser.parse_args()
if options.model is not None:
    net = tn.load(options.model)
else:
    points = np.random.default_rng(0).uniform(LOW, HIGH, size=(2000, 5))
    net = train([5, 24, 24, 24, 5], points, rule(points), 60 if options.quick else 600)
# The class is the greatest output, the advisory the least score.
last = net.layers[-1]
negative = tn.Layer({k: -weight for k, weight in last.weights.items()}, -last.bias)
net = tn.Network([*net.layers[:-1], negative])

plane = net.restrict(FIXED, np.eye(2, 5))
regions = tn.enumerate_regions(plane, tn.Box(LOW[:2], HIGH[:2]), facets=True)
drawn = figure(7.6, 5)
ax = tn.plot_regions(regions, drawn.add_subplot(), color="class")
names = [ADVISORIES[int(text.get_text().removeprefix("class "))] for text in ax.get_legend().get_texts()]
ax.legend(ax.get_legend().legend_handles, names, loc="center left", bbox_to_anchor=(1.02, 0.5))
tn.plot_boundary(tn.decision_boundary(regions), ax)
ax.set(xlabel="distance (scaled)", ylabel="bearing of the intruder (scaled)")
save(drawn, options.out)
