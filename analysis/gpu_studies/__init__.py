"""What the studies have for a GPU, most telling first, in a few minutes; and their results beside those of a CPU."""
