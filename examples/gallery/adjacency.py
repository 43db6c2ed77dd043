"""The adjacency graph over the map: a point for each region, a line where two share a facet.

Crossing a line flips one neuron. Regions of one colour class of the fill are never adjacent.
"""

from pictures import arguments, figure, save

import tropnet as tn

options = arguments(__doc__, "adjacency").parse_args()
regions = tn.enumerate_regions(tn.Network.random([2, 8, 6, 1], seed=2), tn.Box(-3, 3), facets=True)
graph = tn.adjacency_graph(regions)
drawn = figure(5.6, 5.4)
ax = tn.plot_graph(regions, graph, tn.plot_regions(regions, drawn.add_subplot(), color="pattern"))
ax.set_title(f"{len(regions)} activation regions, {graph.number_of_edges()} facets between them")
save(drawn, options.out)
