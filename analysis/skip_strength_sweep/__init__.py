"""How the strength of skips decides what a network learns in its first two epochs on MNIST: AR Fig. 2."""
