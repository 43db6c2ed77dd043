"""A function and the network that learned it: sin(log|x| + log|y|), and the shipped network piece by piece.

Left the function, singular on both axes; right the shipped network 2-5-5-5-5-5-1 with two skips, one value for each
region, by which one sees where it spends its regions.
"""

import numpy as np
from pictures import arguments, figure, save

import tropnet as tn

options = arguments(__doc__, "learning_phi_1").parse_args()
net = tn.example_network()
regions = tn.enumerate_regions(net, tn.Box(-10, 10), facets=True)
drawn = figure(9.6, 4.4)
left, right = drawn.subplots(1, 2)
ticks = np.linspace(-10, 10, 800)  # an even number: none of them is 0
values = np.sin(np.log(np.abs(ticks))[:, None] + np.log(np.abs(ticks)))
left.imshow(values, extent=(-10, 10, -10, 10), vmin=-1, vmax=1, origin="lower")
left.set(title=r"$\sin(\log|x_1| + \log|x_2|)$", xlabel="$x_1$", ylabel="$x_2$")
ax = tn.plot_regions(regions, right)
ax.set_title(f"network: {len(regions)} activation regions")
save(drawn, options.out)
