"""Skips that vanish while ResNet34 trains against skips that stay, on MNIST: AR Fig. 3."""
