"""The counts of the compiled engines, where other programs lose cells."""
