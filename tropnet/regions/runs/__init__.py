"""Runs in directories: their journal, and what it says."""
