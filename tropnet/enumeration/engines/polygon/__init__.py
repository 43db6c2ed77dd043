"""The polygon engine: two inputs, cells as convex polygons in a compiled search."""
