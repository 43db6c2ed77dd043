"""Counts of regions that other papers and tables print, counted by an exact program."""
