"""A classifier of two moons: its regions, and the decision boundary that bends only where it crosses them.

The fill is the class, thin lines bound the activation regions, the thick one is where both classes tie.
"""

import numpy as np
from pictures import arguments, figure, save, train

import tropnet as tn

options = arguments(__doc__, "two_moons").parse_args()
random = np.random.default_rng(0)
angle, label = random.uniform(0, np.pi, 300), np.arange(300) % 2
points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.where(label, -1, 1)[:, None] + np.outer(label, [1, 0.5])
points += random.normal(scale=0.12, size=points.shape)

net = train([2, 16, 16, 2], points, label, 60 if options.quick else 600)
regions = tn.enumerate_regions(net, tn.Box([-1.6, -1.2], [2.6, 1.7]), facets=True)
drawn = figure(6.5, 4.8)
ax = tn.plot_regions(regions, drawn.add_subplot(), color="class", data=points, labels=label)
tn.plot_boundary(tn.decision_boundary(regions), ax)
save(drawn, options.out)
