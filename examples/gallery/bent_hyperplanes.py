"""Bent hyperplanes by layer: the first layer's are straight lines, deeper ones bend where they meet earlier ones.

One panel for each layer that is added, in a network 2-10-10-10-1 with random weights.
"""

from pictures import arguments, figure, save

import tropnet as tn

options = arguments(__doc__, "bent_hyperplanes").parse_args()
net = tn.Network.random([2, 10, 10, 10, 1], init="kaiming_normal", seed=9)
regions = tn.enumerate_regions(net, tn.Box(-2, 2), facets=True)
drawn = figure(11, 4.2)
for last, ax in enumerate(drawn.subplots(1, 3), start=1):
    tn.plot_hyperplanes(regions, ax, layers=range(1, last + 1), legend=False)
    ax.set_title("layer 1" if last == 1 else f"layers 1 to {last}")
drawn.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
save(drawn, options.out)
