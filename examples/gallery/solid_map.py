"""The regions of a network with three inputs: polyhedra that fill a cube, drawn apart.

The interactive page of the same regions: tropnet plot NET --box -1 1 -o map.html
"""

import numpy as np
from matplotlib.colors import to_rgb
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from pictures import arguments, figure, save

import tropnet as tn
from tropnet.plotting.colours import FILLS, colouring
from tropnet.plotting.solids import solids

options = arguments(__doc__, "solid_map").parse_args()
net = tn.Network.random([3, 5, 4, 1], init="kaiming_normal", seed=9)
regions = tn.enumerate_regions(net, tn.Box(-1, 1), facets=True)
number = colouring(len(regions), *np.array(tn.adjacency_graph(regions).edges).T)
shapes = solids(regions)
centres = shapes.centres()
faces, colours = [], []
for face, owner in zip(shapes.faces(), shapes.owner.tolist(), strict=True):
    # Smaller, and away from the centre of the cube, so that one sees between them.
    faces.append(1.15 * centres[owner] + 0.85 * (face - centres[owner]))
    normal = np.cross(face[1] - face[0], face[2] - face[0])
    light = 0.79 + 0.2 * normal @ [0.3, -0.1, 0.95] / np.linalg.norm(normal)
    colours.append(light * np.array(to_rgb(FILLS[number[owner]])))
drawn = figure(6, 5.6)
ax = drawn.add_subplot(projection="3d")
ax.add_collection3d(Poly3DCollection(faces, facecolors=colours, edgecolors="black", linewidths=0.3))
ends = {f"{axis}lim": (-1.15, 1.15) for axis in "xyz"} | {f"{axis}ticks": (-1, 0, 1) for axis in "xyz"}
ax.set(**ends, xlabel="$x_1$", ylabel="$x_2$", zlabel="$x_3$", title=f"{len(regions)} activation regions")
ax.set_box_aspect((1, 1, 1))
ax.view_init(25, 35)
save(drawn, options.out)
