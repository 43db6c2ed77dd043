"""Where do cached and uncached test images lie? LR Fig. 4, drawn anew, and its middle column's claim measured."""
