"""How often do test images fall into activation regions of training images? LR Table 2 and section 7.1."""
