"""Polyhedra, one by one and in bulk: balls, vertices, volumes."""
