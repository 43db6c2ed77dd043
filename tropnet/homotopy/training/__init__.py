"""Training runs that survive a crash, and many of them side by side."""
