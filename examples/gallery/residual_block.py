"""A chain and the same weights with a residual connection: where the skip leads, regions are cut otherwise.

Left the network 2-12-12-12-1, right with the output of layer 1 added to that of layer 3.
"""

from pictures import arguments, figure, save

import tropnet as tn

options = arguments(__doc__, "residual_block").parse_args()
drawn = figure(9, 4.6)
for ax, skips, name in zip(drawn.subplots(1, 2), ([], [(1, 3)]), ("chain", "residual, skip 1-3"), strict=True):
    net = tn.Network.random([2, 12, 12, 12, 1], skips=skips, init="kaiming_normal", seed=4)
    regions = tn.enumerate_regions(net, tn.Box(-2, 2), facets=True)
    tn.plot_regions(regions, ax, color="pattern").set_title(f"{name}: {len(regions)} activation regions")
save(drawn, options.out)
