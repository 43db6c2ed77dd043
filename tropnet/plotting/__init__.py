"""Drawings (extra ``tropnet[plot]``): maps of the plane, slices of networks of many inputs, graphs of functions.

`write_page`, in a file of its own, writes pages for a browser and needs the extra ``tropnet[interactive]``; every other
function draws into the axes it is given, or a figure of its own, and returns the axes; none asks for a window.
"""

from tropnet.plotting.function import plot_function
from tropnet.plotting.region_map import plot_boundary, plot_graph, plot_hyperplanes, plot_regions
from tropnet.plotting.slice import plot_slice

__all__ = ["plot_boundary", "plot_function", "plot_graph", "plot_hyperplanes", "plot_regions", "plot_slice"]
