"""How large regions are, and how steep the network is on them: areas and norms of gradients of a trained network.

The network learned a peak: its regions are small and steep where the function bends most.
"""

import numpy as np
from pictures import arguments, figure, save, train

import tropnet as tn

options = arguments(__doc__, "areas_and_gradients").parse_args()
points = np.random.default_rng(0).uniform(-2, 2, size=(2000, 2))
peak = np.exp(-2 * (points**2).sum(axis=1, keepdims=True))
net = train([2, 16, 16, 1], points, peak, 80 if options.quick else 800)
regions = tn.enumerate_regions(net, tn.Box(-2, 2), facets=True)
drawn = figure(10, 4.4)
for ax, color in zip(drawn.subplots(1, 2), ("area", "gradient"), strict=True):
    tn.plot_regions(regions, ax, color=color)
save(drawn, options.out)
