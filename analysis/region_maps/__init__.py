"""Do the regions of trained networks follow the pattern of what they learn? LR Fig. 2 and section 5, in numbers."""
