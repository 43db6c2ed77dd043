"""The engines: each searches the tree of patterns in its own way."""
